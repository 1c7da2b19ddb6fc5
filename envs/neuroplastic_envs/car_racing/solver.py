"""How Box2D 2.3 moves the five bodies of a car, in single precision.

A hull carries four wheels on revolute joints, each with a motor and a limit; nothing collides. Joints are solved with
sequential impulses (Catto 2005), each operation in Box2D's order and precision: results are the same bit for bit.

Box2D makes 180 sweeps over the joints for the velocities. Here sweeps are left out only where that cannot change a bit:
when velocities are what they were one or two sweeps before, they go on in this cycle. What the car does depends on what
180 sweeps leave unsolved: to stop at a tolerance would make it another car.

Loops take no slices: numba would count references to them.
"""

import math

import numpy as np

from .compiled import compiled
from .tiles import COS, HULL_POLYGONS, SIN, SIZE, WHEEL_POLYGON

F = np.float32

# Wheels are front left, front right, rear left, rear right; wheel i hangs on joint i. The hull is the last body.
HULL_BODY = 4

# A body [5, BODY] of a car, float32.
X, Y, ANGLE = 0, 1, 2  # of the center of mass
VX, VY, TURN = 3, 4, 5  # velocity of the same, and angular velocity
REST = 6  # s at rest
OLD_VX = 7  # [3] velocities some sweeps ago
BODY = 10

# A joint [4, JOINT] of a car, float32.
PX, PY = 0, 1  # impulses that hold it in its place
LIMIT_P, MOTOR_P = 2, 3  # those of its limit and its motor
AT = 4  # limit at which it is: -1 the lower, 1 the upper, 0 none
TARGET = 5  # speed of the motor
RX, RY = 6, 7  # from the hull's center of mass
K11, K12, K22, DET = 8, 9, 10, 11  # mass matrix of its place, and 1 / its determinant
OLD_LIMIT_P = 12  # [2] impulses of limit and motor some sweeps ago
DX, DY = 14, 15  # what the last sweep added to PX and PY
MORE = 16  # [PERIODS, 2] what the sweeps of a cycle add to them
PERIODS = 2  # longest cycle, in sweeps, that is looked for
JOINT = 20

WHEEL_PLACES = np.array([(-55, 80), (55, 80), (-55, -82), (55, -82)]) * SIZE  # on the hull


def _mass(polygons, density):
    """1 / mass, 1 / moment of inertia and center of mass of polygons, summed as Box2D sums them: the last one first."""
    half, third, quarter = F(0.5), F(1) / F(3), F(0.25)
    mass, inertia, center = F(0), F(0), np.zeros(2, F)
    for corners in reversed(polygons):
        origin = np.zeros(2, F)
        for corner in corners:
            origin += corner
        origin *= F(1) / F(len(corners))
        area, moment, middle = F(0), F(0), np.zeros(2, F)
        for a, b in zip(corners - origin, np.roll(corners, -1, 0) - origin, strict=True):
            cross = a[0] * b[1] - a[1] * b[0]
            area += half * cross
            middle += half * cross * third * (a + b)
            square = (a[0] * a[0] + b[0] * a[0] + b[0] * b[0]) + (a[1] * a[1] + b[1] * a[1] + b[1] * b[1])
            moment += quarter * third * cross * square
        middle *= F(1) / area
        place, own = middle + origin, density * area
        moment = density * moment + own * (_square(place) - _square(middle))
        mass, center, inertia = mass + own, center + own * place, inertia + moment
    center *= F(1) / mass
    return F(1) / mass, F(1) / (inertia - mass * _square(center)), center


def _square(vector):
    return vector[0] * vector[0] + vector[1] * vector[1]


HULL_M, HULL_I, HULL_CENTER = _mass(HULL_POLYGONS, F(1))
WHEEL_M, WHEEL_I, _ = _mass([WHEEL_POLYGON], F(0.1))  # the center of a wheel is that of its polygon
CENTER_X, CENTER_Y = HULL_CENTER
ANCHORS = WHEEL_PLACES.astype(F) - HULL_CENTER
MOTOR_MASS = F(1) / (HULL_I + WHEEL_I)
K33 = HULL_I + WHEEL_I
LIMIT = F(0.4)  # of a joint (rad)
H = F(1 / 50)  # s, a step
MOTOR_LIMIT = H * F(180 * 900 * SIZE * SIZE)  # largest impulse of a motor

