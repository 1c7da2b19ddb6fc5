"""What a learned update rule is: a genome shared by all neurons and synapses says how networks predict and learn.

P genomes, E networks of each, k states of a neuron or synapse, B samples in a batch, I/O units before/after a synapse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.genome import Layout
from neuroplastic.noise import normal, stream

State = dict[str, Tensor]
"""What lives of P × E networks, flat so that it can be saved: name -> [P, E, ...]."""


class UpdateRule(ABC):
    """P genomes × E networks side by side, none of which depends on the others.

    Nothing is changed in place, so gradients flow through any number of updates, to genomes and weights. Everything
    happens on the device and in the precision of the genomes.
    """

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Of a genome [D]."""

    @property
    @abstractmethod
    def start(self) -> Tensor:
        """A genome [D], float64, that a search may start from: numbers with a natural value have it, others are 0."""

    @property
    def scale(self) -> Tensor:
        """How large a change of each number is a large one: [D], float64."""
        return torch.ones(self.layout.size, dtype=torch.float64)

    def drawn(self, seed: int) -> Tensor:
        """A genome [D], float64, to start from that is another one for each seed, if the rule leaves a choice."""
        return self.start

    @abstractmethod
    def birth(self, genomes: Tensor, sizes: Sequence[int], seeds: NDArray[np.int64]) -> State:
        """Fresh networks with layers of ``sizes``, inputs first.

        Args:
            genomes: [P, D].
            sizes: I, hidden units, O.
            seeds: of the initial synapses, [E] or [P, E].

        Raises:
            ShapeError: genomes or seeds have another shape.
            ArgumentError: there are less than two layers, or one without units.
        """

    @abstractmethod
    def predict(self, genomes: Tensor, state: State, x: Tensor) -> Tensor:
        """Inputs [P or 1, E, B, I] -> outputs [P, E, B, O]: a class each, or one whose sign tells two classes."""

    @abstractmethod
    def learn(self, genomes: Tensor, state: State, x: Tensor, targets: Tensor) -> State:
        """The networks after an update by a batch: x [P or 1, E, B, I], targets [P or 1, E, B, O], each 1 or -1."""

    def split(self, genomes: Tensor) -> dict[str, Tensor]:
        """The genomes' arrays, [P, ...] each.

        Raises:
            ShapeError: genomes are not [P, D].
        """
        check_shape("genomes", genomes, ["P", self.layout.size])
        return self.layout.split(genomes)


def check_networks(genomes: Tensor, sizes: Sequence[int], seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seeds as [P or 1, E].

    Raises:
        ShapeError, ArgumentError: as `UpdateRule.birth` says.
    """
    if len(sizes) < 2:
        raise ArgumentError(f"sizes: expected inputs and outputs at least; got {list(sizes)}")
    for size in sizes:
        check_range("sizes", size, low=1)
    if seeds.ndim == 2:
        check_shape("seeds", seeds, [len(genomes), "E"])
        return seeds
    check_shape("seeds", seeds, ["E"])
    return seeds[None]


def normals(seeds: NDArray[np.int64], purpose: str, shape: Sequence[int], like: Tensor) -> Tensor:
    """N(0, 1) numbers [P or 1, E, *shape] of seeds [P or 1, E]: those of a seed and purpose are always the same."""
    count = int(np.prod(shape))
    drawn = [normal(stream(int(seed), "learned", purpose), count) for seed in seeds.ravel()]
    return torch.stack(drawn).view(*seeds.shape, *shape).to(like)


def is_right(outputs: Tensor, targets: Tensor) -> Tensor:
    """Whether outputs [..., O] tell the class of targets [..., O]: [...]. NaN tells none."""
    if targets.shape[-1] == 1:
        return (outputs * targets > 0).squeeze(-1)
    return (outputs.argmax(-1) == targets.argmax(-1)) & outputs.isfinite().all(-1)
