"""Bounds for searches that learn a covariance: the space is folded at them, smoothly.

A search that is tried at the nearest points within bounds and learns from what it drew takes the way out of them for
progress, and its deviations grow without end. If it learns from the nearest points instead, a full covariance fails as
soon as a few bounds hold the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.search.base import Bounds, Index, Population

FARTHEST = 1e30  # bounds beyond are none


@dataclass(frozen=True)
class Fold:
    """A map of all numbers into bounds: the identity up to a margin inside them, mirrored at a margin outside them.

    In between it is a parabola whose apex is on the bound. So an optimum on the bound is as smooth as any other, and a
    search reaches it. (The map is that of pycma.)

    Attributes:
        margin: a; a twentieth of the way from bound to bound, or ``sigma`` if there is but one.
    """

    bounds: Bounds
    margin: float

    @classmethod
    def at(cls, bounds: Bounds, sigma: float) -> Fold:
        lower = None if bounds.lower is None or bounds.lower < -FARTHEST else bounds.lower
        upper = None if bounds.upper is None or bounds.upper > FARTHEST else bounds.upper
        margin = sigma if lower is None or upper is None else (upper - lower) / 20
        return cls(Bounds(lower, upper), margin)

    def __call__(self, numbers: Tensor) -> Tensor:
        if not self.bounds:
            return numbers
        lower, upper, a = self.bounds.lower, self.bounds.upper, self.margin
        x = numbers
        if lower is not None and upper is not None:
            period = 2 * (upper - lower + 2 * a)
            beyond = (x < lower - a) | (x > upper + a)
            x = torch.where(beyond, lower - a + torch.remainder(x - (lower - a), period), x)
        if upper is not None:
            x = torch.where(x > upper + a, 2 * (upper + a) - x, x)
            x = torch.where(x > upper - a, upper - (upper + a - x).square() / (4 * a), x)
        if lower is not None:
            x = torch.where(x < lower - a, 2 * (lower - a) - x, x)
            x = torch.where(x < lower + a, lower + (x - (lower - a)).square() / (4 * a), x)
        return self.bounds.nearest(x)

    def inverse(self, numbers: Tensor) -> Tensor:
        """Numbers that are mapped to these, or to the nearest ones within the bounds."""
        lower, upper, a = self.bounds.lower, self.bounds.upper, self.margin
        x = self.bounds.nearest(numbers)
        if upper is not None:
            x = torch.where(x > upper - a, upper + a - (4 * a * (upper - x)).clamp(min=0).sqrt(), x)
        if lower is not None:
            x = torch.where(x < lower + a, lower - a + (4 * a * (x - lower)).clamp(min=0).sqrt(), x)
        return x


@dataclass(frozen=True, eq=False)
class FoldedPopulation(Population):
    """A population whose numbers are folded into bounds."""

    population: Population
    fold: Fold

    def __len__(self) -> int:
        return len(self.population)

    def rows(self, index: Index) -> Tensor:
        return self.fold(self.population.rows(index))
