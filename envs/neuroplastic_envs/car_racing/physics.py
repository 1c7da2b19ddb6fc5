"""A step of a car: what its wheels do, in double precision, what it touches, how its bodies move, what it is worth."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .solver import ANGLE, HULL_BODY, TARGET, TURN, VX, VY, WHEEL_M, H, place, solve
from .tiles import COS, ROAM, SIN, SIZE, contact, look_around
from .view import HULL, OMEGA, PLAYFIELD, SCORE, SPEED, SPIN, STEER, TIME, WHEEL

F = np.float32

# What else is remembered of a car [MEMORY], float64.
GAS, BRAKE, WHEEL_STEER = 0, 1, 2
REWARD, REWARD_BEFORE = 3, 4  # sums of rewards
NEAR_X, NEAR_Y = 5, 6  # where tiles were looked for
MEMORY = 7

# Counts of a car [COUNTS], int64.
TILES, EARNED, NEAR = 0, 1, 2  # of the track; that a wheel touched; that can be touched from about here
LAP = 3  # 1 once the lap is complete
COUNTS = 4

# What is told of a step [TOLD], float64.
GAIN, TERMINATED, FINISHED = 0, 1, 2  # its reward; whether the episode ended; whether it did so with a whole lap
TOLD = 3

FPS = 50
DT = 1.0 / FPS  # s
ENGINE_POWER = 100000000 * SIZE * SIZE
WHEEL_INERTIA = 4000 * SIZE * SIZE
GRIP = 1000000 * SIZE * SIZE  # largest force of a wheel
GRASS = 0.6  # part of it that is left there
STIFFNESS = 205000 * SIZE * SIZE  # force per speed at which a wheel slips
BRAKE_FORCE = 15
WHEEL_RADIUS = 27 * SIZE
GAS_RAMP = 0.1  # per step


class State(NamedTuple):
    """Cars [N] side by side, on tracks of up to T tiles.

    Attributes:
        views: [N, VIEW] float64, what pictures show.
        bodies: [N, 5, BODY] float32.
        joints: [N, 4, JOINT] float32.
        poses: [N, 5, 4] float32, x, y, sine and cosine of the bodies.
        memory: [N, MEMORY] float64.
        counts: [N, COUNTS] int64.
        grip: [N, 4] bool, wheels that are on the road.
        shapes: [N, T, 4, 2] float32, tiles as in `Track`.
        circles: [N, T, 3] float32, circles around them.
        near: [N, T] int32, tiles that can be touched from about here.
        visited: [N, T] bool, tiles that a wheel or the hull touched.
        earned: [N, T] bool, tiles that a wheel touched, which is rewarded.
    """

    views: NDArray[np.float64]
    bodies: NDArray[np.float32]
    joints: NDArray[np.float32]
    poses: NDArray[np.float32]
    memory: NDArray[np.float64]
    counts: NDArray[np.int64]
    grip: NDArray[np.bool_]
    shapes: NDArray[np.float32]
    circles: NDArray[np.float32]
    near: NDArray[np.int32]
    visited: NDArray[np.bool_]
    earned: NDArray[np.bool_]


@compiled
def begin(row, start, lap, state):
    """Puts car ``row`` at a point [4] of the track that the state holds, and lets a step pass without an action."""
    place(start, state.bodies[row], state.joints[row], state.poses[row])
    state.memory[row], state.views[row] = 0.0, 0.0
    state.grip[row], state.visited[row], state.earned[row] = False, False, False
    state.counts[row, EARNED] = state.counts[row, LAP] = 0
    state.memory[row, NEAR_X] = np.inf
    advance(row, lap, state)


@compiled
def step(rows, actions, repeat, lap, state, told):
    """Some steps of the cars ``rows`` [n], each car by itself; none after the one that ends its episode.

    Args:
        rows: [n] which cars.
        actions: [n, 3] float64, steering to the right, gas, brake.
        repeat: how many steps.
        lap: part of the tiles beyond which the first tile, when a wheel touches it at last, completes the lap.
        state: of all cars; changed in place, as is the next.
        told: [n, TOLD].
    """
    for number, row in enumerate(rows):
        own, memory, counts, view = told[number], state.memory[row], state.counts[row], state.views[row]
        own[:] = 0.0
        for _ in range(repeat):
            control(actions[number], memory)
            advance(row, lap, state)
            memory[REWARD] -= 0.1
            gain = memory[REWARD] - memory[REWARD_BEFORE]
            memory[REWARD_BEFORE] = memory[REWARD]
            finished = counts[EARNED] == counts[TILES] or counts[LAP] == 1
            lost = abs(view[HULL]) > PLAYFIELD or abs(view[HULL + 1]) > PLAYFIELD
            own[GAIN] += -100.0 if lost else gain
            if finished or lost:
                own[TERMINATED], own[FINISHED] = 1.0, 0.0 if lost else 1.0
                break


@compiled
def advance(row, lap, state):
    """One step of the world of car ``row``. Its wheels pull on what they touched a step ago; it touches; it moves."""
    body, joint, poses, memory = state.bodies[row], state.joints[row], state.poses[row], state.memory[row]
    counts, view, near = state.counts[row], state.views[row], state.near[row]
    tiles, before = counts[TILES], counts[EARNED]
    drive(memory, state.grip[row], body, joint, poses, view)

    x, y = poses[HULL_BODY, 0], poses[HULL_BODY, 1]
    dx, dy = x - memory[NEAR_X], y - memory[NEAR_Y]
    if not dx * dx + dy * dy <= ROAM * ROAM:
        counts[NEAR] = look_around(x, y, state.circles[row, :tiles], near)
        memory[NEAR_X], memory[NEAR_Y] = x, y
    counts[EARNED], complete = contact(
        poses,
        state.shapes[row, :tiles],
        near,
        counts[NEAR],
        state.grip[row],
        state.visited[row],
        state.earned[row],
        before,
        lap,
    )
    if complete:
        counts[LAP] = 1
    for _ in range(counts[EARNED] - before):
        memory[REWARD] += 1000.0 / tiles

    solve(body, joint, poses)
    view[TIME] += DT
    _look(body, poses, memory, view)


@compiled
def control(action, memory):
    """Takes an action [3]: steering to the right, gas, brake. Only gas is clipped, and it rises slowly."""
    memory[WHEEL_STEER] = -action[0]
    more = min(max(action[1], 0.0), 1.0) - memory[GAS]
    memory[GAS] += min(more, GAS_RAMP)
    memory[BRAKE] = action[2]


@compiled
def drive(memory, grip, body, joint, poses, view):
    """What the wheels do in a step: motors of the joints, and velocities that the wheels' forces give them."""
    brake = memory[BRAKE]
    for i in range(4):
        steer = memory[WHEEL_STEER] if i < 2 else 0.0
        error = steer - np.float64(body[i, ANGLE] - body[HULL_BODY, ANGLE])
        joint[i, TARGET] = F(np.sign(error) * min(50.0 * abs(error), 3.0))

        gas = memory[GAS] if i >= 2 else 0.0
        omega = view[OMEGA + i]
        omega += DT * ENGINE_POWER * gas / WHEEL_INERTIA / (abs(omega) + 5.0)
        if brake >= 0.9:
            omega = 0.0
        elif brake > 0:
            omega += -np.sign(omega) * min(BRAKE_FORCE * brake, abs(omega))
        view[WHEEL + 4 * i + 3] += omega * DT

        sin, cos = np.float64(poses[i, SIN]), np.float64(poses[i, COS])
        vx, vy = np.float64(body[i, VX]), np.float64(body[i, VY])
        ahead = (-(-sin * vx + cos * vy) + omega * WHEEL_RADIUS) * STIFFNESS
        aside = -(cos * vx + sin * vy) * STIFFNESS
        force = math.sqrt(ahead * ahead + aside * aside)
        most = GRIP if grip[i] else GRIP * GRASS
        if force > most:
            ahead, aside = ahead / force * most, aside / force * most
        view[OMEGA + i] = omega - DT * ahead * WHEEL_RADIUS / WHEEL_INERTIA
        body[i, VX] += H * (WHEEL_M * F(aside * cos + ahead * -sin))
        body[i, VY] += H * (WHEEL_M * F(aside * sin + ahead * cos))


@compiled
def _look(body, poses, memory, view):
    """Writes what a picture shows."""
    for number in range(4):
        for value in range(3):
            view[WHEEL + 4 * number + value] = body[number, value]
    hull = body[HULL_BODY]
    view[HULL], view[HULL + 1], view[HULL + 2] = poses[HULL_BODY, 0], poses[HULL_BODY, 1], hull[ANGLE]
    vx, vy = np.float64(hull[VX]), np.float64(hull[VY])
    view[SPEED] = math.sqrt(vx * vx + vy * vy)
    view[SPIN] = hull[TURN]
    view[STEER] = body[0, ANGLE] - hull[ANGLE]
    view[SCORE] = memory[REWARD]
