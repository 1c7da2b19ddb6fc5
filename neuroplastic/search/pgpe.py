"""PGPE: the gradient of expected fitness by the center and the deviations of a Gaussian, from antithetic pairs."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.noise import stream, weighted_moments
from neuroplastic.search.base import Bounds, Population, SampledPopulation, State
from neuroplastic.search.diagonal import DiagonalGaussian
from neuroplastic.search.optimizers import SGD, Adam, ClipUp
from neuroplastic.search.projection import Projection
from neuroplastic.search.shaping import ORDINAL, SHAPINGS

OPTIMIZERS = ("clipup", "adam", "sgd")


class PGPE(DiagonalGaussian):
    """Sehnke et al. 2010, its algorithm with symmetric sampling: members 2j and 2j+1 are μ + σ ε_j and μ - σ ε_j.

    As Toklu et al. 2020 use it: fitness by rank, the mean as baseline, ClipUp for the center, and plain steps for the
    deviations, none of which changes by more than a fifth at once.

    Args:
        center: μ to start from, float32 or float64 [D].
        population: P, even.
        sigma: σ of the first generation, for every number.
        learning_rate: α of the center: with "clipup" the length of a step, where None is half of max_speed.
        sigma_learning_rate: α of the deviations.
        sigma_max_change: no deviation changes by more than this share of itself in a generation.
        optimizer: "clipup", "adam" or "sgd".
        max_speed: of "clipup"; None: twice the learning rate, or |σ| / 15 where that is None too.
        momentum: of "clipup" and "sgd"; None: 0.9 and 0.
        shaping: one of `SHAPINGS`.
        lower, upper: bounds of all numbers; None: none.
        seed: of the noise.

    Raises:
        ArgumentError: a value out of its range, an odd population, no learning rate with "adam" or "sgd", or an option
            of another optimizer.
        UnknownNameError: no such optimizer or shaping.
    """

    summary = "many numbers and noisy fitness; steps of a set length, however the fitness is scaled"
    paper = "Sehnke et al. 2010, Parameter-exploring policy gradients; Toklu, Liskowski & Srivastava 2020, ClipUp"

    def __init__(
        self,
        center: Tensor,
        *,
        population: int = 200,
        sigma: float = 0.1,
        learning_rate: float | None = None,
        sigma_learning_rate: float = 0.1,
        sigma_max_change: float = 0.2,
        optimizer: str = "clipup",
        max_speed: float | None = None,
        momentum: float | None = None,
        shaping: str = "centered-rank",
        lower: float | None = None,
        upper: float | None = None,
        seed: int = 0,
    ) -> None:
        check_range("population", population, low=2)
        if population % 2:
            raise ArgumentError(f"population: expected an even number (antithetic pairs); got {population}")
        check_range("sigma_learning_rate", sigma_learning_rate, low=0)
        check_range("sigma_max_change", sigma_max_change, low=0, high=1)
        check_name("optimizer", optimizer, OPTIMIZERS)
        check_name("shaping", shaping, SHAPINGS)
        if max_speed is not None and optimizer != "clipup":
            raise ArgumentError(f"max_speed: expected none with optimizer {optimizer!r}; got {max_speed}")
        if momentum is not None and optimizer == "adam":
            raise ArgumentError(f"momentum: expected none with optimizer 'adam'; got {momentum}")
        if learning_rate is not None:
            check_range("learning_rate", learning_rate, low=0, above=True)
        elif optimizer != "clipup":
            raise ArgumentError(f"learning_rate: expected a number with optimizer {optimizer!r}; got none")

        super().__init__(center, sigma, Bounds(lower, upper), seed)
        D = len(self.center)
        self._by_sigma = sigma if max_speed is None and learning_rate is None and optimizer == "clipup" else None
        if max_speed is None:
            max_speed = default_speed(sigma, D) if learning_rate is None else 2 * learning_rate
        if learning_rate is None:
            learning_rate = max_speed / 2
        if optimizer == "clipup":
            self.optimizer = ClipUp(D, max_speed, 0.9 if momentum is None else momentum, like=self.center)
        elif optimizer == "sgd":
            self.optimizer = SGD(D, momentum or 0.0, like=self.center)
        else:
            self.optimizer = Adam(D, like=self.center)
        self.population, self.learning_rate = population, learning_rate
        self.sigma_learning_rate, self.sigma_max_change = sigma_learning_rate, sigma_max_change
        self.shaping, self.ordinal = SHAPINGS[shaping], shaping in ORDINAL

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        return 13 * 4 * size / 1e6

    def _sample(self) -> Population:
        streams = [stream(self.seed, "pgpe", self.generation, pair) for pair in range(self.population // 2)]
        signs = np.tile(np.array([1, -1], np.int8), len(streams))
        return SampledPopulation(self.center, self.sigma, np.repeat(np.array(streams, np.uint64), 2), signs)

    def _weigh(self, fitness: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return self.shaping(fitness)

    def _update(self, population: SampledPopulation, weights: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        plus, minus = weights[0::2], weights[1::2]
        baseline, pairs = weights.mean(), len(plus)
        w = (plus - minus) / 2 / pairs
        v = ((plus + minus) / 2 - baseline) / pairs
        mu, sigma = self.center, self.sigma
        first, second = (
            moment.to(mu.device) for moment in weighted_moments(population.streams[0::2], w, v, len(mu), mu.dtype)
        )
        # symmetric sampling, its step for μ: ∇μ = 1/N Σ_j σ ε_j (F⁺_j - F⁻_j)/2
        gradient_mu = sigma * first
        # and for σ: ∇σ = 1/N Σ_j ((F⁺_j + F⁻_j)/2 - b) ((σ ε_j)² - σ²)/σ, written as a share of σ
        gradient_sigma = second - v.sum()
        change = (self.sigma_learning_rate * gradient_sigma).clamp(-self.sigma_max_change, self.sigma_max_change)
        return mu + self.optimizer.step(gradient_mu, self.learning_rate), sigma + sigma * change

    def _project(self, projection: Projection) -> None:
        super()._project(projection)
        self.optimizer = self.optimizer.projected(projection)
        if self._by_sigma is not None and isinstance(self.optimizer, ClipUp):
            self.optimizer.max_speed = default_speed(self._by_sigma, projection.size)
            self.learning_rate = self.optimizer.max_speed / 2

    def state_dict(self) -> State:
        optimizer = {f"optimizer.{name}": value for name, value in self.optimizer.state_dict().items()}
        return super().state_dict() | optimizer

    def _load(self, state: State) -> None:
        super()._load(state)
        prefix = "optimizer."
        self.optimizer.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )


def default_speed(sigma: float, size: int) -> float:
    """|σ| / 15, of D equal deviations."""
    return sigma * math.sqrt(size) / 15
