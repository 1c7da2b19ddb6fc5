"""Glyphs nobody has seen, alphabet after alphabet: tasks of many classes that never run out of examples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import stream
from neuroplastic.tasks.data.glyphs import Glyphs
from neuroplastic.tasks.pathnet.supervised import SupervisedTask, salted

BLOCK = 32
EXAM = 1000


@dataclass(frozen=True)
class GlyphExamples:
    """A `Draw` of an alphabet's glyphs, each written anew, with salt-and-pepper noise of ink and paper.

    Attributes:
        glyphs: the alphabet.
        noise: the share of the pixels that are replaced.

    Raises:
        ArgumentError: noise is not in [0, 1].
    """

    glyphs: Glyphs
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_range("noise", self.noise, low=0, high=1)

    def __call__(self, source: int, count: int, start: int) -> tuple[Tensor, Tensor]:
        first, last = start // BLOCK, (start + count - 1) // BLOCK  # glyphs are written in blocks, each of a stream
        blocks = [
            self.glyphs.draw(stream(source, "block", number), BLOCK, exam=False) for number in range(first, last + 1)
        ]
        x, y = (torch.cat(parts)[start - BLOCK * first :][:count] for parts in zip(*blocks, strict=True))
        return salted(x, self.noise, source, start, -1.0), y

    def exam(self, source: int) -> tuple[Tensor, Tensor]:
        """Test examples, of streams that lessons never have."""
        x, y = self.glyphs.draw(source, EXAM, exam=True)
        return salted(x, self.noise, stream(source, "exam"), 0, -1.0), y


def glyph_tasks(
    seed: int,
    tasks: int = 2,
    *,
    classes: int = 5,
    jitter: float = 1.0,
    noise: float = 0.0,
    batch: int = 16,
    shared: bool = False,
) -> list[SupervisedTask]:
    """Tasks ``glyphs0``, ``glyphs1``, …, each to tell the glyphs of an alphabet of its own from each other.

    Raises:
        ArgumentError: a number is out of range.
    """
    check_range("tasks", tasks, low=1)
    made = []
    for number in range(tasks):
        draw = GlyphExamples(Glyphs(classes, stream(seed, "alphabet", number), jitter), noise)
        name, inputs = f"glyphs{number}", (Glyphs.inputs,)
        made.append(SupervisedTask(name, inputs, classes, draw, batch, shared, draw.exam))
    return made
