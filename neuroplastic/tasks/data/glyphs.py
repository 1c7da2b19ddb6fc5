"""Glyphs: classes of pictures that are made from a seed, as many as asked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import stream, uniform

SIDE = 12
STROKES = 3
POINTS = 10
"""Points along a stroke, which leave ink around them."""


@dataclass(frozen=True)
class Glyphs:
    """Handwriting nobody has seen: a class is three strokes from point to point of a 12 × 12 grid.

    Each sample shifts all strokes and each of their ends a little; lessons and exams come from other streams.

    Attributes:
        classes: how many.
        seed: other seeds have other glyphs.
        jitter: largest shift of an end, in pixels.

    Raises:
        ArgumentError: a number is out of its range.
    """

    classes: int = 5
    seed: int = 0
    jitter: float = 1.0
    inputs = SIDE * SIDE

    def __post_init__(self) -> None:
        check_range("classes", self.classes, low=2)
        check_range("jitter", self.jitter, low=0, high=SIDE / 2)

    def strokes(self) -> Tensor:
        """Both ends of each stroke: [classes, 3, 2, 2], in pixels."""
        drawn = [uniform(stream(self.seed, "glyph", label), 4 * STROKES) for label in range(self.classes)]
        return 1.5 + (SIDE - 4) * torch.stack(drawn).view(-1, STROKES, 2, 2)

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        """x [count, 144], -1 for paper and 1 for ink."""
        ends = 4 * STROKES
        numbers = uniform(_of(stream, exam), count * (ends + 3)).view(count, ends + 3)
        y = (numbers[:, 0] * self.classes).long()
        shift = 2 * numbers[:, None, None, 1:3] - 1
        moved = self.jitter * (2 * numbers[:, 3:].view(count, STROKES, 2, 2) - 1)
        return 2 * _ink(self.strokes()[y] + shift + moved) - 1, y


def _of(seed: int, exam: bool) -> int:
    return stream(seed, "glyphs", "exam" if exam else "lesson")


def _ink(ends: Tensor) -> Tensor:
    """Strokes [N, 3, 2, 2] -> pictures [N, 144] in [0, 1]: how near the nearest point of a stroke is."""
    along = torch.linspace(0, 1, POINTS)[:, None]
    points = (ends[:, :, None, 0] * (1 - along) + ends[:, :, None, 1] * along).flatten(1, 2)
    grid = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE)).float()
    far = (grid[None, :, None] - points[:, None]).square().sum(-1).amin(-1)
    return torch.exp(-2 * far)
