"""A genome is tried by the life of a policy in a Gymnasium environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.genome import Layout
from neuroplastic.plastic.network import Policy
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.bodies import Rows, make_bodies, step_limit
from neuroplastic.tasks.lives import LifeRules, Lives
from neuroplastic.tasks.statistics import Statistics


class PolicyFactory(Protocol):
    def __call__(self, inputs: int, outputs: int) -> Policy: ...


@dataclass
class RolloutTask:
    """Lives in a Gymnasium environment; fitness is the sum of rewards, averaged over the variations.

    Attributes:
        env: a Gymnasium id, ``module:id`` included.
        policy: makes the policy for a number of inputs and outputs.
        env_options: keyword arguments of ``gymnasium.make``.
        variations: further keyword arguments, environments of their own; every member lives in all of them.
        rules: when a life begins to count and when it ends.
        batch: lives that go on side by side.
        measures: names in the last ``info`` that are reported beside fitness, averaged over the variations.
        normalise: observations reach the policy with mean 0 and variance 1, by the statistics that trials share; each
            trial reports the statistics of what it observed.
        fresh: every life has an environment made for it: for those that keep something over their reset.

    Raises:
        ArgumentError, MissingExtraError, SpaceError: by `check`, before any trial.
    """

    env: str
    policy: PolicyFactory
    env_options: Mapping[str, Any] = field(default_factory=dict)
    variations: Sequence[Mapping[str, Any]] = ({},)
    rules: LifeRules = field(default_factory=LifeRules)
    batch: int = 8
    measures: Sequence[str] = ()
    normalise: bool = False
    fresh: bool = False

    def __post_init__(self) -> None:
        check_range("task.batch", self.batch, low=1)
        if not self.variations:
            raise ArgumentError("task.variations: expected at least one (which may be empty: {}); got none")
        self._built: dict[int, Lives] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"_built": {}}

    def _lives(self, variation: int) -> Lives:
        if variation not in self._built:
            options = {**self.env_options, **self.variations[variation]}
            self._built[variation] = Lives(make_bodies(self.env, self.batch, options, fresh=self.fresh), self.rules)
        return self._built[variation]

    @cached_property
    def inputs(self) -> int:
        """I, numbers in an observation."""
        return self._lives(0).bodies.inputs

    @cached_property
    def _policy(self) -> Policy:
        return self.policy(inputs=self.inputs, outputs=self._lives(0).bodies.outputs)

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
            for variation in self.variations:
                limit = step_limit(self.env, {**self.env_options, **variation}, self.rules.horizon)
                if limit is not None:
                    check_range("task.idle", self.rules.idle, high=limit - 1)
            for variation in range(len(self.variations)):
                self._lives(variation).begin(np.zeros(1, np.int64))
        finally:
            self.close()

    def evaluate(
        self,
        population: Population,
        index: Sequence[int],
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
    ) -> Evaluation:
        (members, episodes), variations = seeds.shape, len(self.variations)
        check_shape("seeds", seeds, [len(index), "E"])
        policy = self._policy
        fitness = np.zeros((variations, members, episodes))
        steps = np.zeros((variations, members, episodes), np.int64)
        measures = {name: np.full_like(fitness, np.nan) for name in self.measures}
        seen = Statistics.nothing(members, episodes, self.inputs) if self.normalise else None
        failures: Counter[str] = Counter()
        trials = [(member, episode) for episode in range(episodes) for member in range(members)]
        for start in range(0, len(trials), self.batch):
            some = trials[start : start + self.batch]
            rows = range(len(some))
            of_member, of_episode = np.array(some).T
            genomes = population.rows([index[member] for member in of_member])
            for variation in range(variations):
                lives = self._lives(variation)
                births = seeds[of_member, of_episode]
                policy.birth(genomes, births)
                observed = live(lives, policy, births, shared if self.normalise else None, self.normalise)
                at = variation, of_member, of_episode
                fitness[at], steps[at] = lives.fitness[rows], lives.steps[rows]
                for name, values in measures.items():
                    values[at] = [lives.bodies.measure(name, row) for row in rows]
                if seen is not None and observed is not None:
                    place = of_member, of_episode
                    seen.put(place, seen.take(place).merge(observed))
                for row, reason in lives.failures.items():
                    fitness[variation, of_member[row], of_episode[row]] = np.nan
                    failures[reason] += 1
        means = {name: values.mean(axis=0) for name, values in measures.items()}
        return Evaluation(fitness.mean(axis=0), steps.sum(axis=0), means, dict(failures), seen)

    def close(self) -> None:
        for lives in self._built.values():
            lives.bodies.close()
        self._built.clear()


def live(
    lives: Lives, policy: Policy, seeds: NDArray[np.int64], shared: Statistics | None = None, observe: bool = False
) -> Statistics | None:
    """The lives of a policy that was just born, one for each of seeds [b], until the last is over.

    Args:
        lives: in at least b bodies.
        policy: with b rows.
        seeds: of the episodes.
        shared: by which observations are normalised.
        observe: whether to keep statistics of what is observed.

    Returns:
        The statistics of each row's observations [b], if asked for.
    """
    observed = Statistics.nothing(len(seeds), lives.bodies.inputs) if observe else None
    rows = lives.begin(seeds)
    while len(rows):
        rows = live_on(lives, policy, rows, shared, observed)
    if observed is not None:
        for row in lives.failures:  # what a failed life observed may be anything
            observed.put(row, Statistics.nothing(lives.bodies.inputs))
    return observed


def live_on(
    lives: Lives, policy: Policy, rows: Rows, shared: Statistics | None, observed: Statistics | None = None
) -> Rows:
    """One step of some lives: observe, act, move. Returns the rows whose lives go on."""
    observations = lives.bodies.observations[rows]
    if observed is not None:
        observed.add(rows, observations)
    if shared is not None:
        observations = shared.normalise(observations)
    rewards = torch.from_numpy(lives.bodies.rewards[rows].astype(np.float32))
    return lives.step(rows, policy.act(torch.from_numpy(observations), rewards, rows.tolist()).numpy())
