"""Numbers of sampled genomes, made on the device that wants them."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from neuroplastic.genome import Sample, SampledArray
from neuroplastic.plastic.kernels.gpu.functions import launch, normals

_NUMBERS = 1024  # that a program makes


@triton.jit
def _perturb(
    out, center, deviations, keys, scales, start, count, EACH: tl.constexpr, TOGETHER: tl.constexpr, SIZE: tl.constexpr
):
    """Program (p, n): numbers n SIZE, … of member p, `noise.perturbed`."""
    member, first = tl.program_id(0).to(tl.int64), tl.program_id(1) * SIZE
    at, heads = first + tl.arange(0, SIZE), first + tl.arange(0, SIZE // TOGETHER) * TOGETHER
    noise = tl.reshape(normals(tl.load(keys + member), (start + heads)[None, :], TOGETHER), (SIZE,))
    if EACH:
        noise = tl.load(deviations + start + at, mask=at < count, other=0.0) * noise
    value = tl.load(center + start + at, mask=at < count, other=0.0) + tl.load(scales + member) * noise
    tl.store(out + member * count + at, value, mask=at < count)


class Source:
    """A sample as kernels take it, on a device.

    Attributes:
        sample: where it comes from.
        center: float32 [D].
        deviations: float32 [D], or None if all are the same.
        keys: streams, int64 with the bits of unsigned numbers [p].
        scales: what noise is multiplied by, sigma · sign or the sign alone [p].
    """

    def __init__(self, sample: Sample, device: torch.device) -> None:
        self.sample = sample
        each = isinstance(sample.sigma, Tensor)
        self.center = sample.center.to(device, torch.float32)
        self.deviations = sample.sigma.to(device, torch.float32) if isinstance(sample.sigma, Tensor) else None
        signs = np.asarray(sample.signs, np.float64) * (1.0 if each else sample.sigma)
        self.keys = torch.from_numpy(sample.streams.view(np.int64).copy()).to(device)
        self.scales = torch.from_numpy(signs.astype(np.float32)).to(device)


def together(*starts: int) -> int:
    """How many of four numbers that Philox makes at once can be used, if tiles begin at such numbers."""
    return next(size for size in (4, 2, 1) if all(start % size == 0 for start in starts))


def made(array: SampledArray, device: torch.device, source: Source | None = None) -> Tensor:
    """The numbers [p, *shape] of sampled genomes, float32 on the device, bit for bit those of `noise.perturbed`.

    Args:
        source: the sample, if it is on the device already.
    """
    source = source or Source(array.sample, device)
    count = prod(array.shape)
    rows = torch.empty(len(source.keys), count, device=device)
    if rows.numel():
        launch(
            _perturb, (len(rows), -(-count // _NUMBERS)), rows, source.center, source.deviations, source.keys,
            source.scales, array.start, count, source.deviations is not None, together(array.start), _NUMBERS,
        )  # fmt: skip
    return rows.view(len(rows), *array.shape)
