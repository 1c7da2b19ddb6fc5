"""What searches that learn the shape of one Gaussian share: CMA-ES and xNES."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range
from neuroplastic.search.base import Bounds, Population, State, Strategy, diverged, first_center
from neuroplastic.search.folding import Fold, FoldedPopulation
from neuroplastic.search.memory import check_memory
from neuroplastic.search.ranking import Ranking
from neuroplastic.search.stopping import History, spread_reason

WIDEST, NARROWEST = 1e30, 1e-200  # standard deviations, so that rows stay finite in float32


class FoldedGaussian(Strategy):
    """N(m, σ² C) in a space that is folded at the bounds (`Fold`).

    All numbers are kept in float64; rows and ``center`` are rounded to the precision of the center that was given.
    If all members are equally fit, only the generation counts.

    A subclass keeps C: it writes `_draw`, `_update` and `stopped`, and adds to `state_dict` and `_load`.

    Args:
        center: m to start from, float32 or float64 [D].
        population: λ; 0: 4 + ⌊3 ln D⌋.
        sigma: σ of the first generation.
        bounds: of all numbers.
        tol_x: `stopped` when all standard deviations are below ``tol_x * sigma``.
        tol_fun: `stopped` when fitness differs by less over 10 + ⌈30 D/λ⌉ generations.
        max_megabytes: which the search may take.
        seed: of the noise.

    Raises:
        ArgumentError: a value out of its range, or D so large that the memory would not be enough.
    """

    ordinal = True
    growing = frozenset({"history"})

    def __init__(
        self,
        center: Tensor,
        population: int,
        sigma: float,
        bounds: Bounds,
        tol_x: float,
        tol_fun: float,
        max_megabytes: int,
        seed: int,
    ) -> None:
        check_range("sigma", sigma, low=0, high=WIDEST, above=True)
        check_range("tol_x", tol_x, low=0)
        check_range("tol_fun", tol_fun, low=0)
        self.center = bounds.nearest(first_center(center))
        size = len(self.center)
        self.population = population or default_population(size)
        if self.population < 2:
            raise ArgumentError(
                f"population: expected a number >= 2, or 0 for {default_population(size)}; got {population}"
            )
        check_memory(type(self), size, self.population, max_megabytes)

        self.bounds, self.fold = bounds, Fold.at(bounds, sigma)
        self.mean = self.fold.inverse(self.center.to(torch.float64, copy=True))
        self.first_sigma, self.sigma, self.tol_x = sigma, float(sigma), tol_x
        self.history = History(size, self.population, tol_fun)
        self.seed, self.generation = seed, 0

    @abstractmethod
    def _draw(self) -> Population:
        """λ members, before space is folded."""

    @abstractmethod
    def _update(self, drawn: Population, ranking: Ranking) -> None:
        """Learns from what `_draw` made, in its order."""

    def _sample(self) -> Population:
        drawn = self._draw()
        return FoldedPopulation(drawn, self.fold) if self.bounds else drawn

    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None:
        ranking = Ranking(fitness)
        if not ranking.same:
            self._update(population.population if isinstance(population, FoldedPopulation) else population, ranking)
        self.history.add(ranking)
        self.generation += 1

    def _move(self, mean: Tensor) -> None:
        """Takes the next m.

        Raises:
            DivergenceError: the center would not be finite; nothing has changed.
        """
        center = self.fold(mean).to(self.center.dtype, copy=True)
        if not math.isfinite(float(torch.linalg.vector_norm(center, math.inf))):
            raise diverged(int((~torch.isfinite(center)).sum()), self.generation)
        self.center, self.mean = center, mean

    def _limit_sigma(self, widest: float) -> None:
        """Keeps σ where the ``widest`` deviation of C is within `NARROWEST` and `WIDEST`."""
        self.sigma = min(max(self.sigma, NARROWEST / widest), WIDEST / widest)

    def _vanished(self, deviations: Tensor) -> str | None:
        """TolX, of the deviations [D]."""
        if bool((deviations < self.tol_x * self.first_sigma).all()):
            return f"all standard deviations are below tol_x * sigma = {self.tol_x * self.first_sigma:.1e}"
        return None

    def _pointless(self, deviations: Tensor, widest: float, condition: float) -> str | None:
        """TolXUp, NoEffectCoord, ConditionCov, EqualFunValues, TolFun and Stagnation."""
        mean = self.mean.to(self.center.dtype)
        return spread_reason(mean, deviations, widest, condition, self.first_sigma) or self.history.reason(
            self.generation
        )

    def state_dict(self) -> State:
        return {
            "center": self.center,
            "mean": self.mean,
            "sigma": self.sigma,
            "history": self.history.tensor(),
            "seed": self.seed,
            "generation": self.generation,
        }

    def _load(self, state: State) -> None:
        history = state["history"]
        assert isinstance(history, Tensor)
        self.history.load(history)
        for name in ("center", "mean", "sigma", "seed", "generation"):
            setattr(self, name, state[name])


def default_population(size: int) -> int:
    """4 + ⌊3 ln D⌋, equation (48) of Hansen 2016."""
    return 4 + math.floor(3 * math.log(size))