VELOCITY_SWEEPS, POSITION_SWEEPS = 180, 60
LOOK_BACK = 4  # sweeps after which velocities are kept anew, to be compared with
PI = F(3.14159265359)
SLOP = F(0.005)  # of a place
ANGLE_SLOP = F(2) / F(180) * PI
LARGEST_TURN = F(8) / F(180) * PI  # by which an angle is corrected at once
FASTEST, FASTEST_TURN = F(2), F(0.5) * PI  # per step
REST_SPEED, REST_TURN = F(0.01) * F(0.01), ANGLE_SLOP * ANGLE_SLOP  # squares of speeds below which a body is at rest
SLEEP = F(0.5)  # s at rest after which all stand still
ZERO, ONE = F(0), F(1)


@compiled
def place(start, body, joint, poses):
    """Puts a car at a point [4] of the track. Its wheels are turned, but not yet around the hull, as in the stock."""
    body[:], joint[:] = ZERO, ZERO
    angle, x, y = F(start[1]), start[2], start[3]
    sin, cos = math.sin(angle), math.cos(angle)
    for i in range(5):
        body[i, ANGLE], poses[i, SIN], poses[i, COS] = angle, sin, cos
    for i in range(4):
        body[i, X], body[i, Y] = F(x + WHEEL_PLACES[i, 0]), F(y + WHEEL_PLACES[i, 1])
        poses[i, 0], poses[i, 1] = body[i, X], body[i, Y]
    poses[HULL_BODY, 0], poses[HULL_BODY, 1] = F(x), F(y)
    body[HULL_BODY, X] = (cos * CENTER_X - sin * CENTER_Y) + F(x)
    body[HULL_BODY, Y] = (sin * CENTER_X + cos * CENTER_Y) + F(y)


@compiled
def solve(body, joint, poses):
    """One step of Box2D's world, from velocities with the forces in them."""
    _warm_start(body, joint, poses)
    _solve_velocities(body, joint)
    _move(body)
    solved = False
    for _ in range(POSITION_SWEEPS):
        solved = _sweep_positions(body, joint)
        if solved:
            break
    for i in range(5):
        poses[i, SIN], poses[i, COS] = math.sin(body[i, ANGLE]), math.cos(body[i, ANGLE])
        poses[i, 0], poses[i, 1] = body[i, X], body[i, Y]
    sin, cos = poses[HULL_BODY, SIN], poses[HULL_BODY, COS]
    poses[HULL_BODY, 0] -= cos * CENTER_X - sin * CENTER_Y
    poses[HULL_BODY, 1] -= sin * CENTER_X + cos * CENTER_Y
    _rest(body, solved)


@compiled
def _warm_start(body, joint, poses):
    """Makes the joints' masses and limits ready, and applies the impulses that they had in the step before."""
    vx, vy, turn, angle = body[HULL_BODY, VX], body[HULL_BODY, VY], body[HULL_BODY, TURN], body[HULL_BODY, ANGLE]
    sin, cos = poses[HULL_BODY, SIN], poses[HULL_BODY, COS]
    for i in range(3, -1, -1):
        rx = cos * ANCHORS[i, 0] - sin * ANCHORS[i, 1]
        ry = sin * ANCHORS[i, 0] + cos * ANCHORS[i, 1]
        joint[i, RX], joint[i, RY] = rx, ry
        k11 = HULL_M + WHEEL_M + ry * ry * HULL_I
        k12 = -ry * rx * HULL_I
        k22 = HULL_M + WHEEL_M + rx * rx * HULL_I
        joint[i, K11], joint[i, K12], joint[i, K22] = k11, k12, k22
        joint[i, DET] = _inverse(k11 * k22 - k12 * k12)

        steer = body[i, ANGLE] - angle
        at = -ONE if steer <= -LIMIT else (ONE if steer >= LIMIT else ZERO)
        if at != joint[i, AT] or at == 0:
            joint[i, LIMIT_P] = ZERO
        joint[i, AT] = at

        px, py, motor, limit = joint[i, PX], joint[i, PY], joint[i, MOTOR_P], joint[i, LIMIT_P]
        vx -= HULL_M * px
        vy -= HULL_M * py
        turn -= HULL_I * (rx * py - ry * px + motor + limit)
        body[i, VX] += WHEEL_M * px
        body[i, VY] += WHEEL_M * py
        body[i, TURN] += WHEEL_I * (motor + limit)
    body[HULL_BODY, VX], body[HULL_BODY, VY], body[HULL_BODY, TURN] = vx, vy, turn


@compiled
def _inverse(determinant):
    return ONE / determinant if determinant != 0 else determinant


