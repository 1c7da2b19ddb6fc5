"""xNES: the natural gradient of expected utility, followed in exponential coordinates."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import SearchWarning, check_range
from neuroplastic.noise import stream
from neuroplastic.search.base import Bounds, DensePopulation, Population, State
from neuroplastic.search.covariance import CONDITION, normals
from neuroplastic.search.gaussian import FoldedGaussian, default_population
from neuroplastic.search.memory import MAX_MEGABYTES
from neuroplastic.search.ranking import Ranking


class XNES(FoldedGaussian):
    """Glasmachers, Schaul, Sun, Wierstra & Schmidhuber 2010, algorithm 1, with its defaults.

    It is algorithm 5 of Wierstra et al. 2014 (JMLR 15).

    N(μ, σ² B Bᵀ) with det B = 1. All numbers are kept in float64; rows and ``center`` are rounded to the precision of
    the center that was given. Equally fit members share the average of their utilities; if all are, only the generation
    counts.

    Args:
        center: μ to start from, float32 or float64 [D].
        population: λ; 0: 4 + ⌊3 ln D⌋.
        sigma: σ of the first generation.
        learning_rate: η_μ.
        sigma_learning_rate: η_σ; None: the paper's (9 + 3 ln D) / (5 D √D).
        shape_learning_rate: η_B; None: the same.
        lower, upper: bounds of all numbers, at which space is folded (`Fold`).
        tol_x: `stopped` when all standard deviations are below ``tol_x * sigma``.
        tol_fun: `stopped` when fitness differs by less over 10 + ⌈30 D/λ⌉ generations.
        max_megabytes: which the search may take.
        seed: of the noise.

    Raises:
        ArgumentError: a value out of its range, or D so large that the memory would not be enough.
    """

    summary = "up to some thousand numbers, entangled: as CMA-ES, by one principle, with more evaluations"
    paper = "Glasmachers, Schaul, Sun, Wierstra & Schmidhuber 2010, Exponential Natural Evolution Strategies"

    def __init__(
        self,
        center: Tensor,
        *,
        population: int = 0,
        sigma: float = 0.1,
        learning_rate: float = 1.0,
        sigma_learning_rate: float | None = None,
        shape_learning_rate: float | None = None,
        lower: float | None = None,
        upper: float | None = None,
        tol_x: float = 1e-12,
        tol_fun: float = 1e-12,
        max_megabytes: int = MAX_MEGABYTES,
        seed: int = 0,
    ) -> None:
        check_range("learning_rate", learning_rate, low=0, above=True)
        super().__init__(center, population, sigma, Bounds(lower, upper), tol_x, tol_fun, max_megabytes, seed)
        d = len(self.mean)
        self.shape = torch.eye(d, dtype=torch.float64, device=self.mean.device)  # B
        self.condition = 1.0
        rate = (9 + 3 * math.log(d)) / (5 * d * math.sqrt(d))
        self.learning_rate = learning_rate
        self.sigma_learning_rate = rate if sigma_learning_rate is None else sigma_learning_rate
        self.shape_learning_rate = rate if shape_learning_rate is None else shape_learning_rate
        check_range("sigma_learning_rate", self.sigma_learning_rate, low=0, high=2)
        check_range("shape_learning_rate", self.shape_learning_rate, low=0, high=2)
        ranks = np.arange(1, self.population + 1)
        utilities = np.clip(math.log(self.population / 2 + 1) - np.log(ranks), 0, None)
        self.utilities = utilities / utilities.sum() - 1 / self.population  # the best one's first
        self._repaired = False

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        # B, and while its condition is found six matrices of work, as measured; z, B z and what the exponential takes.
        return 8e-6 * (7 * size**2 + 5 * (population or default_population(size)) * size)

    def _draw(self) -> Population:
        self._noise = normals(stream(self.seed, "xnes", self.generation), self.population, self.mean)
        members = self.mean.add(self._noise @ self.shape.T, alpha=self.sigma)  # z_k = μ + σ B s_k
        return DensePopulation(members.to(self.center.dtype))

    def _update(self, drawn: Population, ranking: Ranking) -> None:
        S, B, d = self._noise, self.shape, len(self.mean)
        u = torch.from_numpy(ranking.give(self.utilities)).to(S.device)
        # G_δ = Σ u_k s_k, G_M = Σ u_k (s_k s_kᵀ - I), G_σ = tr(G_M) / d, G_B = G_M - G_σ I
        G_delta = u @ S
        G_sigma = float(u @ (S.square().sum(dim=1) - d)) / d
        self._move(self.mean.add(B @ G_delta, alpha=self.learning_rate * self.sigma))

        # B ← B exp(η_B/2 G_B). As Σ u_k = 0, G_M = Sᵀ diag(u) S is of rank λ: with Sᵀ = Q R
        # exp(η_B/2 G_M) = I + Q (exp(η_B/2 R diag(u) Rᵀ) - I) Qᵀ.
        Q, R = torch.linalg.qr(S.T)
        exponents, vectors = torch.linalg.eigh(self.shape_learning_rate / 2 * (R * u) @ R.T)
        axes = Q @ vectors
        shape = B.addmm((B @ axes) * exponents.expm1(), axes.T)
        self.shape = shape.mul_(math.exp(-self.shape_learning_rate / 2 * G_sigma))
        self.sigma *= math.exp(self.sigma_learning_rate / 2 * G_sigma)

        if not math.isfinite(float(torch.linalg.vector_norm(self.shape, math.inf))):
            self.shape = B
            self._warn()
        if (self.generation + 1) % d == 0:
            self._condition()
        self._limit_sigma(float(torch.linalg.vector_norm(self.shape, math.inf)))

    def _condition(self) -> None:
        """Finds the condition of B Bᵀ, and bounds it: every D generations, because it takes as long as D updates."""
        axes, lengths, _ = torch.linalg.svd(self.shape)
        floor = lengths[0] / CONDITION**0.5
        if lengths[-1] < floor:
            lengths = lengths.clamp(min=float(floor))
            scale = float(lengths.log().mean().exp())  # into σ, so that det B = 1
            # The third factor of B is a rotation, which leaves B Bᵀ as it is.
            self.shape, self.sigma = (axes * (lengths / scale)).contiguous(), self.sigma * scale
            self._warn()
        self.condition = float(lengths[0] / lengths[-1]) ** 2

    def _warn(self) -> None:
        if not self._repaired:
            what = "the covariance became singular or not finite, and was repaired; `stopped` says when to stop"
            warnings.warn(what, SearchWarning, 2)
            self._repaired = True

    @property
    def stopped(self) -> str | None:
        """TolX, TolFun, TolXUp, EqualFunValues, Stagnation, NoEffectCoord and ConditionCov of `CMAES`."""
        deviations = self.sigma * torch.linalg.vector_norm(self.shape, dim=1)
        return self._vanished(deviations) or self._pointless(deviations, float(deviations.max()), self.condition)

    def metrics(self) -> dict[str, float]:
        low, high = torch.aminmax(torch.linalg.vector_norm(self.shape, dim=1))
        return {
            "sigma": self.sigma,
            "condition": self.condition,
            "deviation_min": self.sigma * float(low),
            "deviation_max": self.sigma * float(high),
        }

    def state_dict(self) -> State:
        return {**super().state_dict(), "shape": self.shape, "condition": self.condition}

    def _load(self, state: State) -> None:
        super()._load(state)
        for name in ("shape", "condition"):
            setattr(self, name, state[name])
