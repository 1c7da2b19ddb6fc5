"""Crews of lives that take turns: the bodies of one move while the network of another computes.

T trials, B lives of a crew side by side, b of them in a step; I/O numbers in an observation and in an action.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neuroplastic.plastic.network import Policy
from neuroplastic.tasks.bodies import Rows
from neuroplastic.tasks.lives import Lives
from neuroplastic.tasks.spaces import Vector
from neuroplastic.tasks.statistics import Statistics

Outputs = Callable[[], Vector]
"""Waits for the outputs of a step that was begun: [b, O]."""

Answer = TypeVar("Answer", bound=Outputs | Vector)
Ask = Callable[[Vector, Vector, Sequence[int]], Answer]
"""A policy's ``act``, answered by outputs, or its ``start``, by what waits for them."""


@runtime_checkable
class Starting(Protocol):
    """A `Policy` that can begin a step and go on with it while its caller does something else.

    It is asked by ``act`` where no other crew lives: nothing would be done meanwhile.
    """

    def start(self, observations: Vector, rewards: Vector, rows: Sequence[int]) -> Outputs:
        """Begins what ``act`` does: observations [b, I], rewards of the step before [b], rows [b].

        The arrays stay as they are until the outputs are taken, which happens at most once, and before anything else
        is asked of the policy; the outputs are read at once. If the rollout breaks off, nobody takes them.
        """
        ...


def shares(number: int, crews: int) -> list[int]:
    """So many of something for each crew, as evenly as possible, the larger ones first."""
    return [number // crews + (crew < number % crews) for crew in range(crews)]


class Crew:
    """Bodies and a policy of their own, whose lives step together. For one `take_turns`.

    Args:
        lives: of bodies in which nobody lives yet.
        policy: that lives in them.
        observed: [B] statistics of what each body's present life has observed, if they are wanted.

    Attributes:
        size: B, lives that go on side by side at most.
        rows: whose lives go on.
    """

    def __init__(self, lives: Lives, policy: Policy, observed: Statistics | None = None) -> None:
        self.lives, self.policy, self.observed = lives, policy, observed
        self.size = lives.bodies.size
        self.rows: Rows = np.zeros(0, np.intp)
        self._begin: Ask[Outputs | Vector] = policy.start if isinstance(policy, Starting) else policy.act
        self._trials = np.zeros(self.size, np.intp)  # that each row lives, or lived last
        self._before = self.rows  # who lived before the last step or birth, the newborn included
        self._step: tuple[Outputs | Vector, NDArray[np.bool_] | None] | None = None  # that was begun

    def bear(self, waiting: deque[int], genomes: Callable[[NDArray[np.intp]], Any], seeds: NDArray[np.int64]) -> None:
        """The next of the trials that wait are born where no life goes on."""
        free = np.setdiff1d(np.arange(self.size), self.rows)[: len(waiting)]
        self._trials[free] = [waiting.popleft() for _ in free]
        newborn = self._trials[free]
        self.policy.birth(genomes(newborn), seeds[newborn], free if len(free) < self.size else None)
        if self.observed is not None:
            self.observed.put(free, Statistics.nothing(len(free), self.lives.bodies.inputs))
        self._before = np.union1d(self.rows, free)
        self.rows = np.union1d(self.rows, self.lives.begin(free, seeds[newborn]))

    def start(self, shared: Statistics | None, alone: bool) -> None:
        """Observes, and begins a step of the network; if the crew is alone, the network is asked at once."""
        ask = self.policy.act if alone else self._begin
        self._step = begin_step(self.lives, ask, self.rows, shared, self.observed)

    def move(self) -> None:
        """Moves the bodies by the outputs of the step that was begun, if one was."""
        if self._step is not None:
            (outputs, resting), self._step = self._step, None
            self._before = self.rows
            self.rows = self.lives.step(self.rows, outputs() if callable(outputs) else outputs, resting)

    def over(self) -> list[tuple[Crew, int, int]]:
        """(this crew, trial, row) of each life that ended in the last step, or at its birth."""
        if len(self.rows) == len(self._before):
            return []
        return [(self, int(self._trials[row]), row) for row in np.setdiff1d(self._before, self.rows).tolist()]


def begin_step(
    lives: Lives, ask: Ask[Answer], rows: Rows, shared: Statistics | None, observed: Statistics | None = None
) -> tuple[Answer | Vector, NDArray[np.bool_] | None]:
    """Those of some lives that do not rest observe, and their networks are asked.

    Args:
        ask: their policy.
        rows: of the lives.
        shared: by which observations are normalised.
        observed: [B] statistics in which they are counted.

    Returns:
        The answer, or outputs [0, O] if all rest; and which rows rest, as of `Lives.resting`.
    """
    resting = lives.resting(rows)
    acting = rows if resting is None else rows[~resting]
    if not len(acting):
        return np.zeros((0, lives.bodies.outputs), np.float32), resting
    observations, rewards = lives.bodies.observations, lives.bodies.rewards
    if len(acting) < lives.bodies.size:
        observations, rewards = observations[acting], rewards[acting]
    if observed is not None:
        observed.add(acting, observations)
    if shared is not None:
        observations = shared.normalise(observations)
    return ask(observations, rewards.astype(np.float32), acting.tolist()), resting


def take_turns(
    crews: Sequence[Crew],
    genomes: Callable[[NDArray[np.intp]], Any],
    seeds: NDArray[np.int64],
    shared: Statistics | None = None,
) -> Iterator[tuple[Crew, int, int]]:
    """Trials [T], as many side by side as there are bodies: where a life is over, the next trial is born.

    In its turn a crew takes the outputs of the step that it had begun, moves its bodies, bears the next trials, and
    begins a step; then it is the next crew's turn. Of the first trials each crew is given an even share, of neighbours.

    Args:
        crews: new ones, as large as each other or nearly so.
        genomes: what policies take at the birth of some of the trials [t], such as [t, D].
        seeds: of the trials [T].
        shared: by which observations are normalised.

    Yields:
        (crew, trial, row) of each life that is over. What the crew's lives, bodies and statistics tell of the row holds
        until the next.
    """
    waiting, places = deque(range(len(seeds))), sum(crew.size for crew in crews)
    turns: deque[Crew] = deque()
    for crew, share in zip(crews, shares(min(len(seeds), places), len(crews)), strict=True):
        crew.size = min(crew.size, share)
        if crew.size:
            crew.bear(waiting, genomes, seeds)
            turns.append(crew)
    while turns:
        crew = turns.popleft()
        crew.move()
        yield from crew.over()
        while waiting and len(crew.rows) < crew.size:
            crew.bear(waiting, genomes, seeds)
            yield from crew.over()
        if len(crew.rows):
            crew.start(shared, alone=not turns)
            turns.append(crew)
