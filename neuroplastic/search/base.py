"""Population and Strategy: what a search proposes, and how it learns from fitness.

P population, D genome length, p members asked for. Fitness is maximised; NaN means a failed trial, and ranks last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, OrderError, check_shape
from neuroplastic.noise import perturbed, squared_norms

Index = Sequence[int] | npt.NDArray[np.integer]
State = dict[str, Tensor | int | float | str]


class Population(ABC):
    """P vectors, small to send: rows are made where they are needed."""

    @abstractmethod
    def __len__(self) -> int:
        """P."""

    @abstractmethod
    def rows(self, index: Index) -> Tensor:
        """Members ``index`` [p], each 0 <= i < P: float32 [p, D]. A row does not depend on what else is asked for.

        Raises:
            ArgumentError: there is no such member.
        """


@dataclass(frozen=True, eq=False)
class DensePopulation(Population):
    """A population that keeps its rows [P, D]."""

    matrix: Tensor

    def __post_init__(self) -> None:
        check_shape("matrix", self.matrix, ["P", "D"])

    def __len__(self) -> int:
        return len(self.matrix)

    def rows(self, index: Index) -> Tensor:
        return self.matrix[torch.from_numpy(_members(index, len(self)))]


@dataclass(frozen=True, eq=False)
class SampledPopulation(Population):
    """Members center + sigma · sign · ε(stream), as small as one center and P integers.

    Attributes:
        center: float32 [D].
        sigma: standard deviation.
        streams: [P] of `neuroplastic.noise`; members of one stream are cheapest as neighbours.
        signs: [P], +1 and -1 for an antithetic pair, 0 for the center itself.

    Raises:
        ShapeError: center is no vector, or streams and signs differ in length.
    """

    center: Tensor
    sigma: float
    streams: npt.NDArray[np.uint64]
    signs: npt.NDArray[np.int8]

    def __post_init__(self) -> None:
        check_shape("center", self.center, ["D"])
        check_shape("streams", self.streams, ["P"])
        check_shape("signs", self.signs, [len(self.streams)])

    def __len__(self) -> int:
        return len(self.streams)

    def rows(self, index: Index) -> Tensor:
        members = _members(index, len(self))
        return perturbed(self.center, self.sigma, self.streams[members], self.signs[members])

    def mean_squares(self) -> npt.NDArray[np.float64]:
        """mean(h²) of each member h, without making it: [P]."""
        return squared_norms(self.center, self.sigma, self.streams, self.signs) / len(self.center)


class Strategy(ABC):
    """Proposes vectors and learns from their fitness; knows nothing else.

    A subclass writes `_sample`, `_learn`, `state_dict` and `_load`. A population depends on the state alone, so whoever
    saves between `ask` and `tell` asks again after loading, and gets the same one.

    Attributes:
        center: float32 [D], what the search would return now. Replaced by `tell`, never changed in place.
    """

    center: Tensor
    _asked: Population | None = None

    @final
    def ask(self) -> Population:
        """The population to try next; the same one until `tell`."""
        if self._asked is None:
            self._asked = self._sample()
        return self._asked

    @final
    def tell(self, fitness: npt.ArrayLike | Tensor) -> None:
        """Learns from the fitness [P] of the population asked for.

        Raises:
            OrderError: no population was asked for since the last `tell`.
            ShapeError: not one number for each member.
            DivergenceError: the center would not be finite; it stays as it is.
        """
        if self._asked is None:
            raise OrderError(
                "tell: expected ask() before it, to know whose fitness this is; got none since the last tell()"
            )
        numbers = torch.as_tensor(fitness, dtype=torch.float64, device="cpu").detach().numpy()
        check_shape("fitness", numbers, [len(self._asked)])
        self._learn(self._asked, numbers)
        self._asked = None

    @final
    def load_state_dict(self, state: Mapping[str, Tensor | int | float | str]) -> None:
        """Goes on from where `state_dict` was called; options such as the population's size are the caller's.

        Raises:
            ArgumentError: an entry is missing, unknown, or of another type.
            ShapeError: a tensor has another shape.
        """
        mine = self.state_dict()
        if set(state) != set(mine):
            raise ArgumentError(f"state: expected the entries {sorted(mine)}; got {sorted(state)}")
        copy: State = {}
        for name, value in state.items():
            own = mine[name]
            if not isinstance(value, type(own)):
                raise ArgumentError(f"state[{name!r}]: expected {type(own).__name__}; got {type(value).__name__}")
            if isinstance(value, Tensor) and isinstance(own, Tensor):
                check_shape(f"state[{name!r}]", value, list(own.shape))
                value = value.detach().to(own.dtype, copy=True)
            copy[name] = value
        self._load(copy)
        self._asked = None

    @abstractmethod
    def state_dict(self) -> State:
        """All that the generations to come depend on, beside the options: tensors and plain numbers, one level deep."""

    def metrics(self) -> dict[str, float]:
        """Numbers worth plotting, of the generation that `ask` proposes."""
        return {}

    @abstractmethod
    def _sample(self) -> Population: ...

    @abstractmethod
    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None: ...

    @abstractmethod
    def _load(self, state: State) -> None:
        """``state`` has the entries, types and shapes of `state_dict`, and is nobody else's."""


def first_center(center: Tensor) -> Tensor:
    """A copy of the vector that a search starts from: float32 [D].

    Raises:
        ShapeError: it is no vector.
        ArgumentError: it is empty, or not finite.
    """
    check_shape("center", center, ["D"])
    center = center.detach().to("cpu", torch.float32, copy=True)
    if not len(center) or not torch.isfinite(center).all():
        raise ArgumentError(f"center: expected at least one number, and all finite; got {center}")
    return center


def _members(index: Index, population: int) -> npt.NDArray[np.int64]:
    members = np.asarray(index)
    if not members.size:
        members = members.astype(np.int64)
    check_shape("index", members, ["p"])
    if members.dtype.kind not in "iu" or not ((members >= 0) & (members < population)).all():
        raise ArgumentError(f"index: expected integers from 0 to {population - 1}; got {index}")
    return members.astype(np.int64)
