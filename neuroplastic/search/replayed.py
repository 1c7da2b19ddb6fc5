"""Searchers of other libraries, which cannot save themselves: what they were told is kept, and told again on resume."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError
from neuroplastic.search.base import DensePopulation, Population, State, Strategy, first_center
from neuroplastic.search.shaping import raw


class ReplayedStrategy(Strategy):
    """A searcher that is deterministic, given its seed and what it is told.

    Its state is the fitness of every member so far: 8 bytes each. Loading begins anew and tells it all of that, which
    takes as long as the searcher itself took. Failed members are told as the worst of their generation. A searcher that
    could not go on stays so: it may be halfway through its update.

    A subclass writes `_begin`, `_propose`, `_hear` and `_mean`.

    Args:
        center: where the search starts, float32 or float64 [D].
        seed: of the searcher.
    """

    growing: ClassVar[frozenset[str]] = frozenset({"told", "sizes"})

    def __init__(self, center: Tensor, seed: int) -> None:
        self.start = first_center(center)
        self.seed = seed
        self._restart()

    @abstractmethod
    def _begin(self) -> None:
        """A new searcher, from `start` and `seed` alone."""

    @abstractmethod
    def _propose(self) -> Tensor:
        """The members to try next [P, D]; called once before each `_hear`."""

    @abstractmethod
    def _hear(self, fitness: npt.NDArray[np.float64]) -> None:
        """The fitness of these members [P], finite, to be maximised.

        Raises:
            DivergenceError: the searcher cannot go on.
        """

    @abstractmethod
    def _mean(self) -> Tensor | None:
        """The middle of the search now [D]; None if the searcher has none, and its best member is what it returns."""

    def _restart(self) -> None:
        self._told: list[npt.NDArray[np.float64]] = []
        self._best, self.center = -np.inf, self.start.clone()
        self._broken: DivergenceError | None = None
        self._begin()

    def _sample(self) -> Population:
        return DensePopulation(self._propose().to(self.start, copy=True))

    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None:
        numbers = raw(fitness)
        if self._broken is not None:
            raise self._broken
        try:
            self._hear(numbers)
        except DivergenceError as error:
            self._broken = error
            raise
        self._told.append(fitness.copy())
        mean, first = self._mean(), int(numbers.argmax())
        if mean is not None:
            self.center = mean.to(self.start, copy=True)
        elif numbers[first] > self._best:
            self._best, self.center = float(numbers[first]), population.rows([first])[0]

    def state_dict(self) -> State:
        told = np.concatenate([np.zeros(0), *self._told])
        return {
            "center": self.center,
            "start": self.start,
            "seed": self.seed,
            "told": torch.from_numpy(told),
            "sizes": torch.tensor([len(fitness) for fitness in self._told], dtype=torch.int64),
        }

    def _load(self, state: State) -> None:
        told, sizes, center = state["told"], state["sizes"], state["center"]
        assert isinstance(told, Tensor)
        assert isinstance(sizes, Tensor)
        assert isinstance(center, Tensor)
        assert isinstance(state["start"], Tensor)
        self.start, self.seed = state["start"], int(state["seed"])
        self._restart()
        for number, fitness in enumerate(told.split(sizes.tolist())):
            population = self._sample()
            if len(population) != len(fitness):
                self._refuse(f"generation {number} has {len(fitness)} members in the state, {len(population)} now")
            self._learn(population, fitness.numpy())
        if not torch.equal(self.center, center):
            self._refuse("its center is another one now")

    def _refuse(self, what: str) -> None:
        raise ArgumentError(
            f"state: expected what {type(self).__name__} was told by the same version of its library, with the same "
            f"options; got another: {what}"
        )
