"""What the stock environment makes of states: observations, rewards and falls of n of N ants at once, compiled.

Everything compiled, and every constant in it, is in this file: numba's cache does not see a change in another one. What
is computed for one ant does not depend on which others are asked for with it. Sums are made in the order and precision
in which NumPy makes them for the stock environment, so that they round alike.
"""

import math

import numpy as np
from numba import njit

OBSERVATIONS, ACTIONS = 28, 8
CLIP = 5.0  # observations lie in [-CLIP, CLIP]
TIMESTEP, SUBSTEPS = 0.0165, 4  # s, and into how many Bullet divides it
TARGET_X = 1000.0  # m; the ant is to walk to (TARGET_X, 0)
LOWEST_TORSO = 0.26  # m; its radius is 0.25
AT_LIMIT = np.float32(0.99)  # of the way from the middle of a joint's range to its end
ELECTRICITY, STALL, JOINT_AT_LIMIT = -2.0, -0.1, -0.1
LINKS, PARTS = (
    20,
    22,
)  # the parts are the links, the torso, and the floor at (0, 0): the stock environment counts it too

# A state [STATE], in SI units and the world's frame.
POSITION, VELOCITY, SPIN = 0, 3, 6  # of the torso, [3] each; its spin is the angular velocity
QUATERNION, ROTATION = 9, 13  # of the torso, [4] x y z w, and the same as roll, pitch, yaw [3]
JOINTS = 16  # [8, 2] angle and speed
FEET = 32  # [4] 1 where a foot touches the floor
STATE = 36

# The shape of an ant [SHAPE, 3], in its torso's frame with all joints at angle 0; a leg has four rows.
TRUNK = 0  # sum of the places of all links, each taken where the joint next to the torso that moves it is
HIP_AXIS, THIGH, ANKLE_AXIS, FOOT = 1, 2, 3, 4  # sums of what a leg's links reach from hip to ankle, and beyond it
LEG = 4
SHAPE = 17

# What is remembered of an ant from one step to the next [MEMORY].
START_X, START_Z = 0, 1  # of the torso
CENTER_X, CENTER_Y = 2, 3  # mean of the parts
FEET_BEFORE = 4  # [4]
MEMORY = 8

# What is told of a step [TOLD] beside the observation.
DISTANCE = 0  # m along +x since the reset
ALIVE = 1  # +1, or -1 where the torso scrapes the floor
PROGRESS = 2  # speed towards the target in m/s
ELECTRIC = 3  # cost of torque and speed, <= 0
LIMITS = 4  # cost of joints at their limits, <= 0
FULL = 5  # the stock reward: the sum of those four. Its fifth part, for collisions of feet, is always zero
LOST = 6  # 1 if the observation is not finite any more
TOLD = 7


@njit(nogil=True, cache=True, error_model="numpy")
def center(state, shape):
    """x and y of the mean of all parts, as the stock environment sees it: the links are one substep behind the torso.

    Bullet moves bodies last in a substep, by the speeds that it leaves them with; so what was before follows from what
    is now.
    """
    ago = TIMESTEP / SUBSTEPS
    east, north, up = shape[TRUNK]
    for leg in range(4):
        joints, own = state[JOINTS + 4 * leg : JOINTS + 4 * leg + 4], shape[LEG * leg : LEG * leg + FOOT + 1]
        foot = _turned(own[ANKLE_AXIS], joints[2] - ago * joints[3], own[FOOT])
        thigh = own[THIGH]
        reach = _turned(
            own[HIP_AXIS], joints[0] - ago * joints[1], (thigh[0] + foot[0], thigh[1] + foot[1], thigh[2] + foot[2])
        )
        east, north, up = east + reach[0], north + reach[1], up + reach[2]
    x, y, z, w = state[QUATERNION : QUATERNION + 4]
    links = (
        east + 2 * (-(y * y + z * z) * east + (x * y - z * w) * north + (x * z + y * w) * up),
        north + 2 * ((x * y + z * w) * east - (x * x + z * z) * north + (y * z - x * w) * up),
        up + 2 * ((x * z - y * w) * east + (y * z + x * w) * north - (x * x + y * y) * up),
    )
    p, q, r = state[SPIN : SPIN + 3]
    spin = math.sqrt(p * p + q * q + r * r)
    if spin > 0:
        links = _turned((p / spin, q / spin, r / spin), -ago * spin, links)
    here, before = state[POSITION : POSITION + 2], state[POSITION : POSITION + 2] - ago * state[VELOCITY : VELOCITY + 2]
    return (links[0] + LINKS * before[0] + here[0]) / PARTS, (links[1] + LINKS * before[1] + here[1]) / PARTS


