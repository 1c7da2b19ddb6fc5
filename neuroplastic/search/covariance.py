"""The covariance C of CMA-ES as a part: a full matrix, or its diagonal alone.

D genome length, P population; C = B diag(d²) Bᵀ, and steps are y = B (d ∘ z) with z ~ N(0, I). All in float64, on the
device of the center.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import SearchWarning
from neuroplastic.noise import normal, squared_norms, weighted_moments
from neuroplastic.search.base import DensePopulation, Population, SampledPopulation

CONDITION = 1e15  # smaller eigenvalues than the largest one by this are raised: float64 cannot tell them from 0
SCALE = 1e50  # beyond which the size of C is moved into σ

Weights = npt.NDArray[np.float64]
Source = Callable[..., int]  # the stream of a generation, or with a number that of a member


class Covariance(ABC):
    """C = I at first.

    Attributes:
        deviations: d [D], the standard deviations along the principal axes, as of the last `decompose`.
        narrowest, widest: the smallest and the largest of them.
    """

    deviations: Tensor
    narrowest: float = 1.0
    widest: float = 1.0
    _repaired = False

    @abstractmethod
    def __init__(self, size: int, device: torch.device) -> None: ...

    @staticmethod
    @abstractmethod
    def speed(size: int) -> float:
        """How many times faster than a full matrix it may be learned."""

    @staticmethod
    @abstractmethod
    def megabytes(size: int, population: int) -> float:
        """Memory that the search takes with it, rows that are being tried not counted."""

    @abstractmethod
    def sample(self, mean: Tensor, sigma: float, dtype: torch.dtype, population: int, source: Source) -> Population:
        """P members m + σ y in a precision."""

    @abstractmethod
    def squared_lengths(self, population: Population, index: npt.NDArray[np.int64]) -> Weights:
        """‖C^(-½) y_i‖² of members ``index`` [p] of the last sample: [p]."""

    @abstractmethod
    def moments(self, population: Population, weights: Weights, square_weights: Weights) -> tuple[Tensor, ...]:
        """Of the last sample Σ w_i y_i [D], Σ w_i C^(-½) y_i [D] and Σ v_i y_i y_iᵀ, kept as C is; weights w and v."""

    @abstractmethod
    def update(self, keep: float, path_weight: float, path: Tensor, weight: float, spread: Tensor) -> None:
        """C ← keep C + path_weight p pᵀ + weight spread, the last one of `moments`."""

    @abstractmethod
    def variances(self) -> Tensor:
        """C_ii [D]."""

    @abstractmethod
    def axis(self, index: int) -> Tensor:
        """d_i b_i [D]."""

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]: ...

    @abstractmethod
    def load_state_dict(self, state: dict[str, Tensor]) -> None: ...

    @property
    def condition(self) -> float:
        """Of C."""
        return (self.widest / self.narrowest) ** 2

    def decompose(self) -> None:
        """B and d of C. Eigenvalues that are too small are raised; a C that has none goes back to the last B and d.

        Warns:
            SearchWarning: the first time that C had to be repaired.
        """
        squares = self._eigenvalues()
        low, high = (float(each) for each in torch.aminmax(squares))
        sound = math.isfinite(low) and 0 < high < math.inf
        if sound:
            floor = high / CONDITION
            self._accept(squares.clamp(min=floor) if low < floor else squares)
            self._measure()
            if low >= floor:
                return
        self._compose()
        if not self._repaired:
            what = "the covariance became singular or not finite, and was repaired; `stopped` says when to stop"
            warnings.warn(what, SearchWarning, 2)
            self._repaired = True

    def rescaled(self) -> float:
        """C ← C/a², d ← d/a; returns a, which is 1 unless C is about to leave float64."""
        scale = self.widest
        if 1 / SCALE < scale < SCALE:
            return 1.0
        self.deviations = self.deviations / scale
        self._measure()
        self._compose()
        return scale

    def _measure(self) -> None:
        """From d alone, so that a search that goes on from a checkpoint has the same bits."""
        self.narrowest, self.widest = (float(each) for each in torch.aminmax(self.deviations))

    @abstractmethod
    def _eigenvalues(self) -> Tensor:
        """Of C: [D], all NaN if it has none."""

    @abstractmethod
    def _accept(self, squares: Tensor) -> None:
        """Takes B as `_eigenvalues` found it, and these d²."""

    @abstractmethod
    def _compose(self) -> None:
        """C ← B diag(d²) Bᵀ."""


class FullCovariance(Covariance):
    """C [D, D]; B and d are only as new as the last `decompose`, which takes some 20 D³ operations."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.matrix = torch.eye(size, dtype=torch.float64, device=device)  # its lower triangle is what counts
        self.axes = self.matrix.clone()  # Bᵀ: an axis is a row
        self.deviations = torch.ones(size, dtype=torch.float64, device=device)

    @staticmethod
    def speed(size: int) -> float:
        return 1.0

    @staticmethod
    def megabytes(size: int, population: int) -> float:
        # C, B, and while the next B is found five matrices of work, as measured; y and z of all members.
        return 8e-6 * (7 * size**2 + 2 * population * size)

    def sample(self, mean: Tensor, sigma: float, dtype: torch.dtype, population: int, source: Source) -> Population:
        self._noise = normals(source(), population, mean)  # z
        self._steps = (self._noise * self.deviations) @ self.axes  # y
        return DensePopulation(mean.add(self._steps, alpha=sigma).to(dtype))

    def squared_lengths(self, population: Population, index: npt.NDArray[np.int64]) -> Weights:
        return self._noise.square().sum(dim=1).cpu().numpy()[index]

    def moments(self, population: Population, weights: Weights, square_weights: Weights) -> tuple[Tensor, ...]:
        w, v = (torch.from_numpy(each).to(self.matrix.device) for each in (weights, square_weights))
        Y = self._steps
        return w @ Y, (w @ self._noise) @ self.axes, (Y.T * v) @ Y

    def update(self, keep: float, path_weight: float, path: Tensor, weight: float, spread: Tensor) -> None:
        self.matrix.mul_(keep).addr_(path, path, alpha=path_weight).add_(spread, alpha=weight)

    def variances(self) -> Tensor:
        return self.matrix.diagonal()

    def axis(self, index: int) -> Tensor:
        return self.deviations[index] * self.axes[index]

    def state_dict(self) -> dict[str, Tensor]:
        return {"covariance": self.matrix.clone(), "axes": self.axes, "deviations": self.deviations}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.matrix, self.axes, self.deviations = state["covariance"], state["axes"], state["deviations"]
        self._measure()

    def _eigenvalues(self) -> Tensor:
        try:
            squares, self._vectors = torch.linalg.eigh(self.matrix)
        except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
            return torch.full_like(self.deviations, math.nan)
        return squares

    def _accept(self, squares: Tensor) -> None:
        # Contiguous, because it is so after loading: another order in memory would round otherwise.
        self.axes, self.deviations = self._vectors.T.contiguous(), squares.sqrt()

    def _compose(self) -> None:
        self.matrix = (self.axes.T * self.deviations.square()) @ self.axes


