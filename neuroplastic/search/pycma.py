"""pycma's CMA-ES as a strategy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError, check_name, check_range, require
from neuroplastic.search.memory import check_covariance
from neuroplastic.search.replayed import ReplayedStrategy

cma = require("cma", "cma")

OURS = ("seed", "randn", "popsize", "verbose")  # its options that we set


class PyCMA(ReplayedStrategy):
    """``cma.CMAEvolutionStrategy``.

    Args:
        center: where it starts, float32 or float64 [D].
        population: λ; 0 = its own choice, 4 + ⌊3 ln D⌋.
        sigma: its first step size.
        seed: of its random numbers.
        options: others of ``cma.CMAOptions``, by their names there.

    Raises:
        ArgumentError: an option is refused, or the covariance matrix would not fit into memory.
        UnknownNameError: it has no such option.
    """

    def __init__(
        self, center: Tensor, *, population: int = 0, sigma: float = 0.5, seed: int = 0, **options: Any
    ) -> None:
        check_range("population", population, low=0)
        if population == 1:
            raise ArgumentError("population: expected 0, or at least 2; got 1")
        check_range("sigma", sigma, low=0, above=True)
        known = [name for name in cma.CMAOptions() if name not in OURS]
        for name in options:
            check_name("option of cma:CMA", name, known)
        if options.get("CMA_diagonal") is not True:
            check_covariance("cma:CMA", len(center), "CMA_diagonal=true, or sep-cma-es")
        self.sigma = sigma
        self._options = {"verbose": -9, "seed": math.nan, **options}  # NaN: it leaves NumPy's own numbers alone
        if population:
            self._options["popsize"] = population
        super().__init__(center, seed)

    def _begin(self) -> None:
        numbers = np.random.Generator(np.random.Philox(self.seed))
        options = self._options | {"randn": lambda *shape: numbers.standard_normal(shape)}
        try:
            self._searcher = cma.CMAEvolutionStrategy(self.start.double().cpu().numpy(), self.sigma, options)
        except Exception as error:  # whatever it raises of its options
            raise ArgumentError(f"cma:CMA: {type(error).__name__}: {error}") from error

    def _propose(self) -> Tensor:
        self._members = self._searcher.ask()
        return torch.from_numpy(np.array(self._members))

    def _hear(self, fitness: npt.NDArray[np.float64]) -> None:
        try:
            self._searcher.tell(self._members, (-fitness).tolist())
        except Exception as error:  # such as an eigendecomposition that fails
            raise DivergenceError(f"cma:CMA: {type(error).__name__}: {error}") from error

    def _mean(self) -> Tensor | None:
        return torch.from_numpy(np.array(self._searcher.result.xfavorite))

    @property
    def stopped(self) -> str | None:
        return ", ".join(f"{name}={value}" for name, value in self._searcher.stop().items()) or None

    def metrics(self) -> dict[str, float]:
        return {"sigma": float(self._searcher.sigma)}


def searcher(name: str) -> Callable[..., PyCMA]:
    """What makes the strategy of a recipe that says ``search.name = "cma:CMA"``.

    Raises:
        UnknownNameError: it is another name.
    """
    check_name("search.name", name, ["CMA"])
    return PyCMA
