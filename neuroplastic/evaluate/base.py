"""Where trials run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics

Progress = Callable[[int, int], None]
"""Called with members done and members in all. What it raises ends the evaluation."""


class Evaluator(ABC):
    """Tries whole populations; a context manager that frees its workers."""

    @abstractmethod
    def evaluate(
        self,
        population: Population,
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Tries every member in one episode for each of seeds [E]; the result's rows are in the population's order.

        Args:
            population: whose members are tried.
            seeds: [E], the same for all members.
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
