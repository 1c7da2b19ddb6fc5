"""Lives side by side, each from its first step to its last."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroplastic.errors import OrderError, check_range
from neuroplastic.tasks.bodies import Bodies, Rows
from neuroplastic.tasks.spaces import Vector


@dataclass(frozen=True)
class LifeRules:
    """When a life begins to count and when it ends.

    Attributes:
        horizon: steps at most, idle ones included; 0 = as long as the environment lets it.
        idle: first steps with zero action, which do not count for fitness (Najarro & Risi 2020 give 40 to the
            quadruped to fall on its feet).
        grace: after the idle ones, steps in which neither ``patience`` nor the environment's own end counts.
        patience: the life ends after more than this many negative rewards in a row; 0 = never.

    Raises:
        ArgumentError: a number is negative, or the horizon leaves nothing after the idle steps.
    """

    horizon: int = 0
    idle: int = 0
    grace: int = 0
    patience: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_range(f"task.{name}", value, low=0)
        if self.horizon:
            check_range("task.idle", self.idle, high=self.horizon - 1)


_GOES_ON, _OVER, _NOT_FINITE = range(3)


@njit(nogil=True, cache=True)
def _judge(rows, rewards, terminated, truncated, fitness, steps, unlucky, fates, horizon, idle, grace, patience):
    """Counts a step of rows [n] and its rewards; puts what has become of them into fates [B]. Whether all go on."""
    all_go_on = True
    for row in rows:
        steps[row] += 1
        fates[row] = _GOES_ON
        if not math.isfinite(rewards[row]):
            fates[row] = _NOT_FINITE
        else:
            over = truncated[row] or steps[row] == horizon
            if steps[row] > idle:
                fitness[row] += rewards[row]
            if steps[row] > idle + grace:
                unlucky[row] = unlucky[row] + 1 if rewards[row] < 0 else 0
                over = over or terminated[row] or (patience > 0 and unlucky[row] > patience)
            if over:
                fates[row] = _OVER
        all_go_on = all_go_on and fates[row] == _GOES_ON
    return all_go_on


@njit(nogil=True, cache=True)
def _all_finite(outputs):
    """Whether all outputs [b, O] are finite."""
    for row in range(len(outputs)):
        for number in outputs[row]:
            if not math.isfinite(number):
                return False
    return True


class Lives:
    """Up to B lives in as many bodies. No number of a life depends on the others.

    Attributes:
        bodies: whose observations and rewards come next.
        fitness: [B] float64, sums of the rewards that count.
        steps: [B] int64, environment steps taken, idle ones included.
        failures: row -> why the life failed.

    Args:
        bodies: whose lives they are.
        rules: when a life begins to count and when it ends.
        diary: whether the rewards of each life are kept.
    """

    def __init__(self, bodies: Bodies, rules: LifeRules, diary: bool = False) -> None:
        self.bodies, self.rules = bodies, rules
        self.fitness = np.zeros(bodies.size)
        self.steps = np.zeros(bodies.size, np.int64)
        self.failures: dict[int, str] = {}
        self._unlucky = np.zeros(bodies.size, np.int64)  # negative rewards in a row
        self._fates = np.zeros(bodies.size, np.int8)  # what the last step has made of each
        self._may_rest = False  # whether it is worth looking for rows in their idle steps
        self._diary = np.zeros((bodies.size, 1024)) if diary else None  # grows with the longest life

    def begin(self, rows: Rows, seeds: NDArray[np.int64]) -> Rows:
        """Fresh lives in some rows [b], from seeds [b]. Other rows stay as they are.

        Returns:
            The rows whose lives go on.
        """
        self.fitness[rows], self.steps[rows], self._unlucky[rows] = 0, 0, 0
        for row in rows.tolist():
            self.failures.pop(row, None)
        self.bodies.reset(rows, seeds)
        self._may_rest = self.rules.idle > 0
        return self._sound(rows)

    def resting(self, rows: Rows) -> NDArray[np.bool_] | None:
        """Which of some rows are in their idle steps [b]; None if none is."""
        if not self._may_rest:
            return None
        resting = self.steps[rows] < self.rules.idle
        self._may_rest = bool(resting.any())
        return resting if self._may_rest else None

    def step(self, rows: Rows, outputs: Vector, resting: NDArray[np.bool_] | None = None) -> Rows:
        """Moves some rows [b] and judges them.

        Args:
            outputs: of the networks of the rows that do not rest [a, O].
            resting: [b], rows that do nothing; None if all act.

        Returns:
            The rows whose lives go on.

        Raises:
            SpaceError: a row rests, and there is no action that does nothing.
        """
        if resting is not None:
            acting, outputs = outputs, np.zeros((len(rows), self.bodies.outputs), np.float32)
            outputs[~resting] = acting
        if not _all_finite(outputs):
            finite = np.isfinite(outputs).all(axis=1)
            self._fail(rows[~finite], "the network's output is not finite")
            rows, outputs, resting = rows[finite], outputs[finite], None if resting is None else resting[finite]
        if len(rows):
            self.bodies.step(rows, outputs, resting)
            rows = self._sound(rows)
        bodies, rules = self.bodies, self.rules
        all_go_on = _judge(
            rows, bodies.rewards, bodies.terminated, bodies.truncated, self.fitness, self.steps, self._unlucky,
            self._fates, rules.horizon, rules.idle, rules.grace, rules.patience,
        )  # fmt: skip
        if self._diary is not None:
            self._diary = _noted(self._diary, rows, self.steps[rows], bodies.rewards[rows])
        if all_go_on:
            return rows
        fates = self._fates[rows]
        self._fail(rows[fates == _NOT_FINITE], "the environment's reward is not finite")
        return rows[fates == _GOES_ON]

    def rewards(self, row: int) -> NDArray[np.float64]:
        """What the steps of a life have paid after the idle ones [n], for lives that keep a diary."""
        if self._diary is None:
            raise OrderError("rewards: expected lives with a diary; got some without")
        return self._diary[row, self.rules.idle : self.steps[row]]

    def cut_short(self, row: int) -> bool:
        """Whether a life that is over ended by a limit of steps alone, and would have gone on."""
        at_limit = self.bodies.truncated[row] or self.steps[row] == self.rules.horizon
        return bool(at_limit and not self.bodies.terminated[row])

    def _sound(self, rows: Rows) -> Rows:
        if not self.bodies.failures:
            return rows
        self.failures |= {row: self.bodies.failures[row] for row in rows.tolist() if row in self.bodies.failures}
        return np.array([row for row in rows.tolist() if row not in self.failures], np.intp)

    def _fail(self, rows: Rows, reason: str) -> None:
        self.failures |= dict.fromkeys(rows.tolist(), reason)


def _noted(
    diary: NDArray[np.float64], rows: Rows, steps: NDArray[np.int64], rewards: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The diary [B, n] with what the last of the ``steps`` [b] of some rows have paid [b]."""
    if len(steps) and steps.max() > diary.shape[1]:
        diary = np.concatenate([diary, np.zeros_like(diary)], axis=1)
    diary[rows, steps - 1] = rewards
    return diary
