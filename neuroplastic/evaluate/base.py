"""Where trials run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import check_shape
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics

Progress = Callable[[int, int], None]
"""Called with members done and members in all. What it raises ends the evaluation."""


def seeds_of_all(population: Population, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seeds [P, E] of [P, E] or [E].

    Raises:
        ShapeError: they are neither.
    """
    if seeds.ndim == 1:
        return np.broadcast_to(seeds, (len(population), len(seeds)))
    check_shape("seeds", seeds, [len(population), "E"])
    return seeds


class Evaluator(ABC):
    """Tries whole populations; a context manager that frees its workers.

    Attributes:
        faults: what went wrong with workers since the start and was made good, by name.
    """

    faults: Mapping[str, int] = MappingProxyType({})

    @property
    def size(self) -> int:
        """Workers, of one thread each."""
        return 1

    @abstractmethod
    def evaluate(
        self,
        population: Population,
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Tries every member in E episodes; the result's rows are in the population's order.

        Args:
            population: whose P members are tried.
            seeds: of the episodes, [P, E], or [E] if they are the same for all members.
            shared: statistics of observations that all trials see.
            progress: told how many members are done; what it raises ends the evaluation.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees what was built."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
