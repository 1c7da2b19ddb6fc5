"""CMA-ES: a normal distribution that turns and stretches with the steps that succeeded.

The equations are those of Hansen 2016, "The CMA Evolution Strategy: A Tutorial" (arXiv 1604.00772, second version),
where fitness is minimised; here it is maximised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.noise import stream
from neuroplastic.search.base import Bounds, Population, State
from neuroplastic.search.covariance import Covariance, DiagonalCovariance, FullCovariance
from neuroplastic.search.gaussian import FoldedGaussian, default_population
from neuroplastic.search.memory import MAX_MEGABYTES
from neuroplastic.search.projection import Projection
from neuroplastic.search.ranking import Ranking


@dataclass(frozen=True)
class Constants:
    """Table 1: the default strategy parameters, for D = n and P = λ.

    Attributes:
        weights: w_i [λ], the best member's first; without active update none is negative.
        positive: w_i for i <= µ, else 0.
        mu_eff: of the positive ones.
        c_sigma, d_sigma: cumulation and damping of σ.
        c_c: cumulation of the path p_c.
        c_1, c_mu: learning rates of the rank-one and rank-µ updates.
        chi: E‖N(0, I)‖.
        total: Σ w_i.
        lag: generations from one eigendecomposition to the next, as in the program of appendix C.
    """

    weights: npt.NDArray[np.float64]
    positive: npt.NDArray[np.float64]
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float
    total: float
    lag: int

    @classmethod
    def of(cls, n: int, population: int, active: bool, speed: float) -> Constants:
        """``speed`` multiplies the learning rates of the covariance."""
        raw = math.log((population + 1) / 2) - np.log(np.arange(1, population + 1))  # (49)
        good, bad = np.clip(raw, 0, None), np.clip(-raw, 0, None)
        mu_eff, mu_eff_bad = (each.sum() ** 2 / (each**2).sum() for each in (good, bad))  # (8) and table 1
        c_sigma = (mu_eff + 2) / (n + mu_eff + 5)  # (55)
        c_1 = speed * 2 / ((n + 1.3) ** 2 + mu_eff)  # (57)
        c_mu = min(1 - c_1, speed * 2 * (1 / 4 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff))  # (58)
        negative = min(  # the sum of the negative weights
            1 + c_1 / c_mu,  # (50)
            1 + 2 * mu_eff_bad / (mu_eff + 2),  # (51)
            (1 - c_1 - c_mu) / (n * c_mu),  # (52)
        )
        positive = good / good.sum()
        weights = positive - active * negative * bad / bad.sum()  # (53)
        return cls(
            weights=weights,
            positive=positive,
            mu_eff=mu_eff,
            c_sigma=c_sigma,
            d_sigma=1 + 2 * max(0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma,  # (55)
            c_c=(4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),  # (56)
            c_1=c_1,
            c_mu=c_mu,
            chi=math.sqrt(2) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2)),
            total=float(weights.sum()),
            lag=math.ceil(1 / (10 * n * (c_1 + c_mu))),
        )


class CMAES(FoldedGaussian):
    """Hansen 2016, with its defaults; c_m = 1 (54).

    All numbers are kept in float64; rows and ``center`` are rounded to the precision of the center that was given.
    Equally fit members share the average of their weights; if all are, only the generation counts.

    Args:
        center: m to start from, float32 or float64 [D].
        population: λ; 0: 4 + ⌊3 ln D⌋.
        sigma: σ of the first generation: about a third of how far away the optimum may be, in each number.
        active: whether the worse half of the population lowers the covariance along its steps (negative weights).
        lower, upper: bounds of all numbers, at which space is folded (`Fold`).
        tol_x: `stopped` when all standard deviations are below ``tol_x * sigma``.
        tol_fun: `stopped` when fitness differs by less over 10 + ⌈30 D/λ⌉ generations.
        max_megabytes: which the search may take.
        seed: of the noise.

    Raises:
        ArgumentError: a value out of its range, or D so large that the memory would not be enough.
    """

    summary = "up to some thousand numbers, entangled or of very different scales: the fewest evaluations"
    paper = "Hansen 2016, The CMA Evolution Strategy: A Tutorial, arXiv 1604.00772"
    parts: ClassVar[type[Covariance]] = FullCovariance

    def __init__(
        self,
        center: Tensor,
        *,
        population: int = 0,
        sigma: float = 0.1,
        active: bool = True,
        lower: float | None = None,
        upper: float | None = None,
        tol_x: float = 1e-12,
        tol_fun: float = 1e-12,
        max_megabytes: int = MAX_MEGABYTES,
        seed: int = 0,
    ) -> None:
        super().__init__(center, population, sigma, Bounds(lower, upper), tol_x, tol_fun, max_megabytes, seed)
        n = len(self.mean)
        self.covariance = self.parts(n, self.mean.device)
        self._active = active
        self.constants = Constants.of(n, self.population, active, self.parts.speed(n))
        self.path_sigma, self.path = torch.zeros_like(self.mean), torch.zeros_like(self.mean)

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        return cls.parts.megabytes(size, population or default_population(size))

    def _draw(self) -> Population:
        source = partial(stream, self.seed, "cma-es", self.generation)
        return self.covariance.sample(self.mean, self.sigma, self.center.dtype, self.population, source)  # (38)–(40)

    def _update(self, drawn: Population, ranking: Ranking) -> None:
        k, C, n = self.constants, self.covariance, len(self.mean)
        positive, weights = ranking.give(k.positive), ranking.give(k.weights)
        scaled, bad = weights.copy(), (weights < 0).nonzero()[0]
        if len(bad):
            scaled[bad] *= n / C.squared_lengths(drawn, bad)  # (46)
        step, white_step, spread = C.moments(drawn, positive, scaled)  # ⟨y⟩_w (41), C^(-½) ⟨y⟩_w, Σ w_i° y_i y_iᵀ

        self._move(self.mean.add(step, alpha=self.sigma))  # (42)

        c = k.c_sigma
        self.path_sigma = (1 - c) * self.path_sigma + math.sqrt(c * (2 - c) * k.mu_eff) * white_step  # (43)
        length = float(torch.linalg.vector_norm(self.path_sigma))
        self.sigma *= math.exp(c / k.d_sigma * (length / k.chi - 1))  # (44)

        unbiased = length / math.sqrt(1 - (1 - c) ** (2 * (self.generation + 1)))
        h = float(unbiased < (1.4 + 2 / (n + 1)) * k.chi)  # appendix A: the path stalls while σ grows fast
        c = k.c_c
        self.path = (1 - c) * self.path + h * math.sqrt(c * (2 - c) * k.mu_eff) * step  # (45)
        lost = (1 - h) * c * (2 - c)  # δ(h_σ), appendix A
        C.update(1 + k.c_1 * lost - k.c_1 - k.c_mu * k.total, k.c_1, self.path, k.c_mu, spread)  # (47)

        if (self.generation + 1) % k.lag == 0:
            C.decompose()
            scale = C.rescaled()
            if scale != 1:
                self.sigma, self.path = self.sigma * scale, self.path / scale
        self._limit_sigma(C.widest)

    @property
    def stopped(self) -> str | None:
        """TolX, TolFun, TolXUp, EqualFunValues, Stagnation, NoEffectCoord, NoEffectAxis and ConditionCov."""
        C = self.covariance
        deviations = self.sigma * C.variances().sqrt()
        return (
            self._vanished(torch.maximum(deviations, self.sigma * self.path.abs()))
            or self._lost_axis()
            or self._pointless(deviations, self.sigma * C.widest, C.condition)
        )

    def _lost_axis(self) -> str | None:
        """NoEffectAxis, another axis each generation."""
        mean = self.mean.to(self.center.dtype)
        axis = 0.1 * self.sigma * self.covariance.axis(self.generation % len(mean))
        if bool((mean + axis.to(mean.dtype) == mean).all()):
            return f"a tenth of the standard deviation along an axis is lost in rounding the center to {mean.dtype}"
        return None

    def metrics(self) -> dict[str, float]:
        C = self.covariance
        return {
            "sigma": self.sigma,
            "condition": C.condition,
            "deviation_min": self.sigma * C.narrowest,
            "deviation_max": self.sigma * C.widest,
        }

    def state_dict(self) -> State:
        paths = {"path_sigma": self.path_sigma, "path": self.path}
        return {**super().state_dict(), **paths, **self.covariance.state_dict()}

    def _load(self, state: State) -> None:
        super()._load(state)
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        self.path_sigma, self.path = tensors["path_sigma"], tensors["path"]
        self.covariance.load_state_dict(tensors)


class SeparableCMAES(CMAES):
    """Ros & Hansen 2008: CMA-ES with a diagonal covariance, in O(D) memory and learned (D + 2)/3 times faster.

    Else as `CMAES`, so ``active`` is the tutorial's; the paper knows no negative weights.
    """

    summary = "any number of numbers, of very different scales but hardly entangled"
    paper = "Ros & Hansen 2008, A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity"
    parts = DiagonalCovariance

    def _project(self, projection: Projection) -> None:
        """m and the variances are means; the paths go on as long as they were for what is drawn and selected blindly.

        The history of fitness begins anew: `stopped` is about the search in these coordinates.
        """
        n = projection.size
        self.mean = projection.mean(self.mean)
        self.center = self.fold(self.mean).to(self.center.dtype, copy=True)
        self.path_sigma, self.path = projection.direction(self.path_sigma), projection.direction(self.path)
        self.covariance = DiagonalCovariance.of(
            projection.mean(self.covariance.variances()), projection.mean(self.covariance.deviations.square()).sqrt()
        )
        self.constants = Constants.of(n, self.population, self._active, self.parts.speed(n))
        self.history = self.history.anew(n, self.population)
