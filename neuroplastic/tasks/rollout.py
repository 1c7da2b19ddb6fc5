"""A genome is tried by the life of a policy in a Gymnasium environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.genome import Codec, Layout
from neuroplastic.plastic.network import Policy
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.bodies import Rows, make_bodies, step_limit
from neuroplastic.tasks.crews import Crew, begin_step, shares, take_turns
from neuroplastic.tasks.lives import LifeRules, Lives
from neuroplastic.tasks.recovery import RECOVERY, Recovery
from neuroplastic.tasks.statistics import Statistics


class PolicyFactory(Protocol):
    def __call__(self, inputs: tuple[int, ...], outputs: int) -> Policy: ...


@dataclass
class RolloutTask:
    """Lives in a Gymnasium environment; fitness is the sum of rewards, averaged over the variations.

    Attributes:
        env: a Gymnasium id, ``module:id`` included.
        policy: makes the policy for an observation's shape and a number of outputs.
        env_options: keyword arguments of ``gymnasium.make``.
        variations: further keyword arguments, environments of their own; every member lives in all of them.
        rules: when a life begins to count and when it ends.
        squash: what makes actions of raw outputs, one for each (`spaces.SQUASHES`); without it outputs in [-1, 1] are
            stretched over the space of actions.
        batch: lives that go on side by side.
        crews: parts of the batch that take turns: the bodies of one move while the network of another computes, if
            that is done elsewhere. Each has a policy of its own.
        measures: names in the last ``info`` that are reported beside fitness, averaged over the variations.
        normalise: observations reach the policy with mean 0 and variance 1, by the statistics that trials share; each
            trial reports the statistics of what it observed.
        fresh: every life has an environment made for it: for those that keep something over their reset.
        recovery: the moment after which each life's steps to recover are a further measure, `RECOVERY`.

    Raises:
        ArgumentError, MissingExtraError, SpaceError: by `check`, before any trial.
    """

    env: str
    policy: PolicyFactory
    env_options: Mapping[str, Any] = field(default_factory=dict)
    variations: Sequence[Mapping[str, Any]] = ({},)
    rules: LifeRules = field(default_factory=LifeRules)
    squash: Sequence[str] = ()
    batch: int = 8
    crews: int = 1
    measures: Sequence[str] = ()
    normalise: bool = False
    fresh: bool = False
    recovery: Recovery | None = None

    def __post_init__(self) -> None:
        check_range("task.batch", self.batch, low=1)
        check_range("task.crews", self.crews, low=1, high=self.batch)
        if not self.variations:
            raise ArgumentError("task.variations: expected at least one (which may be empty: {}); got none")
        self._built: dict[tuple[int, int], Lives] = {}
        self._policies: list[Policy] = []

    def __getstate__(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return own | {"_built": {}, "_policies": []}

    def _lives(self, variation: int, crew: int = 0) -> Lives:
        if (variation, crew) not in self._built:
            options = {**self.env_options, **self.variations[variation]}
            bodies = make_bodies(self.env, shares(self.batch, self.crews)[crew], options, self.fresh, self.squash)
            self._built[variation, crew] = Lives(bodies, self.rules, diary=self.recovery is not None)
        return self._built[variation, crew]

    @cached_property
    def inputs(self) -> int:
        """I, numbers in an observation."""
        return self._lives(0).bodies.inputs

    def make_policy(self) -> Policy:
        """A policy that fits the bodies, and has not been born."""
        bodies = self._lives(0).bodies
        return self.policy(inputs=bodies.shape, outputs=bodies.outputs)

    def _policy(self, crew: int = 0) -> Policy:
        while len(self._policies) <= crew:
            self._policies.append(self.make_policy())
        return self._policies[crew]

    @property
    def layout(self) -> Layout:
        return self._policy().layout

    @property
    def codec(self) -> Codec:
        """From what a search proposes to genomes."""
        return self._policy().codec

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
                lives = self._lives(variation)
                rows = lives.begin(np.zeros(1, np.intp), np.zeros(1, np.int64))
                if self.rules.idle:
                    lives.bodies.step(
                        rows, np.zeros((len(rows), lives.bodies.outputs), np.float32), np.ones(len(rows), bool)
                    )
        finally:
            self.close()

    def check_room(self, processes: int = 1) -> None:
        """Refuses batches for which the policies' device has not enough memory, so many processes beside each other.

        Raises:
            DeviceError: it says for how many lives there is room.
        """
        try:
            if check := getattr(self._policy(), "check_room", None):
                check(self.batch, processes)
        finally:
            self.close()

    def _crew(self, variation: int, number: int) -> Crew:
        lives = self._lives(variation, number)
        observed = Statistics.nothing(lives.bodies.size, self.inputs) if self.normalise else None
        return Crew(lives, self._policy(number), observed)

    def evaluate(
        self,
        population: Population,
        index: Sequence[int],
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
    ) -> Evaluation:
        (members, episodes), variations = seeds.shape, len(self.variations)
        check_shape("seeds", seeds, [len(index), "E"])
        fitness = np.zeros((variations, members, episodes))
        steps = np.zeros((variations, members, episodes), np.int64)
        measures = {name: np.full_like(fitness, np.nan) for name in self.measures}
        if self.recovery:
            measures[RECOVERY] = np.full_like(fitness, np.nan)
        seen = Statistics.nothing(members, episodes, self.inputs) if self.normalise else None
        failures: Counter[str] = Counter()
        of_episode, of_member = (number.ravel() for number in np.indices((episodes, members)))
        births = seeds[of_member, of_episode]

        def genomes(trials: NDArray[np.intp]) -> Any:
            return newborn(self._policy(), population, [index[member] for member in of_member[trials]])

        for variation in range(variations):
            crews = [self._crew(variation, number) for number in range(self.crews)]
            for crew, trial, row in take_turns(crews, genomes, births, shared if self.normalise else None):
                lives, observed = crew.lives, crew.observed
                at = of_member[trial], of_episode[trial]
                fitness[variation, *at], steps[variation, *at] = lives.fitness[row], lives.steps[row]
                if row in lives.failures:  # what it observed and was told may be anything
                    fitness[variation, *at] = np.nan
                    failures[lives.failures[row]] += 1
                    continue
                for name in self.measures:
                    measures[name][variation, *at] = lives.bodies.measure(name, row)
                if self.recovery:
                    measures[RECOVERY][variation, *at] = self.recovery.steps(lives.rewards(row), lives.cut_short(row))
                if seen is not None and observed is not None:
                    seen.put(at, seen.take(at).merge(observed.take(row)))
        means = {name: values.mean(axis=0) for name, values in measures.items()}
        return Evaluation(fitness.mean(axis=0), steps.sum(axis=0), means, dict(failures), seen)

    def close(self) -> None:
        """Frees the bodies, and what policies hold that have a ``close``; both may be used again."""
        for lives in self._built.values():
            lives.bodies.close()
        self._built.clear()
        for policy in self._policies:
            if close := getattr(policy, "close", None):
                close()


def newborn(policy: Policy, population: Population, index: Sequence[int]) -> Any:
    """Members [p] as a policy takes them at birth: rows [p, D]; or, if it ``takes_samples``, a `genome.Sample`.

    Of a population that is no sample, everybody takes rows.
    """
    sample = population.sample(index) if getattr(policy, "takes_samples", False) else None
    return population.rows(index) if sample is None else sample


def live_on(
    lives: Lives, policy: Policy, rows: Rows, shared: Statistics | None, observed: Statistics | None = None
) -> Rows:
    """One step of some lives: observe, act, move. Returns the rows whose lives go on."""
    outputs, resting = begin_step(lives, policy.act, rows, shared, observed)
    return lives.step(rows, outputs, resting)
