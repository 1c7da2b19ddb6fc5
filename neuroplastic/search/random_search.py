"""Random search: the control that every strategy has to beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import stream
from neuroplastic.search.base import Population, SampledPopulation, State, Strategy, first_center
from neuroplastic.search.projection import Projection


class RandomSearch(Strategy):
    """Each generation P fresh draws from N(start, σ²); ``center`` is the fittest of all, by the fitness it was told.

    Args:
        center: where all generations are drawn around, float32 or float64 [D]; also what is returned until a fitness
            was told.
        population: P.
        sigma: σ.
        seed: of the noise.

    Raises:
        ArgumentError: a value out of its range.
    """

    summary = "the control: what a search finds must be better than this finds at equal evaluations"
    paper = "-"
    ordinal = True

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        return 4 * 2 * size / 1e6

    def __init__(self, center: Tensor, *, population: int = 200, sigma: float = 1.0, seed: int = 0) -> None:
        check_range("population", population, low=1)
        check_range("sigma", sigma, low=0, above=True)
        self.start, self.center = first_center(center), first_center(center)
        self.population, self.sigma = population, sigma
        self.seed, self.generation = seed, 0
        self.best = float("nan")  # fitness of the center; NaN: none was told

    def _sample(self) -> Population:
        streams = [stream(self.seed, "random", self.generation, member) for member in range(self.population)]
        return SampledPopulation(
            self.start, self.sigma, np.array(streams, np.uint64), np.ones(self.population, np.int8)
        )

    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None:
        valid = np.flatnonzero(~np.isnan(fitness))
        if len(valid):
            first = int(valid[fitness[valid].argmax()])  # np.nanargmax takes NaN for -inf
            if not fitness[first] <= self.best:
                self.best, self.center = float(fitness[first]), population.rows([first])[0]
        self.generation += 1

    def _project(self, projection: Projection) -> None:
        self.start, self.center = projection.mean(self.start), projection.mean(self.center)
        self.best = float("nan")  # nobody has told how fit this center is

    def state_dict(self) -> State:
        return {
            "center": self.center,
            "start": self.start,
            "best": torch.tensor(self.best, dtype=torch.float64),  # no plain number: JSON has neither NaN nor infinity
            "seed": self.seed,
            "generation": self.generation,
        }

    def _load(self, state: State) -> None:
        for name in ("center", "start", "seed", "generation"):
            setattr(self, name, state[name])
        self.best = float(state["best"])
