"""SNES: natural evolution strategies with a deviation for each number, and utilities in place of fitness."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import stream, weighted_moments
from neuroplastic.search.base import Bounds, Population, SampledPopulation
from neuroplastic.search.diagonal import DiagonalGaussian
from neuroplastic.search.projection import Projection
from neuroplastic.search.ranking import Ranking


class SNES(DiagonalGaussian):
    """Schaul, Glasmachers & Schmidhuber 2011, separable NES: algorithm 6 of Wierstra et al. 2014 (JMLR 15).

    Only the order of fitness matters.

    Args:
        center: μ to start from, float32 or float64 [D].
        population: λ; the paper takes 4 + ⌊3 ln D⌋.
        sigma: σ of the first generation, for every number.
        learning_rate: η_μ.
        sigma_learning_rate: η_σ; None: the paper's (3 + ln D) / (5 √D).
        lower, upper: bounds of all numbers; None: none.
        seed: of the noise.

    Raises:
        ArgumentError: a value out of its range.
    """

    summary = "many numbers of different scales, and fitness whose order alone can be trusted; nothing to tune"
    paper = "Schaul, Glasmachers & Schmidhuber 2011, High dimensions and heavy tails for natural evolution strategies"
    ordinal = True

    def __init__(
        self,
        center: Tensor,
        *,
        population: int = 200,
        sigma: float = 0.1,
        learning_rate: float = 1.0,
        sigma_learning_rate: float | None = None,
        lower: float | None = None,
        upper: float | None = None,
        seed: int = 0,
    ) -> None:
        check_range("population", population, low=2)
        check_range("learning_rate", learning_rate, low=0, above=True)
        super().__init__(center, sigma, Bounds(lower, upper), seed)
        self._by_size = sigma_learning_rate is None
        if sigma_learning_rate is None:
            sigma_learning_rate = default_rate(len(center))
        check_range("sigma_learning_rate", sigma_learning_rate, low=0)
        self.population = population
        self.learning_rate, self.sigma_learning_rate = learning_rate, sigma_learning_rate

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        return 10 * 4 * size / 1e6

    def _sample(self) -> Population:
        # algorithm 6: z_k = μ + σ s_k, s_k ~ N(0, I)
        streams = [stream(self.seed, "snes", self.generation, member) for member in range(self.population)]
        signs = np.ones(self.population, np.int8)
        return SampledPopulation(self.center, self.sigma, np.array(streams, np.uint64), signs)

    def _project(self, projection: Projection) -> None:
        super()._project(projection)
        if self._by_size:
            self.sigma_learning_rate = default_rate(projection.size)

    def _weigh(self, fitness: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return utilities(fitness)

    def _update(self, population: SampledPopulation, weights: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        u, mu, sigma = weights, self.center, self.sigma
        first, second = (
            moment.to(mu.device) for moment in weighted_moments(population.streams, u, u, len(mu), mu.dtype)
        )
        gradient_mu = first  # ∇μ J = Σ_k u_k s_k
        gradient_sigma = second - u.sum()  # ∇σ J = Σ_k u_k (s_k² - 1)
        return (
            mu + self.learning_rate * sigma * gradient_mu,  # μ ← μ + η_μ σ ∇μ J
            sigma * (self.sigma_learning_rate / 2 * gradient_sigma).exp(),  # σ ← σ exp(η_σ/2 ∇σ J)
        )


def default_rate(size: int) -> float:
    """η_σ = (3 + ln D) / (5 √D)."""
    return (3 + math.log(size)) / (5 * math.sqrt(size))


def utilities(fitness: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fitness shaping: u_k = max(0, ln(λ/2 + 1) - ln k) / Σ_j max(0, ln(λ/2 + 1) - ln j) - 1/λ of the k-th best: [λ].

    Their sum is 0. Equal ones share the mean of their places; NaN is below every number.
    """
    places = np.arange(1, len(fitness) + 1)
    u = np.maximum(0, math.log(len(fitness) / 2 + 1) - np.log(places))
    return Ranking(fitness).give(u / u.sum() - 1 / len(fitness))