@compiled
def _solve_velocities(body, joint):
    """What VELOCITY_SWEEPS sweeps make of the velocities."""
    done = 0
    while done < VELOCITY_SWEEPS:
        if done % LOOK_BACK == 0:
            _save(body, joint)
        _sweep_velocities(body, joint)
        done += 1
        period = done % LOOK_BACK
        if 0 < period <= PERIODS and _is_saved(body, joint):
            done += _leap(body, joint, VELOCITY_SWEEPS - done, period)


@compiled
def _leap(body, joint, sweeps, period):
    """Does as many whole cycles as ``sweeps`` hold, where velocities come back each ``period`` sweeps.

    The impulses that hold joints in their places need not come back. Nothing depends on them in these sweeps, and each
    sweep of a cycle adds to them what it added before.

    Returns:
        How many sweeps that are.
    """
    cycles = sweeps // period
    if cycles < 2:
        return 0
    for phase in range(period):
        _sweep_velocities(body, joint)
        for i in range(4):
            joint[i, MORE + 2 * phase], joint[i, MORE + 2 * phase + 1] = joint[i, DX], joint[i, DY]
    for i in range(4):
        px, py = joint[i, PX], joint[i, PY]
        for _ in range(cycles - 1):
            before_x, before_y = px, py
            for phase in range(period):
                px += joint[i, MORE + 2 * phase]
                py += joint[i, MORE + 2 * phase + 1]
            if px == before_x and py == before_y:
                break
        joint[i, PX], joint[i, PY] = px, py
    return cycles * period


@compiled
def _save(body, joint):
    """Keeps all on which velocities depend."""
    for i in range(5):
        body[i, OLD_VX], body[i, OLD_VX + 1], body[i, OLD_VX + 2] = body[i, VX], body[i, VY], body[i, TURN]
    for i in range(4):
        joint[i, OLD_LIMIT_P], joint[i, OLD_LIMIT_P + 1] = joint[i, LIMIT_P], joint[i, MOTOR_P]


@compiled
def _is_saved(body, joint):
    for i in range(4, -1, -1):
        for value in range(2, -1, -1):
            if body[i, VX + value] != body[i, OLD_VX + value]:
                return False
    for i in range(4):
        if joint[i, LIMIT_P] != joint[i, OLD_LIMIT_P] or joint[i, MOTOR_P] != joint[i, OLD_LIMIT_P + 1]:
            return False
    return True


@compiled
def _sweep_velocities(body, joint):
    """Solves each joint's motor, and then its place, together with its limit where it is at one."""
    vx, vy, turn = body[HULL_BODY, VX], body[HULL_BODY, VY], body[HULL_BODY, TURN]
    for i in range(3, -1, -1):
        rx, ry, wheel_turn, motor = joint[i, RX], joint[i, RY], body[i, TURN], joint[i, MOTOR_P]
        wanted = motor + -MOTOR_MASS * (wheel_turn - turn - joint[i, TARGET])
        if wanted > MOTOR_LIMIT:
            wanted = MOTOR_LIMIT
        elif wanted < -MOTOR_LIMIT:
            wanted = -MOTOR_LIMIT
        impulse = wanted - motor
        joint[i, MOTOR_P] = wanted
        turn -= HULL_I * impulse
        wheel_turn += WHEEL_I * impulse

        ex, ey = body[i, VX] - vx + turn * ry, body[i, VY] - vy - turn * rx
        k11, k12, k22 = joint[i, K11], joint[i, K12], joint[i, K22]
        if joint[i, AT] == 0:
            px, py = -(joint[i, DET] * (k22 * ex - k12 * ey)), -(joint[i, DET] * (k11 * ey - k12 * ex))
            turn -= HULL_I * (rx * py - ry * px)
        else:
            pushed = joint[i, LIMIT_P]
            px, py, impulse = _at_limit(
                k11, k12, k22, rx, ry, joint[i, DET], ex, ey, wheel_turn - turn, pushed, joint[i, AT]
            )
            joint[i, LIMIT_P] = pushed + impulse
            turn -= HULL_I * (rx * py - ry * px + impulse)
            wheel_turn += WHEEL_I * impulse
        vx -= HULL_M * px
        vy -= HULL_M * py
        joint[i, DX], joint[i, DY] = px, py
        joint[i, PX] += px
        joint[i, PY] += py
        body[i, VX] += WHEEL_M * px
        body[i, VY] += WHEEL_M * py
        body[i, TURN] = wheel_turn
    body[HULL_BODY, VX], body[HULL_BODY, VY], body[HULL_BODY, TURN] = vx, vy, turn


