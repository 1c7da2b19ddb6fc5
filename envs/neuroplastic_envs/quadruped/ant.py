"""One ant as the stock environment sees it: what it observes, what it is rewarded for, when it has fallen."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .damage import Damage
from .simulation import TIMESTEP, Simulation, State

OBSERVATIONS, ACTIONS = 28, 8
CLIP = 5.0  # observations lie in [-CLIP, CLIP]
TARGET_X = 1000.0  # m; the ant is to walk to (TARGET_X, 0)
LOWEST_TORSO = 0.26  # m; its radius is 0.25
AT_LIMIT = float(np.float32(0.99))  # of the way from the middle of a joint's range to its end
ELECTRICITY, STALL, JOINT_AT_LIMIT = -2.0, -0.1, -0.1

Array = NDArray[np.float32]


class Outcome(NamedTuple):
    """One step: the four parts of the stock reward, and what else there is to know.

    The stock environment's fifth part, for collisions of feet, is always zero.
    """

    alive: float  # +1, or -1 where the torso scrapes the floor
    progress: float  # speed towards the target in m/s
    electricity: float  # cost of torque and speed, <= 0
    joints_at_limit: float  # cost of joints at their limits, <= 0
    distance: float  # m along +x since the reset
    finite: bool  # no NaN in the observation


class Ant:
    """One ant in a world of its own."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    def reset(self, angles: Sequence[float], damages: tuple[Damage, ...] = ()) -> Array:
        """Starts an episode with these joint angles [8] (radians); returns the first observation [28]."""
        state = self.simulation.reset(angles, damages)
        self._start_x, _, self._start_z = state.position
        self._potential = _potential(state)
        self._feet = [0.0] * len(state.feet)
        return self._values(state).clip(-CLIP, CLIP)

    def step(self, action: NDArray[Any]) -> tuple[Array, Outcome]:
        """One step with finite actions [8]: torque as a fraction of the largest.

        Torques are clipped to [-1, 1]; as in the stock environment, the electricity is billed for what was asked.
        """
        torques = [
            gain * (ask if -1.0 <= ask <= 1.0 else math.copysign(1.0, ask))
            for gain, ask in zip(self.simulation.gains, action.tolist(), strict=True)
        ]
        state = self.simulation.step(torques)
        values = self._values(state)
        observation = values.clip(-CLIP, CLIP)
        self._feet = state.feet

        potential = _potential(state)
        progress, self._potential = potential - self._potential, potential
        # float32 throughout, so that sums round as the stock environment's do
        power = float(np.add.reduce(np.abs(action * values[9:24:2]))) / ACTIONS
        current = float(np.add.reduce(np.square(action))) / ACTIONS
        at_limit = sum(abs(angle) > AT_LIMIT for angle in values[8:24:2].tolist())
        return observation, Outcome(
            alive=1.0 if float(observation[0]) + self._start_z > LOWEST_TORSO else -1.0,
            progress=progress,
            electricity=ELECTRICITY * power + STALL * current,
            joints_at_limit=JOINT_AT_LIMIT * at_limit,
            distance=state.position[0] - self._start_x,
            finite=math.isfinite(float(observation @ observation)),
        )

    def _values(self, state: State) -> Array:
        """The observation [28] before it is clipped. Its contacts are those of the step before, as in the stock."""
        roll, pitch, yaw = state.rotation
        vx, vy, vz = state.velocity
        sin, cos = math.sin(yaw), math.cos(yaw)
        x, y = state.center
        bearing = math.atan2(-y, TARGET_X - x) - yaw
        values = [
            state.position[2] - self._start_z,
            math.sin(bearing),
            math.cos(bearing),
            0.3 * (cos * vx + sin * vy),
            0.3 * (cos * vy - sin * vx),
            0.3 * vz,
            roll,
            pitch,
        ]
        for angle, speed, low, high in zip(
            state.angles, state.speeds, self.simulation.lower, self.simulation.upper, strict=True
        ):
            values += (2 * (angle - low) / (high - low) - 1, 0.1 * speed)
        return np.array(values + self._feet, np.float32)


def _potential(state: State) -> float:
    """Minus the time in which the target would be reached at 1 m/s, in steps."""
    x, y = state.center
    return -math.hypot(TARGET_X - x, y) / TIMESTEP
