"""When going on is pointless: the termination criteria of Hansen 2016 (arXiv 1604.00772), appendix B.3."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.search.ranking import Ranking

LONGEST = 20_000  # generations that a history goes back
WORST_CONDITION = 1e14
LARGEST_GROWTH = 1e4


class History:
    """Best, median and worst fitness of each of the last generations.

    Args:
        size: D.
        population: P.
        tol_fun: below which range of fitness the search has converged.
    """

    def __init__(self, size: int, population: int, tol_fun: float) -> None:
        self.short, self.long = (min(least + math.ceil(30 * size / population), LONGEST) for least in (10, 120))
        self.tol_fun = tol_fun
        self._generations = 0
        self._kept = np.empty((2 * LONGEST, 3))

    def anew(self, size: int, population: int) -> History:
        """One without a generation, for another D."""
        return History(size, population, self.tol_fun)

    def add(self, ranking: Ranking) -> None:
        """One more generation; a failed member counts as -inf."""
        if self._generations == len(self._kept):
            self._kept[:LONGEST] = self._kept[LONGEST:]
            self._generations = LONGEST
        fitness = ranking.sorted
        # The lower one of two medians: the mean of -inf and inf is no number.
        three = fitness[0], fitness[len(fitness) // 2], fitness[-1]
        self._kept[self._generations] = [-math.inf if each != each else each for each in three]
        self._generations += 1

    def reason(self, generation: int) -> str | None:
        """EqualFunValues, TolFun and Stagnation, at this generation of the whole search."""
        best, median, worst = self._kept[max(0, self._generations - LONGEST) : self._generations].T
        if len(best) >= self.short:
            recent = best[-self.short :]
            if (recent == recent[0]).all():
                return f"the best fitness was {recent[0]:g} in each of the last {self.short} generations"
            spread = recent.max() - min(recent.min(), worst[-1])  # never inf - inf: two of these numbers differ
            if spread < self.tol_fun:
                return f"fitness differs by {spread:.1e} only, which is below tol_fun = {self.tol_fun:g}"
        window = min(max(self.long, generation // 5), LONGEST)
        if len(best) >= window:
            part = math.ceil(0.3 * window)
            first, last = slice(-window, part - window), slice(-part, None)
            if all(_median(each[last]) <= _median(each[first]) for each in (best, median)):
                return f"neither the best nor the median fitness has risen over the last {window} generations"
        return None

    def tensor(self) -> Tensor:
        """[N, 3], N <= `LONGEST`, to be saved."""
        return torch.from_numpy(self._kept[max(0, self._generations - LONGEST) : self._generations].copy())

    def load(self, kept: Tensor) -> None:
        self._generations = min(len(kept), LONGEST)
        self._kept[: self._generations] = kept[-LONGEST:].numpy()


def _median(numbers: npt.NDArray[np.float64]) -> float:
    """The upper one of two, so that it is a number however infinite they are."""
    middle = len(numbers) // 2
    return float(np.partition(numbers, middle)[middle])


def spread_reason(center: Tensor, deviations: Tensor, widest: float, condition: float, sigma: float) -> str | None:
    """TolXUp, NoEffectCoord and ConditionCov.

    Args:
        center: m [D], in the precision of the rows.
        deviations: of each coordinate, float64 [D].
        widest: the standard deviation along the longest axis.
        condition: of the covariance.
        sigma: the first standard deviation.
    """
    if widest > LARGEST_GROWTH * sigma:
        return (
            f"the standard deviation grew from {sigma:g} to {widest:.1e}: the fitness has no top, or sigma is too small"
        )
    if bool((center + (0.2 * deviations).to(center.dtype) == center).any()):
        return f"a fifth of the standard deviation is lost in rounding the center to {center.dtype}"
    if condition > WORST_CONDITION:
        return f"the covariance has a condition number of {condition:.1e}"
    return None
