"""What modulates the change of all weights of a network: a number m for each life and step, w <- w + m e."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULATIONS = ("none", "unit", "reward", "reward-prediction-error")


class PredictionError:
    """m = r - r̄, then r̄ <- r̄ + ρ (r - r̄): how much better the step before paid than this life is used to.

    Each life has a mean of its own, 0 at birth; see Legenstein et al. 2010, "A reward-modulated Hebbian learning rule
    can explain experimentally observed network reorganization in a brain control task".

    Args:
        lives: B.
        rate: ρ.
        dtype: of the rewards.
    """

    def __init__(self, lives: int, rate: float, dtype: Any) -> None:
        self._means, self._rate = np.zeros(lives, dtype), rate

    def replace(self, rows: NDArray[np.int64]) -> None:
        """Some rows [b] are newborn."""
        self._means[rows] = 0

    def __call__(self, rewards: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rewards [b] of the step before of some rows [b] -> m [b]."""
        error = rewards - self._means[rows]
        self._means[rows] += self._rate * error
        return error
