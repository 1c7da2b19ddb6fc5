"""What a search of one σ for all proposes of a learned rule's genome: numbers of like size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import check_shape
from neuroplastic.genome import Layout
from neuroplastic.learned.base import UpdateRule


@dataclass(frozen=True)
class Scaled:
    """A `Codec`: genome = scale · vector, number by number.

    Attributes:
        rule: whose ``scale`` it is.
    """

    rule: UpdateRule

    @property
    def layout(self) -> Layout:
        return self.rule.layout

    def decode(self, vectors: Tensor) -> Tensor:
        check_shape("vectors", vectors, ["p", self.layout.size])
        return vectors * self.rule.scale.to(vectors)

    def encode(self, genomes: Tensor) -> Tensor:
        """The vectors [..., D] that stand for genomes."""
        return genomes / self.rule.scale.to(genomes)

    def state_dict(self) -> dict[str, Tensor]:
        return {"scale": self.rule.scale}

    def random(self, seed: int) -> Tensor:
        """A vector [D], float64, to start a search from: the rule's ``start``, or what it draws where it has none."""
        return self.encode(self.rule.drawn(seed)).to(torch.float64)
