"""Population and Strategy: what a search proposes, and how it learns from fitness.

P population, D genome length, p members asked for. Fitness is maximised; NaN means a failed trial, and ranks last.
"""

from __future__ import annotations

import copy
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError, OrderError, SearchWarning, check_shape
from neuroplastic.genome import Sample
from neuroplastic.noise import perturbed, squared_norms
from neuroplastic.search.projection import Projection

Index = Sequence[int] | npt.NDArray[np.integer]
State = dict[str, Tensor | int | float | str]


class Population(ABC):
    """P vectors, small to send: rows are made where they are needed."""

    @abstractmethod
    def __len__(self) -> int:
        """P."""

    @abstractmethod
    def rows(self, index: Index) -> Tensor:
        """Members ``index`` [p], each 0 <= i < P: [p, D]. A row does not depend on what else is asked for.

        Raises:
            ArgumentError: there is no such member.
        """

    def sample(self, index: Index) -> Sample | None:
        """Members as `rows` would make them, for whoever makes them elsewhere; None if they are no sample."""
        return None


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
    """Members center + sigma · sign · ε(stream), as small as a vector or two and P integers.

    Attributes:
        center: float32 or float64 [D], on any device.
        sigma: standard deviation, one for all numbers or one for each [D].
        streams: [P] of `neuroplastic.noise`; members of one stream are cheapest as neighbours.
        signs: [P], +1 and -1 for an antithetic pair, 0 for the center itself.

    Raises:
        ShapeError: center is no vector, sigma has another length, or streams and signs differ in length.
    """

    center: Tensor
    sigma: float | Tensor
    streams: npt.NDArray[np.uint64]
    signs: npt.NDArray[np.int8]

    def __post_init__(self) -> None:
        check_shape("center", self.center, ["D"])
        if isinstance(self.sigma, Tensor):
            check_shape("sigma", self.sigma, list(self.center.shape))
        check_shape("streams", self.streams, ["P"])
        check_shape("signs", self.signs, [len(self.streams)])

    def __len__(self) -> int:
        return len(self.streams)

    def rows(self, index: Index) -> Tensor:
        members = _members(index, len(self))
        rows = perturbed(self.center, self.sigma, self.streams[members], self.signs[members])
        return rows.to(self.center.device)

    def sample(self, index: Index) -> Sample | None:
        members = _members(index, len(self))
        return Sample(self.center, self.sigma, self.streams[members], self.signs[members])

    def mean_squares(self) -> npt.NDArray[np.float64]:
        """mean(h²) of each member h, without making them all: [P]."""
        if isinstance(self.sigma, Tensor) or self.center.dtype == torch.float64:
            return np.array([float(self.rows([member]).double().square().mean()) for member in range(len(self))])
        return squared_norms(self.center, self.sigma, self.streams, self.signs) / len(self.center)


@dataclass(frozen=True)
class Bounds:
    """Between which numbers the search stays, the same for all D; None: no bound.

    Raises:
        ArgumentError: a bound is NaN, or the lower one is not below the upper one.
    """

    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        lower = -math.inf if self.lower is None else self.lower
        upper = math.inf if self.upper is None else self.upper
        if not lower < upper:
            raise ArgumentError(f"lower, upper: expected lower < upper; got {self.lower} and {self.upper}")

    def __bool__(self) -> bool:
        return self.lower is not None or self.upper is not None

    def nearest(self, numbers: Tensor) -> Tensor:
        """The nearest numbers within the bounds."""
        return numbers.clamp(self.lower, self.upper) if self else numbers


@dataclass(frozen=True, eq=False)
class BoundedPopulation(Population):
    """A population whose numbers are moved to the nearest ones within bounds."""

    population: Population
    bounds: Bounds

    def __len__(self) -> int:
        return len(self.population)

    def rows(self, index: Index) -> Tensor:
        return self.bounds.nearest(self.population.rows(index))


