"""Layout: named arrays <-> one flat genome. Codec: what a search proposes -> genomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError, check_shape


@dataclass(frozen=True)
class Layout:
    """Which numbers of a flat genome belong to which named array.

    Attributes:
        shapes: (name, shape) in the order in which the arrays lie in the genome, each in row-major order.

    Raises:
        ArgumentError: two arrays have the same name, or a size is negative.

    >>> layout = Layout((("A", (2, 3)), ("B", (2,))))
    >>> layout.size
    8
    >>> {name: part.tolist() for name, part in layout.split(torch.arange(8.0)).items()}
    {'A': [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], 'B': [6.0, 7.0]}
    """

    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __post_init__(self) -> None:
        names: set[str] = set()
        for name, shape in self.shapes:
            if name in names:
                raise ArgumentError(f"layout: expected distinct names; got {name!r} twice")
            if any(size < 0 for size in shape):
                raise ArgumentError(f"layout: expected sizes >= 0 for {name!r}; got {shape}")
            names.add(name)

    @classmethod
    def nest(cls, parts: Mapping[str, Layout]) -> Layout:
        """One layout after the other, names joined by a dot: ``{"layer0": Layout((("A", ...),))}`` -> ``layer0.A``."""
        return cls(tuple((f"{prefix}.{name}", shape) for prefix, part in parts.items() for name, shape in part.shapes))

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each array lies in the genome."""
        slices, start = {}, 0
        for name, shape in self.shapes:
            slices[name] = slice(start, start + prod(shape))
            start += prod(shape)
        return slices

    @property
    def size(self) -> int:
        """D, the length of a genome."""
        return sum(prod(shape) for _, shape in self.shapes)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.shapes)

    def split(self, genomes: Tensor) -> dict[str, Tensor]:
        """Views into genomes [..., D]: name -> [..., *shape].

        Raises:
            ShapeError: the last dimension is not D.
        """
        if genomes.ndim == 0 or genomes.shape[-1] != self.size:
            raise ShapeError(f"genomes: expected shape [..., {self.size}]; got {list(genomes.shape)}")
        lead = genomes.shape[:-1]
        return {name: genomes[..., self.slices[name]].view((*lead, *shape)) for name, shape in self.shapes}

    def join(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """The genomes [..., D] that `split` takes apart into ``arrays``.

        Raises:
            ArgumentError: a name is missing or unknown.
            ShapeError: an array has another shape than its place.
        """
        if set(arrays) != set(self):
            raise ArgumentError(f"arrays: expected the names {sorted(self)}; got {sorted(arrays)}")
        if not self.shapes:
            return torch.zeros(0)
        first_name, first_shape = self.shapes[0]
        first = arrays[first_name]
        lead = tuple(first.shape[: max(0, first.ndim - len(first_shape))])
        for name, shape in self.shapes:
            check_shape(f"arrays[{name!r}]", arrays[name], [*lead, *shape])
        return torch.cat([arrays[name].reshape(*lead, prod(shape)) for name, shape in self.shapes], dim=-1)

    def to_json(self) -> list[list]:
        """For the metadata of files; `from_json` reads it back."""
        return [[name, list(shape)] for name, shape in self.shapes]

    @classmethod
    def from_json(cls, value: Sequence[Sequence]) -> Layout:
        return cls(tuple((str(name), tuple(int(size) for size in shape)) for name, shape in value))


@dataclass(frozen=True, eq=False)
class Sample:
    """Genomes center + sigma · sign · ε(stream) of `neuroplastic.noise` that nobody has made yet: p rows [D].

    Attributes:
        center: [D].
        sigma: standard deviation, one for all numbers or one for each [D].
        streams: uint64 [p].
        signs: [p], usually +1 and -1.
    """

    center: Tensor
    sigma: float | Tensor
    streams: npt.NDArray[np.uint64]
    signs: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.streams)

    def split(self, layout: Layout) -> dict[str, SampledArray]:
        """The named arrays of a layout, as `Layout.split`.

        Raises:
            ShapeError: genomes have another length.
        """
        if self.center.shape != (layout.size,):
            raise ShapeError(f"genomes: expected shape [..., {layout.size}]; got a sample of {list(self.center.shape)}")
        return {name: SampledArray(self, layout.slices[name].start, shape) for name, shape in layout.shapes}


class SampledArray(NamedTuple):
    """Numbers start, start + 1, … of sampled genomes: [p, *shape]."""

    sample: Sample
    start: int
    shape: tuple[int, ...]


class Codec(Protocol):
    """From vectors that a search proposes to the genomes that they stand for; small, immutable and picklable.

    D' length of a vector, D length of a genome.

    Attributes:
        layout: of a vector.
    """

    @property
    def layout(self) -> Layout: ...

    def decode(self, vectors: Tensor) -> Tensor:
        """Vectors [p, D'] -> genomes [p, D] in their precision. No row depends on the others.

        Raises:
            ShapeError: vectors have another shape.
        """
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What must be known to decode an old vector, beside the rule and the genome's layout; to be saved with it."""
        ...


@dataclass(frozen=True)
class Identity:
    """A vector is a genome."""

    layout: Layout

    def decode(self, vectors: Tensor) -> Tensor:
        check_shape("vectors", vectors, ["p", self.layout.size])
        return vectors

    def state_dict(self) -> dict[str, Tensor]:
        return {}
