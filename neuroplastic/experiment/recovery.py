"""What many lives' steps to recover say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroplastic.experiment.scores import resampled

Z = 1.959964  # of 95 %


@dataclass(frozen=True)
class Recovered:
    """How many lives recovered, and how soon.

    Who did not recover has taken longer than anybody seen. So the median is one over all lives that came to the
    moment, and infinite if most did not recover: it needs no guess of what lives cut short would have done later,
    while a median of the recovered alone would look the better the more were lost.

    Attributes:
        asked: lives that came to the moment, and long enough beyond it.
        share: of them, that recovered, with its Wilson interval (1927), which is no single point where all or none did.
        median: of the steps of all of them (of an even number the lower of the middle two), with its bootstrap
            interval; infinite where too few recovered.
    """

    asked: int
    share: float
    share_low: float
    share_high: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, steps: NDArray[np.float64]) -> Recovered | None:
        """Of steps to recover, as `tasks.recovery` counts them; None if no life was asked."""
        steps = steps[~np.isnan(steps)]
        if len(steps) == 0:
            return None
        n, share = len(steps), float(np.isfinite(steps).mean())
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
        medians = np.sort(resampled(steps, _median))  # quantiles by rank: none lies between a number and infinity
        low, high = medians[round(0.025 * (len(medians) - 1))], medians[round(0.975 * (len(medians) - 1))]
        return cls(n, share, float(middle - half), float(middle + half), float(_median(steps)), float(low), float(high))

    def summary(self) -> dict[str, Any]:
        """Plain values for a JSON file, in which None stands for infinitely many steps."""
        return {name: value if np.isfinite(value) else None for name, value in vars(self).items()}


def _median(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of [..., n], by rank."""
    rank = (steps.shape[-1] - 1) // 2
    return np.partition(steps, rank, axis=-1)[..., rank]