class DiagonalCovariance(Covariance):
    """C_ii [D]; P × D numbers are never held."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.diagonal = torch.ones(size, dtype=torch.float64, device=device)
        self.deviations = self.diagonal.clone()

    @classmethod
    def of(cls, diagonal: Tensor, deviations: Tensor) -> DiagonalCovariance:
        """C_ii and d, each [D]."""
        made = cls(len(diagonal), diagonal.device)
        made.load_state_dict({"covariance": diagonal, "deviations": deviations})
        return made

    @staticmethod
    def speed(size: int) -> float:
        return (size + 2) / 3

    @staticmethod
    def megabytes(size: int, population: int) -> float:
        return 8e-6 * 14 * size  # vectors: of the search, of its population, and of one update

    def sample(self, mean: Tensor, sigma: float, dtype: torch.dtype, population: int, source: Source) -> Population:
        center, deviations = mean.to(dtype), (sigma * self.deviations).to(dtype)
        streams = np.array([source(member) for member in range(population)], np.uint64)
        return SampledPopulation(center, deviations, streams, np.ones(population, np.int8))

    def squared_lengths(self, population: Population, index: npt.NDArray[np.int64]) -> Weights:
        assert isinstance(population, SampledPopulation)
        zeros = torch.zeros(len(self.diagonal))
        return squared_norms(zeros, 1.0, population.streams[index], population.signs[index])

    def moments(self, population: Population, weights: Weights, square_weights: Weights) -> tuple[Tensor, ...]:
        assert isinstance(population, SampledPopulation)
        used = (weights != 0) | (square_weights != 0)
        streams, w, v = population.streams[used], weights[used], square_weights[used]
        first, second = (
            moment.to(self.diagonal.device)
            for moment in weighted_moments(streams, w, v, len(self.diagonal), torch.float64)
        )
        return self.deviations * first, first, self.diagonal * second

    def update(self, keep: float, path_weight: float, path: Tensor, weight: float, spread: Tensor) -> None:
        self.diagonal = keep * self.diagonal + path_weight * path.square() + weight * spread

    def variances(self) -> Tensor:
        return self.diagonal

    def axis(self, index: int) -> Tensor:
        axis = torch.zeros_like(self.deviations)
        axis[index] = self.deviations[index]
        return axis

    def state_dict(self) -> dict[str, Tensor]:
        return {"covariance": self.diagonal, "deviations": self.deviations}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.diagonal, self.deviations = state["covariance"], state["deviations"]
        self._measure()

    def _eigenvalues(self) -> Tensor:
        return self.diagonal

    def _accept(self, squares: Tensor) -> None:
        self.deviations = squares.sqrt()

    def _compose(self) -> None:
        self.diagonal = self.deviations.square()


def normals(stream: int, population: int, mean: Tensor) -> Tensor:
    """N(0, 1) [P, D] as ``mean`` [D] is, the rows one after the other in a stream."""
    numbers = normal(stream, population * len(mean)).reshape(population, len(mean))
    return numbers.to(mean.device, mean.dtype)
