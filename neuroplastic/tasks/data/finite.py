"""Data of which there are so many: some rows are for lessons, the others for exams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range
from neuroplastic.noise import stream, uniform
from neuroplastic.tasks.data.base import check_samples
from neuroplastic.tasks.data.digits import digits
from neuroplastic.tasks.data.vision import vision

Load = Callable[[], tuple[Tensor, Tensor]]


@dataclass
class Finite:
    """Rows drawn with replacement from x float32 [N, I] and labels y int64 [N].

    Which rows are for exams is a matter of the seed and the share alone.

    Attributes:
        load: gives x and y; picklable, called when they are first needed.
        classes: labels are below.
        share: of the rows that are for exams.
        seed: of the choice.
        only: labels that take part, numbered anew in this order; empty: all.

    Raises:
        ArgumentError: the share is not between 0 and 1, or, when data are needed, there are labels out of range.
    """

    load: Load
    classes: int
    share: float = 0.25
    seed: int = 0
    only: tuple[int, ...] = ()
    _rows: tuple[Tensor, Tensor, Tensor, Tensor] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_range("share", self.share, low=0, high=0.99, above=True)
        if self.only:
            if len(set(self.only)) < len(self.only) or len(self.only) < 2:
                raise ArgumentError(f"only: expected two or more distinct labels; got {self.only}")
            self.classes = len(self.only)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_rows": None}

    def rows(self, *, exam: bool) -> tuple[Tensor, Tensor]:
        """All x and y of lessons or exams."""
        if self._rows is None:
            x, y = self.load()
            check_samples(x, y)
            if self.only:
                anew = torch.full((max(int(y.max()), *self.only) + 1,), -1)
                anew[list(self.only)] = torch.arange(len(self.only))
                kept = anew[y] >= 0
                x, y = x[kept], anew[y[kept]]
            if len(y) and not (int(y.min()) >= 0 and int(y.max()) < self.classes):
                raise ArgumentError(
                    f"y: expected labels from 0 to {self.classes - 1}; got some from {int(y.min())} to {int(y.max())}"
                )
            order = np.argsort(uniform(stream(self.seed, "rows"), len(x)).numpy(), kind="stable")
            exams = round(self.share * len(x))
            if not 0 < exams < len(x):
                raise ArgumentError(f"x: expected rows for lessons and for exams; got {len(x)} in all")
            self._rows = x[order[exams:]], y[order[exams:]], x[order[:exams]], y[order[:exams]]
        return self._rows[2:] if exam else self._rows[:2]

    @property
    def inputs(self) -> int:
        return self.rows(exam=False)[0].shape[1]

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        x, y = self.rows(exam=exam)
        index = (uniform(stream, count).double() * len(x)).long()
        return x[index], y[index]


def digits_source(share: float = 0.25, seed: int = 0, only: Sequence[int] = ()) -> Finite:
    """scikit-learn's handwritten digits, 8 × 8, as in [-1, 1]; arguments of `Finite`."""
    return Finite(_digits, 10, share, seed, tuple(only))


def _digits() -> tuple[Tensor, Tensor]:
    x, y = digits()
    return 2 * x - 1, y


def vision_source(
    name: str, root: str, classes: int, share: float = 0.25, seed: int = 0, only: Sequence[int] = ()
) -> Finite:
    """A data set of torchvision that lies in the folder ``root``; arguments of `Finite`."""
    return Finite(partial(vision, name, root), classes, share, seed, tuple(only))
