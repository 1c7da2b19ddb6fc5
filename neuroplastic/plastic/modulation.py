"""What modulates the change of all weights of a network: a number m for each life and step, w <- w + m e."""

from __future__ import annotations

from typing import Any

MODULATIONS = ("none", "unit", "reward", "reward-prediction-error")


class PredictionError:
    """m = r - r̄, then r̄ <- r̄ + ρ (r - r̄): how much better the step before paid than this life is used to.

    Each life has a mean of its own, 0 at birth; see Legenstein et al. 2010, "A reward-modulated Hebbian learning rule
    can explain experimentally observed network reorganization in a brain control task".

    Args:
        means: r̄ at birth, zeros [B], an array or a tensor; it is kept. What else comes and goes is of the same kind.
        rate: ρ.
    """

    def __init__(self, means: Any, rate: float) -> None:
        self._means, self._rate = means, rate

    def replace(self, rows: Any) -> None:
        """Some rows [b] are newborn."""
        self._means[rows] = 0

    def __call__(self, rewards: Any, rows: Any) -> Any:
        """Rewards [b] of the step before of some rows [b] -> m [b]."""
        error = rewards - self._means[rows]
        self._means[rows] += self._rate * error
        return error
