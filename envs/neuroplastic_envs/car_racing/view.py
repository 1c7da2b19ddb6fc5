"""What a picture shows of a car: the columns of ``view`` [VIEW]. Lengths in the world's units, angles in radians."""

TIME = 0  # s
SCORE = 1  # sum of rewards as the bar shows it
HULL = 2  # [3] x, y, angle
SPEED = 5  # per s
SPIN = 6  # per s
STEER = 7  # angle of the front left wheel to the hull
OMEGA = 8  # [4] speeds of the wheels around their axles, per s
WHEEL = 12  # [4, 4] x, y, angle, angle around the axle
VIEW = 28

PLAYFIELD = 2000 / 6  # the world is [-PLAYFIELD, PLAYFIELD]²; the car is lost beyond
