"""One life: a body in an environment, from its first step to its last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from neuroplastic.errors import TrialError, check_range
from neuroplastic.tasks.spaces import Vector, action_writer, observation_reader, zero_action


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


@dataclass
class Life:
    """A life in ``env``, which is this life's alone until it is over.

    Attributes:
        observation: [I] float32, what the policy sees next.
        reward: the last one.
        fitness: sum of the rewards that count.
        steps: environment steps taken, idle ones included.
        over: nothing more can happen.
        info: what the environment said last.
    """

    env: gymnasium.Env
    rules: LifeRules
    fitness: float = 0.0
    steps: int = 0
    reward: float = 0.0
    over: bool = False
    info: dict[str, Any] = field(default_factory=dict)
    observation: Vector = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        self.inputs, self._read = observation_reader(self.env.observation_space)
        self.outputs, self._write = action_writer(self.env.action_space)
        self._unlucky = 0  # negative rewards in a row

    def begin(self, seed: int) -> Life:
        """A fresh life: reset, and the idle steps."""
        observation, self.info = self.env.reset(seed=int(seed))
        self.observation = self._read(observation)
        self.fitness, self.steps, self.reward, self.over, self._unlucky = 0.0, 0, 0.0, False, 0
        if self.rules.idle:
            rest = zero_action(self.env.action_space)
            while not self.over and self.steps < self.rules.idle:
                self._move(rest)
        return self

    def step(self, output: Vector) -> None:
        """Acts on the network's output [O].

        Raises:
            TrialError: the output or the reward is not finite.
        """
        if not np.isfinite(output).all():
            raise TrialError("the network's output is not finite")
        terminated = self._move(self._write(output))
        if not np.isfinite(self.reward):
            raise TrialError("the environment's reward is not finite")
        self.fitness += self.reward
        if self.steps - self.rules.idle > self.rules.grace:
            self._unlucky = self._unlucky + 1 if self.reward < 0 else 0
            self.over |= terminated or 0 < self.rules.patience < self._unlucky

    def _move(self, action: Any) -> bool:
        observation, reward, terminated, truncated, self.info = self.env.step(action)
        self.observation, self.reward = self._read(observation), float(reward)
        self.steps += 1
        self.over = truncated or self.steps == self.rules.horizon
        return terminated
