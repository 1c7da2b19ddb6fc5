"""Snippets to remember: random vectors of ±1, and cues in which a part of them is missing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import stream, uniform


@dataclass(frozen=True)
class Snippets:
    """Attributes:
        length: N, numbers in a snippet.
        missing: share of a cue that is 0.

    Raises:
        ArgumentError: a number is out of its range.
    """

    length: int = 24
    missing: float = 0.5

    def __post_init__(self) -> None:
        check_range("length", self.length, low=2)
        check_range("missing", self.missing, low=0, high=1)

    def draw(self, seed: int, count: int) -> tuple[Tensor, Tensor]:
        """Snippets [count, N] and a cue of each [count, N], with exactly ⌊missing · N⌋ zeros. float32."""
        signs = uniform(stream(seed, "snippets"), count * self.length).view(count, -1)
        order = uniform(stream(seed, "cues"), count * self.length).view(count, -1).argsort(1)
        known = torch.ones(count, self.length)
        known.scatter_(1, order[:, : int(self.missing * self.length)], 0.0)
        snippets = torch.where(signs > 0.5, 1.0, -1.0)
        return snippets, snippets * known
