"""Shares of right answers over the life of a learner, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuroplastic.experiment.scores import bootstrap_interval


@dataclass(frozen=True, eq=False)
class Curve:
    """What was right in E episodes after each of M marks.

    Attributes:
        marks: [M], updates or snippets, ascending.
        right: [E, M] float64, shares.
    """

    marks: tuple[int, ...]
    right: NDArray[np.float64]

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """[M]"""
        return self.right.mean(axis=0)

    @cached_property
    def interval(self) -> NDArray[np.float64]:
        """95 % bootstrap over episodes: low and high of each mean, [2, M]."""
        return np.transpose([bootstrap_interval(values) for values in self.right.T])

    def at(self, mark: int) -> NDArray[np.float64]:
        """[E]"""
        return self.right[:, self.marks.index(mark)]

    def summary(self) -> dict[str, list[float]]:
        """Mark -> mean, low, high."""
        rows = np.vstack((self.mean, self.interval)).T.tolist()
        return {str(mark): row for mark, row in zip(self.marks, rows, strict=True)}

    @classmethod
    def mean_of(cls, curves: Sequence[Curve]) -> Curve:
        """The mean over curves of the same episodes, in each episode."""
        return cls(curves[0].marks, np.mean([curve.right for curve in curves], axis=0))