class Strategy(ABC):
    """Proposes vectors and learns from their fitness; knows nothing else.

    A subclass writes `_sample`, `_learn`, `state_dict` and `_load`, and `_project` if it can. A population depends on
    the state alone, so whoever saves between `ask` and `tell` asks again after loading, and gets the same one.

    Attributes:
        center: [D], what the search would return now, in the precision and on the device of the first one. Replaced by
            `tell`, never changed in place.
        bounds: members are tried at their nearest points within them, and learned from as they were drawn (PGPE, SNES);
            unless a search keeps them by itself: CMA-ES and xNES fold space (`folding`) and learn from what was drawn
            before, the genetic algorithm moves the genes of children and breeds from those. After each `tell` the
            center is moved to its nearest point.
        ordinal: whether the order of fitness is all that counts for what is proposed and returned.
        growing: tensors of `state_dict` whose first dimension may have any length.
        summary: when to use it, in a line.
        paper: where it is described.
    """

    center: Tensor
    bounds: Bounds = Bounds()
    ordinal: bool = False
    growing: ClassVar[frozenset[str]] = frozenset()
    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    _asked: Population | None = None
    _flat: bool = False

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        """Memory that the search itself takes at D = ``size``, rows that are being tried not counted; NaN: unknown."""
        return math.nan

    @final
    def ask(self) -> Population:
        """The population to try next; the same one until `tell`."""
        if self._asked is None:
            self._asked = self._sample()
        return BoundedPopulation(self._asked, self.bounds) if self.bounds else self._asked

    @final
    def tell(self, fitness: npt.ArrayLike | Tensor) -> None:
        """Learns from the fitness [P] of the population asked for.

        Raises:
            OrderError: no population was asked for since the last `tell`.
            ShapeError: not one number for each member.
            DivergenceError: the center would not be finite; it stays as it is.

        Warns:
            SearchWarning: once, if all members are equally fit, or all failed: nothing can be learned from that.
        """
        if self._asked is None:
            raise OrderError(
                "tell: expected ask() before it, to know whose fitness this is; got none since the last tell()"
            )
        numbers = torch.as_tensor(fitness, dtype=torch.float64, device="cpu").detach().numpy()
        check_shape("fitness", numbers, [len(self._asked)])
        if not self._flat and len(numbers) > 1 and len(np.unique(numbers)) == 1:
            what = "all of a generation failed" if np.isnan(numbers[0]) else f"all of a generation got {numbers[0]:g}"
            warnings.warn(f"{type(self).__name__}: {what}; nothing can be learned from that", SearchWarning, 2)
            self._flat = True
        self._learn(self._asked, numbers)
        self.center = self.bounds.nearest(self.center)
        self._asked = None

    @property
    def stopped(self) -> str | None:
        """Why going on is pointless; None while it is not, and of a strategy that cannot tell."""
        return None

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
        ours: State = {}
        for name, value in state.items():
            own = mine[name]
            if not isinstance(value, type(own)):
                raise ArgumentError(f"state[{name!r}]: expected {type(own).__name__}; got {type(value).__name__}")
            if isinstance(value, Tensor) and isinstance(own, Tensor):
                grows = name in self.growing
                check_shape(f"state[{name!r}]", value, ["N" if grows else len(own), *own.shape[1:]] if own.ndim else [])
                value = value.detach().to(own.device, own.dtype, copy=True)
            ours[name] = value
        self._load(ours)
        self._asked = None

    @final
    def project(self, projection: Projection) -> Self:
        """This search, going on in fewer coordinates; this one stays as it is.

        The center is the mean of the coordinates that are merged, and so is what moves it (an optimizer's running
        means): that is how their mean would have moved on. A deviation is such that its variance is the mean of theirs.
        (The variance of their mean is smaller, the more there are: the search would be all but over before it began.)

        Raises:
            ArgumentError: this kind of search cannot.
            ShapeError: the projection is of other than D coordinates.
        """
        check_shape("projection.into", projection.into, [len(self.center)])
        projected = copy.copy(self)
        projected._asked = None
        projected._project(projection)
        return projected

    def _project(self, projection: Projection) -> None:
        """Replaces all that has a coordinate in it; changes nothing in place, because the search it is of goes on."""
        raise ArgumentError(
            "search.name: expected a search that can go on in fewer coordinates, as openai-es, pgpe, snes, sep-cma-es "
            f"and random can; got {type(self).__name__}"
        )

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
    """A copy of the vector that a search starts from: [D], in float64 if it is, else in float32.

    Raises:
        ShapeError: it is no vector.
        ArgumentError: it is empty, or not finite.
    """
    check_shape("center", center, ["D"])
    center = center.detach().to(torch.float64 if center.dtype == torch.float64 else torch.float32, copy=True)
    if not len(center) or not torch.isfinite(center).all():
        raise ArgumentError(f"center: expected at least one number, and all finite; got {center}")
    return center


def diverged(wrong: int, generation: int) -> DivergenceError:
    """The error for a center of which so many numbers would not be finite."""
    return DivergenceError(f"center: expected finite numbers after generation {generation}; got {wrong} that are not")


def _members(index: Index, population: int) -> npt.NDArray[np.int64]:
    members = np.asarray(index)
    if not members.size:
        members = members.astype(np.int64)
    check_shape("index", members, ["p"])
    if members.dtype.kind not in "iu" or not ((members >= 0) & (members < population)).all():
        raise ArgumentError(f"index: expected integers from 0 to {population - 1}; got {index}")
    return members.astype(np.int64)
