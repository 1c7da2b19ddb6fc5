"""Fitness shaping: [P] numbers of any scale -> [P] weights that an update can use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Fitness = npt.NDArray[np.float64]


def centered_rank(fitness: Fitness) -> Fitness:
    """Ranks spread evenly over [-½, ½] (Salimans et al. 2017): equal ones share the average; NaN is below every number.

    All equal, or a single one: 0.
    """
    valid = ~np.isnan(fitness)
    numbers = np.sort(fitness[valid])
    failed = len(fitness) - len(numbers)
    # Twice the average rank is the first place plus the last one that a number could take.
    doubled = np.full(len(fitness), failed - 1, np.float64)
    doubled[valid] = 2 * failed - 1 + sum(np.searchsorted(numbers, fitness[valid], side) for side in ("left", "right"))
    top = max(len(fitness) - 1, 1)
    return (doubled - (len(fitness) - 1)) / (2 * top)


def z_score(fitness: Fitness) -> Fitness:
    """(F - mean) / std. Constant: 0. What is not finite counts as in `raw`."""
    numbers = raw(fitness)
    if numbers.min() == numbers.max():
        return np.zeros_like(fitness)
    numbers = numbers / np.abs(numbers).max()  # so that no square overflows or vanishes
    centered = numbers - numbers.mean()
    return centered / centered.std()


def raw(fitness: Fitness) -> Fitness:
    """The fitness itself; NaN and -inf count as the lowest finite one, +inf as the highest. 0 if none is finite."""
    finite = fitness[np.isfinite(fitness)]
    if not len(finite):
        return np.zeros_like(fitness)
    return np.nan_to_num(fitness, nan=finite.min(), neginf=finite.min(), posinf=finite.max())


# name -> fitness [P] -> weights [P]; the last is what Najarro & Risi 2020 use.
SHAPINGS: dict[str, Callable[[Fitness], Fitness]] = {
    "raw": raw,
    "z-score": z_score,
    "centered-rank": centered_rank,
    "centered-rank+z-score": lambda fitness: z_score(centered_rank(fitness)),
}

ORDINAL = frozenset({"centered-rank", "centered-rank+z-score"})
"""Those for which only the order of fitness counts."""
