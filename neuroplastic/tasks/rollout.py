"""A genome is tried by the life of a policy in a Gymnasium environment."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, MissingExtraError, check_range
from neuroplastic.genome import Layout
from neuroplastic.plastic.network import Policy
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.life import Life, LifeRules


class PolicyFactory(Protocol):
    def __call__(self, inputs: int, outputs: int) -> Policy: ...


def make_env(env: str, **options: Any) -> gymnasium.Env:
    """``gymnasium.make`` with errors in one line.

    Raises:
        ArgumentError: no such id, or the environment refuses the options.
        MissingExtraError: the environment needs a library that is not installed.
    """
    try:
        return gymnasium.make(env, disable_env_checker=True, **options)
    except (DependencyNotInstalled, ImportError) as error:
        raise MissingExtraError(f"{env} needs something that is not installed: {error}") from error
    except gymnasium.error.Error as error:
        raise _unknown_env(env, error) from error
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"task.env: {env} cannot be made with {options}: {error}") from error


def step_limit(env: str, options: Mapping[str, Any], horizon: int = 0) -> int | None:
    """Steps that a life has at most: the horizon or the environment's own limit; None if there is neither.

    Raises:
        ArgumentError, MissingExtraError: no such id.
    """
    module, _, name = env.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        own = options.get("max_episode_steps", gymnasium.spec(name).max_episode_steps)
    except ImportError as error:
        raise MissingExtraError(f"{env} needs something that is not installed: {error}") from error
    except gymnasium.error.Error as error:
        raise _unknown_env(env, error) from error
    return min((limit for limit in (horizon, own) if limit), default=None)


def _unknown_env(env: str, error: Exception) -> ArgumentError:
    return ArgumentError(f"task.env: expected the id of a registered environment; got {env!r} ({error})")


@dataclass
class RolloutTask:
    """Lives in a Gymnasium environment; fitness is the sum of rewards, averaged over the variations.

    Attributes:
        env: a Gymnasium id, ``module:id`` included.
        policy: makes the policy for a number of inputs and outputs.
        env_options: keyword arguments of ``gymnasium.make``.
        variations: further keyword arguments, one environment each; every member lives in all of them.
        rules: when a life begins to count and when it ends.
        batch: lives that go on side by side.
        measures: names in the last ``info`` that are reported beside fitness, averaged over the variations.

    Raises:
        ArgumentError, MissingExtraError, SpaceError: by `check`, or when `layout` is first asked for.
    """

    env: str
    policy: PolicyFactory
    env_options: Mapping[str, Any] = field(default_factory=dict)
    variations: Sequence[Mapping[str, Any]] = ({},)
    rules: LifeRules = field(default_factory=LifeRules)
    batch: int = 8
    measures: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_range("task.batch", self.batch, low=1)
        if not self.variations:
            raise ArgumentError("task.variations: expected at least one (which may be empty: {}); got none")
        self._lives: dict[tuple[int, int], Life] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"_lives": {}}

    def make(self, variation: Mapping[str, Any], **options: Any) -> Life:
        """A life in a fresh environment; the caller closes ``life.env``."""
        return Life(make_env(self.env, **{**self.env_options, **variation, **options}), self.rules)

    @cached_property
    def _policy(self) -> Policy:
        # Every variation is made here, so that one that cannot be is refused before work starts.
        lives = [self._life(variation, row=0) for variation in range(len(self.variations))]
        if self.rules.idle:
            lives[0].begin(seed=0)
        return self.policy(inputs=lives[0].inputs, outputs=lives[0].outputs)

    @property
    def layout(self) -> Layout:
        return self._policy.layout

    def check(self) -> None:
        """Makes what a trial needs and frees it again: what cannot be made is refused before work starts.

        Raises:
            ArgumentError, MissingExtraError, SpaceError: as the class says.
        """
        try:
            self.layout  # noqa: B018
        finally:
            self.close()

    @property
    def steps_at_most(self) -> int | None:
        """Environment steps of one trial at most, over all variations; None if nothing bounds them."""
        limit = step_limit(self.env, self.env_options, self.rules.horizon)
        return None if limit is None else limit * len(self.variations)

    def _life(self, variation: int, row: int) -> Life:
        if (variation, row) not in self._lives:
            self._lives[variation, row] = self.make(self.variations[variation])
        return self._lives[variation, row]

    def evaluate(self, population: Population, index: Sequence[int], seeds: NDArray[np.int64]) -> Evaluation:
        members, episodes, variations = len(index), len(seeds), len(self.variations)
        fitness = np.zeros((variations, members, episodes))
        steps = np.zeros((variations, members, episodes), np.int64)
        measures = {name: np.full_like(fitness, np.nan) for name in self.measures}
        failures: Counter[str] = Counter()
        trials = [(member, episode) for episode in range(episodes) for member in range(members)]
        for start in range(0, len(trials), self.batch):
            some = trials[start : start + self.batch]
            genomes = population.rows([index[member] for member, _ in some])
            births = seeds[[episode for _, episode in some]]
            for variation in range(variations):
                reasons = self._live(variation, genomes, births)
                for row, (member, episode) in enumerate(some):
                    life, at = self._life(variation, row), (variation, member, episode)
                    steps[at] = life.steps
                    if row in reasons:
                        fitness[at] = np.nan
                        failures[reasons[row]] += 1
                        self._discard(variation, row)
                        continue
                    fitness[at] = life.fitness
                    for name, values in measures.items():
                        values[at] = life.info.get(name, np.nan)
        means = {name: values.mean(axis=0) for name, values in measures.items()}
        return Evaluation(fitness.mean(axis=0), steps.sum(axis=0), means, dict(failures))

    def _live(self, variation: int, genomes: torch.Tensor, seeds: NDArray[np.int64]) -> dict[int, str]:
        """One life for each row of genomes [b, D], side by side; returns why rows failed."""
        lives = [self._life(variation, row) for row in range(len(seeds))]
        reasons: dict[int, str] = {}
        observations = np.zeros((len(lives), lives[0].inputs), np.float32)
        rewards = np.zeros(len(lives), np.float32)

        def attempt(row: int, act, *args) -> bool:
            """True while the life goes on. A faulty environment is a failed trial, not the end of the run."""
            try:
                act(*args)
            except Exception as error:
                reasons[row] = f"{type(error).__name__}: {error}"
                return False
            observations[row], rewards[row] = lives[row].observation, lives[row].reward
            return not lives[row].over

        self._policy.birth(genomes, seeds)
        alive = [row for row, life in enumerate(lives) if attempt(row, life.begin, seeds[row])]
        while alive:
            seen, paid = torch.from_numpy(observations[alive]), torch.from_numpy(rewards[alive])
            outputs = self._policy.act(seen, paid, alive).numpy()
            alive = [row for row, output in zip(alive, outputs, strict=True) if attempt(row, lives[row].step, output)]
        return reasons

    def _discard(self, variation: int, row: int) -> None:
        """After a failure the environment's state is unknown: a new one is made when it is needed."""
        self._lives.pop((variation, row)).env.close()

    def close(self) -> None:
        for life in self._lives.values():
            life.env.close()
        self._lives.clear()
