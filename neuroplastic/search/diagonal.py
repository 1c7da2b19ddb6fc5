"""What searches by one Gaussian with a deviation for each number share: PGPE and SNES."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.search.base import Bounds, Population, SampledPopulation, State, Strategy, diverged, first_center
from neuroplastic.search.projection import Projection


class DiagonalGaussian(Strategy):
    """N(θ, diag(σ²)), as small as θ and σ: noise is made again where it is needed, P × D numbers are never held.

    A subclass writes `_sample`, `_weigh` and `_update`. Fitness without a difference changes only the generation.

    Attributes:
        sigma: σ [D], in the precision of the center; kept where σ² and 1/σ² are finite and normal.
    """

    def __init__(self, center: Tensor, sigma: float, bounds: Bounds, seed: int) -> None:
        self.bounds = bounds
        self.center = bounds.nearest(first_center(center))
        numbers = torch.finfo(self.center.dtype)
        self._narrowest, self._widest = numbers.tiny**0.5, numbers.max**0.5
        check_range("sigma", sigma, low=self._narrowest, high=self._widest)
        self.sigma = torch.full_like(self.center, sigma)
        self.seed, self.generation = seed, 0

    @abstractmethod
    def _weigh(self, fitness: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Fitness [P] -> weights [P], all the same if nothing can be learned from it."""

    @abstractmethod
    def _update(self, population: SampledPopulation, weights: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """The next θ and σ."""

    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None:
        assert isinstance(population, SampledPopulation)
        weights = self._weigh(fitness)
        if weights.min() < weights.max():
            before = self.state_dict()
            center, sigma = self._update(population, weights)
            wrong = int((~torch.isfinite(center) | torch.isnan(sigma)).sum())
            if wrong:
                self._load(before)
                raise diverged(wrong, self.generation)
            self.center, self.sigma = center, sigma.clamp(self._narrowest, self._widest)
        self.generation += 1

    def _project(self, projection: Projection) -> None:
        self.center = projection.mean(self.center)
        variance = projection.mean(self.sigma.double().square())
        self.sigma = variance.sqrt().to(self.center.dtype).clamp(self._narrowest, self._widest)

    @property
    def stopped(self) -> str | None:
        """All members would round to the center."""
        if torch.equal(self.center + self.sigma, self.center):
            return f"sigma: at most {float(self.sigma.max()):g}, too small to change any number of the center"
        return None

    def metrics(self) -> dict[str, float]:
        low, high = torch.aminmax(self.sigma)
        return {"sigma": float(self.sigma.mean()), "sigma_min": float(low), "sigma_max": float(high)}

    def state_dict(self) -> State:
        return {"center": self.center, "sigma": self.sigma, "seed": self.seed, "generation": self.generation}

    def _load(self, state: State) -> None:
        for name in ("center", "sigma", "seed", "generation"):
            setattr(self, name, state[name])
