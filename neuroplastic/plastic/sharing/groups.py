"""Few rules for many synapses: K groups, one rule for each layer, or one for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.genome import Codec, Layout
from neuroplastic.noise import stream, uniform
from neuroplastic.plastic.sharing.synapses import Synapses


@dataclass(frozen=True, eq=False)
class Groups:
    """K rules for the whole network, each followed by the synapses that it is assigned to.

    A vector holds what nobody shares, then ``rules.A``, … [K].

    Attributes:
        synapses: of the network.
        assignment: which rule each synapse follows, int32 [N]; every rule has some.

    Raises:
        ShapeError: not one rule for each synapse.
        ArgumentError: rules are no int32, not 0..K, or one has no synapse.
    """

    synapses: Synapses
    assignment: Tensor

    def __post_init__(self) -> None:
        check_shape("assignment", self.assignment, [self.synapses.number])
        if self.assignment.dtype != torch.int32:
            raise ArgumentError(f"assignment: expected int32; got {self.assignment.dtype}")
        low, high = (int(number) for number in torch.aminmax(self.assignment))
        if low < 0 or high >= len(self.assignment) or not torch.bincount(self.assignment).all():
            raise ArgumentError(f"assignment: expected rules 0..K, each with a synapse; got some from {low} to {high}")

    @cached_property
    def number(self) -> int:
        """K."""
        return int(self.assignment.max()) + 1

    @property
    def layout(self) -> Layout:
        return Layout((*self.synapses.others, *((f"rules.{term}", (self.number,)) for term in self.synapses.terms)))

    def decode(self, vectors: Tensor) -> Tensor:
        """X_n of synapse n = X_k of its rule k."""
        assignment = self.assignment.to(vectors.device)

        def coefficients(parts: Mapping[str, Tensor], layer: str, term: str) -> Tensor:
            own = assignment[self.synapses.slices[layer]]
            return parts[f"rules.{term}"].index_select(1, own).view(-1, *self.synapses.layers[layer])

        return self.synapses.genomes(vectors, self.layout, coefficients)

    def state_dict(self) -> dict[str, Tensor]:
        return {"assignment": self.assignment}


@dataclass(frozen=True)
class Uniform:
    """All synapses of a layer follow one rule, or all of the network.

    A vector holds what nobody shares, then ``rules.A``, …, a number for each layer, or one.

    Attributes:
        synapses: of the network.
        everywhere: whether one rule is for all layers.
    """

    synapses: Synapses
    everywhere: bool = False

    @property
    def layout(self) -> Layout:
        number = 1 if self.everywhere else len(self.synapses.layers)
        return Layout((*self.synapses.others, *((f"rules.{term}", (number,)) for term in self.synapses.terms)))

    def decode(self, vectors: Tensor) -> Tensor:
        layers = list(self.synapses.layers)

        def coefficients(parts: Mapping[str, Tensor], layer: str, term: str) -> Tensor:
            return parts[f"rules.{term}"][:, 0 if self.everywhere else layers.index(layer), None, None]

        return self.synapses.genomes(vectors, self.layout, coefficients)

    def state_dict(self) -> dict[str, Tensor]:
        return {}


def balanced(synapses: int, groups: int) -> Tensor:
    """A random rule of K for each of N synapses, the same for the same (N, K): int32 [N].

    Each rule has N // K synapses, or one more.

    Raises:
        ArgumentError: not 1 <= K <= N.
    """
    check_range("groups", groups, low=1, high=synapses)
    order = uniform(stream(0, "groups", synapses, groups), synapses).argsort(stable=True)
    assignment = torch.empty(synapses, dtype=torch.int32)
    assignment[order] = torch.arange(synapses, dtype=torch.int32) % groups
    return assignment


def replaced(old: Codec, new: Codec) -> Tensor:
    """Which number of a new vector stands where each of an old one stood: int64 [D' of old].

    Args:
        old: a codec that gives each number of a genome one of the vector: `Identity`, `Groups` or `Uniform`.
        new: another one, whose groups are made of whole groups of the old one.

    Raises:
        ArgumentError: the new groups divide old ones.
    """
    before, after = (_index(each) for each in (old, new))
    into = torch.empty(old.layout.size, dtype=torch.int64)
    into[before] = after
    if not torch.equal(into[before], after):
        raise ArgumentError("assignment: expected groups that are made of whole groups of before; got divided ones")
    return into


def _index(codec: Codec) -> Tensor:
    """Which number of the vector each one of the genome is: int64 [D]."""
    return codec.decode(torch.arange(codec.layout.size, dtype=torch.float64)[None])[0].long()