@compiled
def _at_limit(k11, k12, k22, rx, ry, det, ex, ey, ew, pushed, at):
    """Impulses x, y and of the limit that end a joint's velocities ex, ey, ew.

    The limit ``at`` only pushes back, which it did with ``pushed`` before: else it is let go of.
    """
    k13, k23 = -ry * HULL_I, rx * HULL_I
    gx, gy, gz = k22 * K33 - k23 * k23, k23 * k13 - k12 * K33, k12 * k23 - k22 * k13
    scale = _inverse(k11 * gx + k12 * gy + k13 * gz)
    impulse = -(scale * (k11 * (k22 * ew - k23 * ey) + k12 * (k23 * ex - k12 * ew) + k13 * (k12 * ey - k22 * ex)))
    if (pushed + impulse) * at > 0:
        ex, ey = -ex + pushed * k13, -ey + pushed * k23
        return det * (k22 * ex - k12 * ey), det * (k11 * ey - k12 * ex), -pushed
    px = -(scale * (ex * gx + ey * gy + ew * gz))
    py = -(scale * (k11 * (ey * K33 - ew * k23) + k12 * (ew * k13 - ex * K33) + k13 * (ex * k23 - ey * k13)))
    return px, py, impulse


@compiled
def _move(body):
    for i in range(5):
        vx, vy, turn = body[i, VX], body[i, VY], body[i, TURN]
        x, y, angle = H * vx, H * vy, H * turn
        if x * x + y * y > FASTEST * FASTEST:
            slower = FASTEST / math.sqrt(x * x + y * y)
            vx, vy = vx * slower, vy * slower
        if angle * angle > FASTEST_TURN * FASTEST_TURN:
            turn *= FASTEST_TURN / abs(angle)
        body[i, VX], body[i, VY], body[i, TURN] = vx, vy, turn
        body[i, X] += H * vx
        body[i, Y] += H * vy
        body[i, ANGLE] += H * turn


@compiled
def _sweep_positions(body, joint):
    """Puts each wheel back to its limit and its place. Returns whether all were near enough before."""
    x, y, angle = body[HULL_BODY, X], body[HULL_BODY, Y], body[HULL_BODY, ANGLE]
    solved = True
    for i in range(3, -1, -1):
        at = joint[i, AT]
        if at != 0:
            beyond = (body[i, ANGLE] - angle) * at - LIMIT
            back = -MOTOR_MASS * (at * max(ZERO, min(beyond - ANGLE_SLOP, LARGEST_TURN)))
            solved &= beyond <= ANGLE_SLOP
            angle -= HULL_I * back
            body[i, ANGLE] += WHEEL_I * back

        sin, cos = math.sin(angle), math.cos(angle)
        rx = cos * ANCHORS[i, 0] - sin * ANCHORS[i, 1]
        ry = sin * ANCHORS[i, 0] + cos * ANCHORS[i, 1]
        ex, ey = body[i, X] - x - rx, body[i, Y] - y - ry
        solved &= math.sqrt(ex * ex + ey * ey) <= SLOP
        k11 = HULL_M + WHEEL_M + HULL_I * ry * ry
        k12 = -HULL_I * rx * ry
        k22 = HULL_M + WHEEL_M + HULL_I * rx * rx
        scale = _inverse(k11 * k22 - k12 * k12)
        px, py = -(scale * (k22 * ex - k12 * ey)), -(scale * (k11 * ey - k12 * ex))
        x -= HULL_M * px
        y -= HULL_M * py
        angle -= HULL_I * (rx * py - ry * px)
        body[i, X] += WHEEL_M * px
        body[i, Y] += WHEEL_M * py
    body[HULL_BODY, X], body[HULL_BODY, Y], body[HULL_BODY, ANGLE] = x, y, angle
    return solved


@compiled
def _rest(body, solved):
    """A car at rest for SLEEP stands still. Its wheels wake it at once, but what speed was left is gone."""
    least = SLEEP
    for i in range(5):
        vx, vy, turn = body[i, VX], body[i, VY], body[i, TURN]
        if turn * turn > REST_TURN or vx * vx + vy * vy > REST_SPEED:
            body[i, REST] = ZERO
        else:
            body[i, REST] += H
        least = min(least, body[i, REST])
    if least >= SLEEP and solved:
        for i in range(5):
            body[i, REST] = body[i, VX] = body[i, VY] = body[i, TURN] = ZERO
