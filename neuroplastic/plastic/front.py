"""Convolutions before the plastic layers: evolved, the same for a whole life, other filters in every row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.genome import Layout
from neuroplastic.plastic.kernels import BACKENDS

LARGEST = {"kernels": 16, "pools": 4}  # the fused front has their loops written out


class Stage(NamedTuple):
    """A convolution, tanh and max-pooling.

    Attributes:
        inputs: (C, H, W) of what comes in.
        outputs: (C, H, W) of what goes out.
        kernel, stride: of the convolution, K and S, the same both ways.
        pool: P; windows of P x P lie side by side, and what is left at the lower and right edge is dropped.
    """

    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    kernel: int
    stride: int
    pool: int

    @property
    def filters(self) -> tuple[int, int, int, int]:
        """Shape [O, C, K, K] of the filters."""
        return self.outputs[0], self.inputs[0], self.kernel, self.kernel


class LivingFront(ABC):
    """The fronts of B lives side by side, each with filters of its own. They never change."""

    @abstractmethod
    def step(self, pictures: Tensor, rows: Tensor) -> Tensor:
        """Pictures [b, H, W, C], contiguous, of some rows int64 [b] -> features [b, F].

        Features are those of the last stage in the order [O, H, W]. No row of them depends on the other rows.
        """

    @abstractmethod
    def replace(self, rows: Tensor, newborn: Any) -> None:
        """In the place of some rows [b] live those of a ``newborn`` front of this kind; the others stay as they are."""


@dataclass(frozen=True)
class ConvolutionalFront:
    """Stages of convolution, tanh and max-pooling, without biases or padding; every stage has an entry in each list.

    The defaults are those of Najarro & Risi 2020 for CarRacing: a picture of 84 x 84 x 3 becomes 648 features by 162 +
    1,200 filter weights.

    Attributes:
        channels: of what comes out of each stage.
        kernels: sizes of the square filters, at most 16.
        strides: steps of the filters.
        pools: sizes of the square windows of which the largest value is kept, at most 4; 1 = all values are.

    Raises:
        ArgumentError: the lists have different lengths, or a number is out of range.
    """

    channels: Sequence[int] = (6, 8)
    kernels: Sequence[int] = (3, 5)
    strides: Sequence[int] = (1, 2)
    pools: Sequence[int] = (2, 2)

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            numbers = getattr(self, name)
            if len(numbers) != len(self.channels) or not numbers:
                raise ArgumentError(f"{name}: expected a number for each of channels, one at least; got {[*numbers]}")
            for number in numbers:
                check_range(name, number, low=1, high=LARGEST.get(name, float("inf")))

    def stages(self, picture: Sequence[int]) -> list[Stage]:
        """What becomes of pictures of shape [H, W, C].

        Raises:
            ArgumentError: pictures have another kind of shape, or are too small.
        """
        if len(picture) != 3:
            raise ArgumentError(f"front: expected observations that are pictures [H, W, C]; got shape {[*picture]}")
        height, width, channels = picture
        stages: list[Stage] = []
        for made, kernel, stride, pool in zip(self.channels, self.kernels, self.strides, self.pools, strict=True):
            smallest = kernel + stride * (pool - 1)
            if min(height, width) < smallest:
                raise ArgumentError(
                    f"front: expected at least {smallest} x {smallest} pixels before stage {len(stages)} "
                    f"(kernel {kernel}, stride {stride}, pool {pool}); got {height} x {width}"
                )
            before = channels, height, width
            height, width = (((size - kernel) // stride + 1) // pool for size in (height, width))
            channels = made
            stages.append(Stage(before, (channels, height, width), kernel, stride, pool))
        return stages

    def outputs(self, picture: Sequence[int]) -> int:
        """F, the number of features of a picture of shape [H, W, C]; errors as in `stages`."""
        return prod(self.stages(picture)[-1].outputs)

    def layout(self, picture: Sequence[int]) -> Layout:
        """What evolves: conv0 [O, C, K, K], conv1, …; errors as in `stages`."""
        return Layout(tuple((f"conv{n}", stage.filters) for n, stage in enumerate(self.stages(picture))))

    def birth(self, picture: Sequence[int], filters: Mapping[str, Tensor], backend: str = "cpu") -> LivingFront:
        """B newborn fronts.

        Args:
            picture: shape [H, W, C].
            filters: the arrays of `layout`, name -> [B, O, C, K, K].
            backend: one of `kernels.BACKENDS`.

        Raises:
            UnknownNameError: no such backend.
        """
        check_name("backend", backend, BACKENDS)
        stages = self.stages(picture)
        banks = [filters[f"conv{n}"] for n in range(len(stages))]
        if backend == "reference":
            return ReferenceFront(stages, banks)
        if backend == "gpu":
            from neuroplastic.plastic.kernels.gpu import DeviceFront

            return DeviceFront(stages, banks)
        from neuroplastic.plastic.kernels.convolution import FusedFront

        return FusedFront(stages, banks)


def convolve(pictures: Tensor, filters: Tensor, stride: int) -> Tensor:
    """y_oyx = Σ_cvu w_ocvu x_c,Sy+v,Sx+u, each row by its own filters: [b, C, H, W], [b, O, C, K, K] -> [b, O, H', W'].

    The sum is written out, since torch's convolutions round differently for other numbers of rows.
    """
    rows, outputs, channels, size, _ = filters.shape
    height, width = ((length - size) // stride + 1 for length in pictures.shape[2:])
    total = pictures.new_zeros(rows, outputs, height, width)
    for channel in range(channels):
        for v in range(size):
            for u in range(size):
                seen = pictures[:, channel, v : v + stride * height : stride, u : u + stride * width : stride]
                total += filters[:, :, channel, v, u, None, None] * seen[:, None]
    return total


class ReferenceFront(LivingFront):
    """The specification of the fused front: plain torch, any device, float32 and float64.

    Args:
        stages: as of `ConvolutionalFront.stages`.
        filters: of each stage [B, O, C, K, K].
    """

    def __init__(self, stages: Sequence[Stage], filters: Sequence[Tensor]) -> None:
        self._stages, self._filters = stages, [bank.clone() for bank in filters]

    def step(self, pictures: Tensor, rows: Tensor) -> Tensor:
        activity = pictures.permute(0, 3, 1, 2)
        for stage, bank in zip(self._stages, self._filters, strict=True):
            activity = max_pool2d(torch.tanh(convolve(activity, bank[rows], stage.stride)), stage.pool)
        return activity.flatten(1)

    def replace(self, rows: Tensor, newborn: ReferenceFront) -> None:
        for bank, new in zip(self._filters, newborn._filters, strict=True):
            bank[rows] = new
