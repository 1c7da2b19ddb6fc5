"""Running mean and variance of observations, merged from parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import check_shape

CLIP = 10.0
"""Normalised observations lie in [-CLIP, CLIP]."""


@dataclass(frozen=True)
class Statistics:
    """Count, mean and sum of squared deviations of vectors seen: Welford's three numbers, for any number of rows.

    Attributes:
        count: [...] float64.
        mean: [..., I] float64.
        m2: [..., I] float64, Σ (x - mean)².
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    @classmethod
    def nothing(cls, *shape: int) -> Statistics:
        """Of no vector at all: shape [..., I]."""
        return cls(np.zeros(shape[:-1]), np.zeros(shape), np.zeros(shape))

    def add(self, rows: NDArray[np.intp], observations: NDArray[np.float32]) -> None:
        """Counts one observation more in each of some rows [b]: observations [b, I] (Welford 1962)."""
        self.count[rows] += 1
        shift = observations - self.mean[rows]
        self.mean[rows] += shift / self.count[rows, None]
        self.m2[rows] += shift * (observations - self.mean[rows])

    def take(self, rows: Any) -> Statistics:
        """Of some rows."""
        return Statistics(self.count[rows], self.mean[rows], self.m2[rows])

    def put(self, rows: Any, other: Statistics) -> None:
        """Replaces some rows."""
        self.count[rows], self.mean[rows], self.m2[rows] = other.count, other.mean, other.m2

    def merge(self, other: Statistics) -> Statistics:
        """Of what both have seen (Chan, Golub & LeVeque 1979)."""
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)[..., None]
        shift = other.mean - self.mean
        mean = self.mean + shift * share
        m2 = self.m2 + other.m2 + shift * shift * self.count[..., None] * share
        return Statistics(count, mean, m2)

    def total(self) -> Statistics:
        """All rows merged into one, in their order: the sum does not depend on who computed which row."""
        inputs = self.mean.shape[-1]
        count, mean, m2 = self.count.reshape(-1), self.mean.reshape(-1, inputs), self.m2.reshape(-1, inputs)
        merged = Statistics.nothing(inputs)
        for row in range(len(count)):
            merged = merged.merge(Statistics(count[row], mean[row], m2[row]))
        return merged

    def normalise(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """(x - mean) / standard deviation, clipped to ±`CLIP`: [b, I] float32. Before anything was seen, x itself.

        An input that never varied is only shifted.
        """
        if self.count < 2:
            return observations
        deviation = np.sqrt(self.m2 / self.count)
        scaled = (observations - self.mean) / np.where(deviation > 1e-8, deviation, 1.0)
        return np.clip(scaled, -CLIP, CLIP).astype(np.float32)

    def state_dict(self) -> dict[str, Tensor]:
        """For checkpoints and agent files."""
        return {name: torch.from_numpy(np.array(value)) for name, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], prefix: str = "") -> Statistics:
        """What `state_dict` gave, of one row.

        Raises:
            KeyError: a part is missing.
            ShapeError: the parts have not the shapes [], [I] and [I].
        """
        count, mean, m2 = (torch.as_tensor(state[prefix + name]) for name in ("count", "mean", "m2"))
        check_shape(f"{prefix}count", count, [])
        check_shape(f"{prefix}mean", mean, ["I"])
        check_shape(f"{prefix}m2", m2, [len(mean)])
        return cls(*(part.to(torch.float64).numpy() for part in (count, mean, m2)))
