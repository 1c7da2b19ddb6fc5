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
TIMESTEP = 0.0165  # s
TARGET_X = 1000.0  # m; the ant is to walk to (TARGET_X, 0)
LOWEST_TORSO = 0.26  # m; its radius is 0.25
AT_LIMIT = np.float32(0.99)  # of the way from the middle of a joint's range to its end
ELECTRICITY, STALL, JOINT_AT_LIMIT = -2.0, -0.1, -0.1
PARTS = 22  # 20 links, the torso, and the floor at (0, 0): the stock environment counts it too

# A state [STATE], in SI units and the world's frame.
POSITION, VELOCITY, ROTATION = 0, 3, 6  # of the torso, [3] each; its rotation is roll, pitch, yaw
JOINTS = 9  # [8, 2] angle and speed
LINKS = 25  # [10, 3] the places of ten links; see `center`
FEET = 55  # [4] 1 where a foot touches the floor
STATE = 59

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
def center(torso, links):
    """One coordinate of the mean of all parts, from that of the torso and those of ten links.

    Each leg is a chain of five links: the middle of its fixed part c, the hip h, the middle of the thigh, the ankle a,
    the middle of the foot f. Given are c of two opposite legs, then all a, then all f. The fixed parts reach from the
    torso to all four sides alike, so Σc = 2(c0 + c2) = Σh. The middle of a thigh is (h + a)/2. Together
    Σ(c + h + (h + a)/2 + a + f) = 5(c0 + c2) + 1.5 Σa + Σf.
    """
    ankles = links[2] + links[3] + links[4] + links[5]
    feet = links[6] + links[7] + links[8] + links[9]
    return (5 * (links[0] + links[1]) + 1.5 * ankles + feet + torso) / PARTS


@njit(nogil=True, cache=True, error_model="numpy")
def begin(row, state, limits, memory, observations):
    """The first observation of an episode of ant ``row``; the rest as for `step`."""
    own = memory[row]
    own[START_X], own[START_Z] = state[POSITION], state[POSITION + 2]
    own[FEET_BEFORE:] = 0.0
    _find_center(state, own)
    _observe(state, limits, own, observations[row])
    _clip(observations[row])
    own[FEET_BEFORE:] = 0.0  # the stock forgets the feet of the reset


@njit(nogil=True, cache=True, error_model="numpy")
def step(rows, states, actions, limits, memory, observations, told):
    """One step of the ants ``rows`` [n].

    Args:
        rows: [n] which ants.
        states: [n, STATE] after the step.
        actions: [n, 8] that were asked for, not clipped; float32 or float64.
        limits: [2, 8] lower and upper limits of the joints (rad).
        memory: [N, MEMORY] of all ants; changed in place, as are the next two.
        observations: [N, 28] float32.
        told: [TOLD, N].
    """
    for number, row in enumerate(rows):
        state, asked, own, values = states[number], actions[number], memory[row], observations[row]
        potential = _potential(own)
        _find_center(state, own)
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
def _find_center(state, own):
    own[CENTER_X] = center(state[POSITION], state[LINKS:FEET:3])
    own[CENTER_Y] = center(state[POSITION + 1], state[LINKS + 1 : FEET : 3])


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
