"""Lives side by side, each from its first step to its last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import check_range
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


class Lives:
    """Up to B lives in as many bodies. No number of a life depends on the others.

    Attributes:
        bodies: whose observations and rewards come next.
        fitness: [B] float64, sums of the rewards that count.
        steps: [B] int64, environment steps taken, idle ones included.
        failures: row -> why the life failed.
    """

    def __init__(self, bodies: Bodies, rules: LifeRules) -> None:
        self.bodies, self.rules = bodies, rules
        self.fitness = np.zeros(bodies.size)
        self.steps = np.zeros(bodies.size, np.int64)
        self.failures: dict[int, str] = {}
        self._unlucky = np.zeros(bodies.size, np.int64)  # negative rewards in a row

    def begin(self, seeds: NDArray[np.int64]) -> Rows:
        """Fresh lives in the first rows, one for each of seeds [b]: reset, and the idle steps.

        Returns:
            The rows whose lives go on.

        Raises:
            SpaceError: there are idle steps, and no action that does nothing.
        """
        rows = np.arange(len(seeds))
        self.fitness[:], self.steps[:], self._unlucky[:] = 0, 0, 0
        self.failures = {}
        self.bodies.reset(rows, seeds)
        rows = self._sound(rows)
        for _ in range(self.rules.idle):
            rows = self._move(rows, None)
            rows = rows[~self._out_of_time(rows)]
        return rows

    def step(self, rows: Rows, outputs: Vector) -> Rows:
        """Moves rows [b] by the network's outputs [b, O]; returns those whose lives go on."""
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            self._fail(rows[~finite], "the network's output is not finite")
            rows, outputs = rows[finite], outputs[finite]
        rows = self._move(rows, outputs)
        rewards = self.bodies.rewards[rows]
        if not np.isfinite(rewards).all():
            self._fail(rows[~np.isfinite(rewards)], "the environment's reward is not finite")
            rows = rows[np.isfinite(rewards)]
            rewards = self.bodies.rewards[rows]
        self.fitness[rows] += rewards
        over = self._out_of_time(rows)
        judged = self.steps[rows] > self.rules.idle + self.rules.grace
        if judged.any():
            unlucky = np.where(judged & (rewards < 0), self._unlucky[rows] + 1, 0)
            self._unlucky[rows] = unlucky
            over |= judged & self.bodies.terminated[rows]
            if self.rules.patience:
                over |= unlucky > self.rules.patience
        return rows[~over] if over.any() else rows

    def _move(self, rows: Rows, outputs: Vector | None) -> Rows:
        if len(rows):
            self.bodies.step(rows, outputs)
            self.steps[rows] += 1
        return self._sound(rows)

    def _out_of_time(self, rows: Rows) -> NDArray[np.bool_]:
        return self.bodies.truncated[rows] | (self.steps[rows] == self.rules.horizon)

    def _sound(self, rows: Rows) -> Rows:
        if not self.bodies.failures:
            return rows
        self.failures |= {row: self.bodies.failures[row] for row in rows.tolist() if row in self.bodies.failures}
        return np.array([row for row in rows.tolist() if row not in self.failures], np.intp)

    def _fail(self, rows: Rows, reason: str) -> None:
        self.failures |= dict.fromkeys(rows.tolist(), reason)
