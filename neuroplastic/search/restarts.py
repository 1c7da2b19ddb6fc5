"""Restarts with a growing population, around any strategy that can tell when going on is pointless."""

from __future__ import annotations

import inspect
import math
import typing
import warnings
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, SearchWarning, check_range
from neuroplastic.noise import normal, stream
from neuroplastic.search.base import Population, State, Strategy
from neuroplastic.search.ranking import Ranking

PREFIX = "inner."


class Restarts(Strategy):
    """Auger & Hansen 2005, around the strategy `make`; `ipop` makes the class.

    When the inner strategy has `stopped`, another one starts, with a population that is ``factor`` times as large, at a
    fresh point of N(first center, σ²): σ is what the user said of how far the optimum may be from there. (The paper
    draws it evenly from a box, which not every search has, and takes half the box for σ.) Until the first restart
    nothing differs from the inner strategy alone with the same seed, except for ``center``.

    ``center`` is the inner center around which members were fittest so far, by the median of what was told: the center
    itself is never tried, and the best of a generation would be the luckiest one of the largest population.

    Args:
        center: to start from, [D].
        factor: of the population, from one start to the next.
        restarts: at most so many. The last one goes on for ever, and `stopped` tells.
        seed: of the noise and of the starts.
        options: of the inner strategy; ``population`` is that of the first start.

    Raises:
        ArgumentError: a value out of its range.
    """

    paper = "Auger & Hansen 2005, A restart CMA evolution strategy with increasing population size"
    make: ClassVar[type[Any]]

    def __init__(
        self, center: Tensor, *, factor: float = 2.0, restarts: int = 9, seed: int = 0, **options: Any
    ) -> None:
        check_range("factor", factor, low=1, high=10)
        check_range("restarts", restarts, low=0)
        self.factor, self.most, self.seed, self.options = factor, restarts, seed, options
        self.inner: Strategy = self.make(center, seed=seed, **options)
        self.start, self.center = self.inner.center.clone(), self.inner.center.clone()
        self.population = len(self.inner.ask())
        self.sigma = float(options.get("sigma", inspect.signature(self.make).parameters["sigma"].default))
        self.restarts, self.best = 0, -math.inf
        self.inner._flat = True  # what it would warn of, this one does

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        return cls.make.megabytes(size, population)

    def _sample(self) -> Population:
        return self.inner.ask()

    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None:
        median = Ranking(fitness).sorted[len(fitness) // 2]
        center = self.inner.center
        self.inner.tell(fitness)
        if median > self.best:
            self.best, self.center = float(median), center.clone()
        if self.restarts < self.most and self.inner.stopped:
            try:
                self.inner = self._started(self.restarts + 1)
                self.restarts += 1
            except ArgumentError as error:  # too large a population, most likely
                warnings.warn(f"{type(self).__name__}: cannot start again: {error}", SearchWarning, 2)
                self.most = self.restarts

    def _started(self, restart: int) -> Strategy:
        """The inner strategy at the beginning of its start number ``restart``."""
        options, center, seed = self.options, self.start, self.seed
        if restart:
            options = {**options, "population": round(self.population * self.factor**restart)}
            noise = normal(stream(seed, "ipop", "start", restart), len(center)).to(center)
            center, seed = center + self.sigma * noise, stream(seed, "ipop", "seed", restart)
        inner: Strategy = self.make(center, seed=seed, **options)
        inner._flat = True
        return inner

    @property
    def stopped(self) -> str | None:
        """Why the inner strategy has stopped, when there is no restart left."""
        reason = self.inner.stopped
        return reason and f"after {self.restarts} restarts {reason}"

    def metrics(self) -> dict[str, float]:
        return {**self.inner.metrics(), "restarts": float(self.restarts), "population": float(len(self.inner.ask()))}

    def state_dict(self) -> State:
        return {
            "center": self.center,
            "start": self.start,
            "best": torch.tensor(self.best, dtype=torch.float64),  # no plain number: JSON has no infinity
            "restarts": self.restarts,
            "seed": self.seed,
            **{PREFIX + name: value for name, value in self.inner.state_dict().items()},
        }

    def _load(self, state: State) -> None:
        inner = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        for name in ("center", "start", "restarts", "seed"):
            setattr(self, name, state[name])
        self.best = float(state["best"])
        self.inner = self._started(self.restarts)
        self.inner.load_state_dict(inner)


def ipop(inner: type[Strategy]) -> type[Restarts]:
    """`Restarts` around a strategy: a class that takes the options of both.

    Raises:
        ArgumentError: the strategy has no options ``population``, ``sigma`` and ``seed``.
    """
    own, others = inspect.signature(Restarts).parameters, inspect.signature(inner).parameters
    missing = {"population", "sigma", "seed"} - set(others)
    if missing:
        raise ArgumentError(f"inner: expected a strategy with the options {sorted(missing)}; got {inner.__name__}")
    hints = typing.get_type_hints(inner.__init__) | typing.get_type_hints(Restarts.__init__)

    def __init__(self: Restarts, center: Tensor, **options: Any) -> None:
        Restarts.__init__(self, center, **options)

    __init__.__annotations__ = hints  # where recipes look
    parameters = {**others, "factor": own["factor"], "restarts": own["restarts"]}
    attributes = {
        "__doc__": f"`Restarts` around `{inner.__name__}`.",
        "__init__": __init__,
        "__signature__": inspect.Signature([*parameters.values()]),
        "growing": frozenset(PREFIX + name for name in inner.growing),
        "make": inner,
        "summary": f"{inner.__name__} that starts anew with a larger population when it stops: for many local optima",
    }
    return type(f"IPOP{inner.__name__}", (Restarts,), attributes)
