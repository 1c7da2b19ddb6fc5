"""Fewer coordinates in place of many: where a search goes on after its vectors have become shorter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_shape


@dataclass(frozen=True, eq=False)
class Projection:
    """D coordinates become D' <= D: each new one stands where some old ones stood, which had numbers of their own.

    Attributes:
        into: the new coordinate of each old one, integers [D], all of 0..D' among them.

    Raises:
        ShapeError: it is no vector.
        ArgumentError: it is empty, has no integers or negative ones, or leaves a new coordinate out.
    """

    into: Tensor

    def __post_init__(self) -> None:
        check_shape("into", self.into, ["D"])
        if not len(self.into) or self.into.dtype.is_floating_point or int(self.into.min()) < 0:
            raise ArgumentError(f"into: expected at least one integer, and none below 0; got {self.into}")
        if int(self.into.max()) >= len(self.into) or not self._counts.all():
            raise ArgumentError(f"into: expected all integers from 0 to the largest, {int(self.into.max())}; got fewer")

    @cached_property
    def _index(self) -> npt.NDArray[np.int64]:
        return self.into.cpu().numpy().astype(np.int64)

    @cached_property
    def _counts(self) -> npt.NDArray[np.int64]:
        return np.bincount(self._index)

    @property
    def size(self) -> int:
        """D'."""
        return len(self._counts)

    def mean(self, numbers: Tensor) -> Tensor:
        """The mean over the old coordinates that each new one stands for: [D] -> [D'], summed in float64, in order.

        Raises:
            ShapeError: not D numbers.
        """
        return self._share(numbers, self._counts)

    def direction(self, numbers: Tensor) -> Tensor:
        """Their sum over √(how many they are): what is N(0, v) in each old coordinate is N(0, mean v) in the new one.

        Raises:
            ShapeError: not D numbers.
        """
        return self._share(numbers, np.sqrt(self._counts))

    def _share(self, numbers: Tensor, by: npt.NDArray) -> Tensor:
        check_shape("numbers", numbers, [len(self._index)])
        sums = np.bincount(self._index, numbers.detach().cpu().double().numpy(), self.size)
        return torch.from_numpy(sums / by).to(numbers.device, numbers.dtype)
