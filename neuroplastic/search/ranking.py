"""The order of a generation, best first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Fitness = npt.NDArray[np.float64]


class Ranking:
    """Fitness [P] in order; NaN comes last, below -inf.

    Attributes:
        sorted: [P], from the best to the worst.
        same: whether all members are equally fit, or all failed: there is nothing to learn.
    """

    def __init__(self, fitness: Fitness) -> None:
        self._order = (-fitness).argsort(kind="stable")
        self.sorted = fitness[self._order]
        best, worst = self.sorted[0], self.sorted[-1]
        self.same = bool(best == worst or np.isnan(best))

    def give(self, weights: Fitness) -> Fitness:
        """Weights [P] of the ranks, the best one's first -> of the members [P]; equally fit ones share the average."""
        ranked = self.sorted
        shared = np.empty_like(weights)
        new = (ranked[1:] != ranked[:-1]) & (ranked[:-1] == ranked[:-1])  # NaN is not equal to itself, but ties
        if new.all():
            shared[self._order] = weights
        else:
            starts = np.concatenate([[0], new.nonzero()[0] + 1])
            counts = np.diff(starts, append=len(ranked))
            shared[self._order] = np.repeat(np.add.reduceat(weights, starts) / counts, counts)
        return shared
