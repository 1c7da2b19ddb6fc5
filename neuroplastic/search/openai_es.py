"""OpenAI-ES: antithetic Gaussian perturbations of one center, and a step along the gradient that they estimate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.noise import stream, weighted_sum
from neuroplastic.search.base import Population, SampledPopulation, State, Strategy, diverged, first_center
from neuroplastic.search.optimizers import SGD, Adam
from neuroplastic.search.projection import Projection
from neuroplastic.search.shaping import ORDINAL, SHAPINGS

OPTIMIZERS = ("sgd", "adam")


class OpenAIES(Strategy):
    """Salimans et al. 2017, algorithm 1, with antithetic pairs: members 2j and 2j+1 are θ + σ ε_j and θ - σ ε_j.

    P × D numbers are never held: noise is made again where it is needed. Najarro & Risi 2020 use a population of 200,
    σ = 0.1 with decay 0.999 and floor 0.01, α = 0.2 with decay 0.995 and floor 0.001, a penalty of 0.01, and
    "centered-rank+z-score".

    Args:
        center: θ to start from, float32 or float64 [D].
        population: P, even.
        sigma: σ of the first generation.
        sigma_decay: σ is multiplied by it after each generation.
        sigma_min: the floor of σ.
        learning_rate: α of the first generation.
        learning_rate_decay: α is multiplied by it after each generation.
        learning_rate_min: the floor of α.
        optimizer: "sgd" or "adam".
        momentum: of "sgd".
        weight_decay: λ; the gradient is g - λ θ.
        penalty: c; the fitness of member h is lowered by c · mean(h²) before shaping.
        shaping: one of `SHAPINGS`.
        seed: of the noise.

    Raises:
        ArgumentError: a value out of its range, an odd population, or momentum with "adam".
        UnknownNameError: no such optimizer or shaping.
    """

    summary = "long genomes and noisy fitness: one step size, many workers; what Hebbian rules were evolved with"
    paper = "Salimans et al. 2017"

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        return 4 * 8 * size / 1e6  # measured: rows that are being made included

    def __init__(
        self,
        center: Tensor,
        *,
        population: int = 200,
        sigma: float = 0.1,
        sigma_decay: float = 1.0,
        sigma_min: float = 0.0,
        learning_rate: float = 0.2,
        learning_rate_decay: float = 1.0,
        learning_rate_min: float = 0.0,
        optimizer: str = "sgd",
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        penalty: float = 0.0,
        shaping: str = "centered-rank",
        seed: int = 0,
    ) -> None:
        check_range("population", population, low=2)
        if population % 2:
            raise ArgumentError(f"population: expected an even number (antithetic pairs); got {population}")
        for name, start, decay, floor in (
            ("sigma", sigma, sigma_decay, sigma_min),
            ("learning_rate", learning_rate, learning_rate_decay, learning_rate_min),
        ):
            check_range(name, start, low=0, above=True)
            check_range(f"{name}_decay", decay, low=0, high=1, above=True)
            check_range(f"{name}_min", floor, low=0, high=start)
        check_range("weight_decay", weight_decay, low=0)
        check_range("penalty", penalty, low=0)
        check_name("optimizer", optimizer, OPTIMIZERS)
        check_name("shaping", shaping, SHAPINGS)
        if momentum and optimizer != "sgd":
            raise ArgumentError(f"momentum: expected 0 with optimizer {optimizer!r}; got {momentum}")

        self.center = first_center(center)
        self.population = population
        self.sigma, self.sigma_decay, self.sigma_min = float(sigma), sigma_decay, sigma_min
        self.learning_rate = float(learning_rate)
        self.learning_rate_decay, self.learning_rate_min = learning_rate_decay, learning_rate_min
        D, like = len(self.center), self.center
        self.optimizer = SGD(D, momentum, like=like) if optimizer == "sgd" else Adam(D, like=like)
        self.weight_decay, self.penalty = weight_decay, penalty
        self.shaping = SHAPINGS[shaping]
        self.ordinal = shaping in ORDINAL and not penalty
        self.seed, self.generation = seed, 0

    def _sample(self) -> Population:
        streams = [stream(self.seed, "openai-es", self.generation, pair) for pair in range(self.population // 2)]
        signs = np.tile(np.array([1, -1], np.int8), len(streams))
        return SampledPopulation(self.center, self.sigma, np.repeat(np.array(streams, np.uint64), 2), signs)

    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None:
        assert isinstance(population, SampledPopulation)
        if self.penalty:
            fitness = fitness - self.penalty * population.mean_squares()
        F = self.shaping(fitness)
        # g = 1/(Pσ) Σ_i F_i s_i ε_i, the two members of a pair at once
        weights = (F[0::2] - F[1::2]) / (self.population * population.sigma)
        theta = self.center
        gradient = weighted_sum(population.streams[0::2], weights, len(theta), theta.dtype).to(theta.device)
        if self.weight_decay:
            gradient = gradient - self.weight_decay * theta
        # θ ← θ + α g
        center = theta + self.optimizer.step(gradient, self.learning_rate)
        if not torch.isfinite(center).all():
            raise diverged(int((~torch.isfinite(center)).sum()), self.generation)
        self.center = center
        self.sigma = max(self.sigma * self.sigma_decay, self.sigma_min)
        self.learning_rate = max(self.learning_rate * self.learning_rate_decay, self.learning_rate_min)
        self.generation += 1

    def _project(self, projection: Projection) -> None:
        self.center = projection.mean(self.center)
        self.optimizer = self.optimizer.projected(projection)

    def metrics(self) -> dict[str, float]:
        return {"sigma": self.sigma, "learning_rate": self.learning_rate}

    def state_dict(self) -> State:
        return {
            "center": self.center,
            "sigma": self.sigma,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "generation": self.generation,
            **{f"optimizer.{name}": value for name, value in self.optimizer.state_dict().items()},
        }

    def _load(self, state: State) -> None:
        prefix = "optimizer."
        self.optimizer.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        for name in ("center", "sigma", "learning_rate", "seed", "generation"):
            setattr(self, name, state[name])
