"""What a genome is tried on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuroplastic.genome import Layout
from neuroplastic.search.base import Population
from neuroplastic.tasks.statistics import Statistics


@dataclass(frozen=True)
class Evaluation:
    """How p members did in E episodes.

    Attributes:
        fitness: [p, E] float64, to be maximised; NaN where the trial failed.
        steps: [p, E] int64, environment steps taken.
        measures: further numbers by name, each [p, E] float64, such as the distance in metres.
        failures: reason of failure -> number of trials that failed so.
        statistics: of the observations of each trial, [p, E] and [p, E, I]; None if the task keeps none.
        outcomes: what else each member's trials leave behind, [p], None for one that failed; empty if they leave
            nothing.
    """

    fitness: NDArray[np.float64]
    steps: NDArray[np.int64]
    measures: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    statistics: Statistics | None = None
    outcomes: tuple[Any, ...] = ()

    @classmethod
    def concatenate(cls, parts: Sequence[Evaluation]) -> Evaluation:
        """The members of all parts, in their order."""
        failures: Counter[str] = Counter()
        for part in parts:
            failures.update(part.failures)
        left = [part.outcomes or (None,) * len(part.fitness) for part in parts]
        return cls(
            np.concatenate([part.fitness for part in parts]),
            np.concatenate([part.steps for part in parts]),
            {name: np.concatenate([part.measures[name] for part in parts]) for name in parts[0].measures},
            dict(failures),
            _concatenate([part.statistics for part in parts if part.statistics is not None]),
            tuple(chain.from_iterable(left)) if any(part.outcomes for part in parts) else (),
        )


def _concatenate(parts: Sequence[Statistics]) -> Statistics | None:
    if not parts:
        return None
    return Statistics(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("count", "mean", "m2")))


class Task(Protocol):
    """Anything that can try members of a population. Picklable and cheap to build; what is dear is built when used."""

    @property
    def layout(self) -> Layout:
        """The genome that this task tries."""
        ...

    @property
    def batch(self) -> int:
        """How many members are best tried in one call."""
        ...

    def evaluate(
        self,
        population: Population,
        index: Sequence[int],
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
    ) -> Evaluation:
        """Tries the members ``index`` [p], each in the episodes of its ``seeds`` [p, E].

        The numbers of a trial depend on its genome, its seed and ``shared`` alone; that is what all trials of a
        generation see: the statistics of observations, which stay as they are while it lasts.
        """
        ...

    def close(self) -> None:
        """Frees what was built."""
        ...
