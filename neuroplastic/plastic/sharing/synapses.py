"""The synapses that share coefficients, and the units that they join."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError, check_shape
from neuroplastic.genome import Layout

Coefficients = Callable[[Mapping[str, Tensor], str, str], Tensor]
"""From the arrays of vectors, a layer and a term to the layer's coefficients, [p, O, I] or what broadcasts to it."""


@dataclass(frozen=True)
class Wiring:
    """Which units a layer's synapses join, by ids that hold for the whole network.

    Attributes:
        pre: of the I units before the synapses.
        post: of the O units after them.
    """

    pre: tuple[int, ...]
    post: tuple[int, ...]


@dataclass(frozen=True)
class Synapses:
    """The plastic synapses of a network, numbered 0..N: layer after layer, each in row-major order of [O, I].

    Attributes:
        network: the layout of a genome.
        terms: names of the coefficients that each synapse has.

    Raises:
        ArgumentError: there are none, or a layer lacks a term.
        ShapeError: a layer's terms have different shapes, or are no matrices.
    """

    network: Layout
    terms: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ArgumentError(f"terms: expected some that evolve, in some layer; got {self.terms}")
        shapes = dict(self.network.shapes)
        for layer, shape in self.layers.items():
            if len(shape) != 2:
                raise ShapeError(f"{layer}: expected coefficients of shape [O, I]; got {list(shape)}")
            for term in self.terms:
                if shapes.get(f"{layer}.{term}") != shape:
                    raise ShapeError(
                        f"{layer}.{term}: expected shape {list(shape)}, as the layer's other coefficients have; "
                        f"got {list(shapes.get(f'{layer}.{term}', ())) or 'none'}"
                    )

    @cached_property
    def layers(self) -> dict[str, tuple[int, ...]]:
        """Layer -> (O, I)."""
        found: dict[str, tuple[int, ...]] = {}
        for name, shape in self.network.shapes:
            layer, _, term = name.rpartition(".")
            if term in self.terms:
                found.setdefault(layer, shape)
        return found

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Layer -> which of the N synapses are its own."""
        return Layout(tuple(self.layers.items())).slices

    @property
    def number(self) -> int:
        """N."""
        return sum(prod(shape) for shape in self.layers.values())

    @cached_property
    def others(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The arrays of the genome that nobody shares: (name, shape)."""
        mine = {f"{layer}.{term}" for layer in self.layers for term in self.terms}
        return tuple((name, shape) for name, shape in self.network.shapes if name not in mine)

    def genomes(self, vectors: Tensor, layout: Layout, coefficients: Coefficients) -> Tensor:
        """Genomes [p, D] of vectors [p, D'] of a layout; what nobody shares is the same in both.

        Raises:
            ShapeError: vectors have another shape.
        """
        check_shape("vectors", vectors, ["p", layout.size])
        parts, genomes = layout.split(vectors), vectors.new_empty(len(vectors), self.network.size)
        arrays = self.network.split(genomes)
        for name, _ in self.others:
            arrays[name].copy_(parts[name])
        for layer in self.layers:
            for term in self.terms:
                arrays[f"{layer}.{term}"].copy_(coefficients(parts, layer, term))
        return genomes

    def rules(self, genome: Tensor) -> Tensor:
        """The coefficients of each synapse in a genome [D]: [N, T]."""
        parts = self.network.split(genome)
        return torch.stack(
            [torch.cat([parts[f"{at}.{term}"].flatten() for at in self.layers]) for term in self.terms], 1
        )