@njit(nogil=True, cache=True, error_model="numpy")
def _turned(axis, angle, vector):
    """A vector [3] turned about a unit axis [3] (Rodrigues)."""
    (a, b, c), (x, y, z) = axis, vector
    sin, cos = math.sin(angle), math.cos(angle)
    along = (a * x + b * y + c * z) * (1 - cos)
    return (
        cos * x + sin * (b * z - c * y) + along * a,
        cos * y + sin * (c * x - a * z) + along * b,
        cos * z + sin * (a * y - b * x) + along * c,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def begin(row, state, shape, limits, memory, observations):
    """The first observation of an episode of ant ``row``; the rest as for `step`."""
    own = memory[row]
    own[START_X], own[START_Z] = state[POSITION], state[POSITION + 2]
    own[FEET_BEFORE:] = 0.0
    own[CENTER_X], own[CENTER_Y] = center(state, shape)
    _observe(state, limits, own, observations[row])
    _clip(observations[row])
    own[FEET_BEFORE:] = 0.0  # the stock forgets the feet of the reset


@njit(nogil=True, cache=True, error_model="numpy")
def are_finite(rows, actions):
    """Whether the actions of the ants ``rows`` [n] out of actions [N, 8] are finite."""
    for row in rows:
        for joint in range(ACTIONS):
            if not math.isfinite(actions[row, joint]):
                return False
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def ask(rows, actions, gains, ages):
    """A step of the ants ``rows`` [n] begins: their ages [N] rise by one.

    Returns:
        Torques [n, 8] in N m: actions [N, 8] clipped to [-1, 1], times gains [N, 8].
    """
    torques = np.empty((len(rows), ACTIONS))
    for number, row in enumerate(rows):
        ages[row] += 1
        for joint in range(ACTIONS):
            torques[number, joint] = min(max(np.float64(actions[row, joint]), -1.0), 1.0) * gains[row, joint]
    return torques


@njit(nogil=True, cache=True, error_model="numpy")
def ends(rows, told, ages, limit, terminate, terminated, truncated, active, distance):
    """Which of the ants ``rows`` [n] have ended with this step.

    Args:
        told: [TOLD, N]; the distance of ants that did not move is put there.
        ages: [N].
        limit: steps after which an ant is truncated.
        terminate: whether one that has fallen has ended.
        terminated: [N] bool, changed in place, as are the rest.
        truncated: [N] bool.
        active: [N] bool.
        distance: [N] m.
    """
    for row in rows:
        terminated[row] = told[LOST, row] > 0 or (terminate and told[ALIVE, row] < 0)
        truncated[row] = ages[row] >= limit
        distance[row] = told[DISTANCE, row]
    for row in range(len(active)):
        if terminated[row] or truncated[row]:
            active[row] = False
        told[DISTANCE, row] = distance[row]


@njit(nogil=True, cache=True, error_model="numpy")
def step(rows, states, actions, shapes, limits, memory, observations, told):
    """One step of the ants ``rows`` [n].

    Args:
        rows: [n] which ants.
        states: [N, STATE] after the step.
        actions: [N, 8] that were asked for, not clipped; float32 or float64.
        shapes: [N, SHAPE, 3] of all ants.
        limits: [2, 8] lower and upper limits of the joints (rad).
        memory: [N, MEMORY] of all ants; changed in place, as are the next two.
        observations: [N, 28] float32.
        told: [TOLD, N].
    """
    for row in rows:
        state, asked, own, values = states[row], actions[row], memory[row], observations[row]
        potential = _potential(own)
        own[CENTER_X], own[CENTER_Y] = center(state, shapes[row])
        _observe(state, limits, own, values)
        power = np.float64(_sum(np.abs(asked * values[9:24:2]))) / ACTIONS
        current = np.float64(_sum(asked * asked)) / ACTIONS
        at_limit = 0
        for angle in values[8:24:2]:
            at_limit += abs(angle) > AT_LIMIT
        lost = _clip(values)

        parts = told[:, row]
        parts[DISTANCE] = state[POSITION] - own[START_X]
        parts[ALIVE] = 1.0 if np.float64(values[0]) + own[START_Z] > LOWEST_TORSO else -1.0
        parts[PROGRESS] = _potential(own) - potential
        parts[ELECTRIC] = ELECTRICITY * power + STALL * current
        parts[LIMITS] = JOINT_AT_LIMIT * at_limit
        parts[FULL] = parts[ALIVE] + parts[PROGRESS] + parts[ELECTRIC] + parts[LIMITS]
        parts[LOST] = lost


@njit(nogil=True, cache=True, error_model="numpy")
def _potential(own):
    """Minus the time in which the target would be reached at 1 m/s, in steps."""
    return -math.hypot(TARGET_X - own[CENTER_X], own[CENTER_Y]) / TIMESTEP


@njit(nogil=True, cache=True, error_model="numpy")
def _observe(state, limits, own, values):
    """The observation before it is clipped. Its contacts are those of the step before, as in the stock."""
    roll, pitch, yaw = state[ROTATION], state[ROTATION + 1], state[ROTATION + 2]
    vx, vy, vz = state[VELOCITY], state[VELOCITY + 1], state[VELOCITY + 2]
    sin, cos = math.sin(yaw), math.cos(yaw)
    bearing = math.atan2(-own[CENTER_Y], TARGET_X - own[CENTER_X]) - yaw
    values[0] = state[POSITION + 2] - own[START_Z]
    values[1], values[2] = math.sin(bearing), math.cos(bearing)
    values[3] = 0.3 * (cos * vx + sin * vy)
    values[4] = 0.3 * (cos * vy - sin * vx)
    values[5] = 0.3 * vz
    values[6], values[7] = roll, pitch
    for joint in range(ACTIONS):
        low, high = limits[0, joint], limits[1, joint]
        values[8 + 2 * joint] = 2 * (state[JOINTS + 2 * joint] - low) / (high - low) - 1
        values[9 + 2 * joint] = 0.1 * state[JOINTS + 2 * joint + 1]
    for foot in range(4):
        values[24 + foot] = own[FEET_BEFORE + foot]
        own[FEET_BEFORE + foot] = state[FEET + foot]


@njit(nogil=True, cache=True, error_model="numpy")
def _clip(values):
    """Clips in place; returns whether any value is not finite even then."""
    lost = False
    for number in range(OBSERVATIONS):
        if values[number] > CLIP:
            values[number] = CLIP
        elif values[number] < -CLIP:
            values[number] = -CLIP
        elif math.isnan(values[number]):
            lost = True
    return lost


@njit(nogil=True, cache=True, error_model="numpy")
def _sum(eight):
    return ((eight[0] + eight[1]) + (eight[2] + eight[3])) + ((eight[4] + eight[5]) + (eight[6] + eight[7]))
