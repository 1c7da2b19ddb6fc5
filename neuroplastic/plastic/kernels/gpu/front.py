"""The front on the GPU: convolution, max-pooling and tanh of a stage in one kernel (float32).

A lane of a program keeps the sums of all P² positions in one pooling window, for several filters at once, in registers;
of each line that a filter meets there it reads every pixel once. Weights are the same for all lanes of a program, which
look at one picture. tanh rises, so that only the largest sum of a window needs it.

Products are fused with their additions, explicitly, and run in the order of (channel, v, u), and tanh is the fraction
of `kernels.convolution`, operation by operation: so the two fronts make the same numbers, but for the signs of zeros.
"""

# static_range is no loop to pyright.
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from neuroplastic.plastic.front import LivingFront, Stage
from neuroplastic.plastic.kernels.gpu.functions import launch

_SUMS = 32  # of a lane, that fit the registers with the pixels of a line


@triton.jit
def _tanh(x):
    """2pq / (q² + p²) with p / q = tanh x/2, as `convolution._Vectors.tanh` has it. NaN stays NaN."""
    h = 0.5 * tl.minimum(tl.maximum(x, -9.1, tl.PropagateNan.ALL), 9.1, tl.PropagateNan.ALL)
    s = h * h
    p = h * tl.fma(s, tl.fma(s, tl.fma(s, s + 990.0, 135135.0), 4729725.0), 34459425.0)
    q = tl.fma(s, tl.fma(s, tl.fma(s, tl.fma(s, 45.0, 13860.0), 945945.0), 16216200.0), 34459425.0)
    return tl.div_rn((p + p) * q, tl.fma(q, q, p * p))


@triton.jit
def _stage(
    pictures,
    rows,
    filters,
    pooled,
    CHANNELS: tl.constexpr,
    MADE: tl.constexpr,
    WINDOWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    POOL: tl.constexpr,
    PICTURE: tl.constexpr,
    CHANNEL: tl.constexpr,
    LINE: tl.constexpr,
    PIXEL: tl.constexpr,
    TOGETHER: tl.constexpr,
    LANES: tl.constexpr,
):
    """Some windows of a picture under some filters of its row: a program for each (picture, filters, windows).

    Args:
        pictures: [b, PICTURE] of any numbers.
        rows: int64 [b], whose filters.
        filters: [B, MADE, CHANNELS, KERNEL, KERNEL].
        pooled: [b, MADE, WINDOWS], all of it is written; there are COLUMNS windows side by side.
        CHANNEL, LINE, PIXEL: numbers from one channel, line or pixel of a picture to the next.
        TOGETHER: filters of a program. If they do not divide MADE, the last programs make some of those before again.
        LANES: windows of a program.
    """
    tiles: tl.constexpr = (WINDOWS + LANES - 1) // LANES
    blocks: tl.constexpr = (MADE + TOGETHER - 1) // TOGETHER
    program = tl.program_id(0)
    n = (program // (tiles * blocks)).to(tl.int64)  # addresses go beyond 32 bits
    first = tl.minimum(program // tiles % blocks * TOGETHER, MADE - TOGETHER)
    place = program % tiles * LANES + tl.arange(0, LANES)
    window = tl.minimum(place, WINDOWS - 1)  # idle lanes look at the last one
    corner = pictures + n * PICTURE + (window // COLUMNS * LINE + window % COLUMNS * PIXEL) * (STRIDE * POOL)
    bank = filters + (tl.load(rows + n) * MADE + first) * (CHANNELS * KERNEL * KERNEL)
    sums = ()
    for _ in tl.static_range(TOGETHER * POOL * POOL):
        sums += (tl.zeros([LANES], tl.float32),)
    for channel in range(CHANNELS):
        for v in range(KERNEL):
            line = corner + (channel * CHANNEL + v * LINE)
            weights = bank + (channel * KERNEL + v) * KERNEL
            for u in tl.static_range(KERNEL):
                seen = ()
                for i in tl.static_range(POOL * POOL):  # the compiler keeps what an earlier u has loaded
                    x = tl.load(line + (STRIDE * (i // POOL) * LINE + (STRIDE * (i % POOL) + u) * PIXEL))
                    seen += (x.to(tl.float32),)
                before, sums = sums, ()
                for o in tl.static_range(TOGETHER):
                    w = tl.load(weights + (o * CHANNELS * KERNEL * KERNEL + u))
                    for i in tl.static_range(POOL * POOL):
                        sums += (tl.fma(w, seen[i], before[o * POOL * POOL + i]),)
    made = pooled + (n * MADE + first) * WINDOWS + place
    for o in tl.static_range(TOGETHER):
        largest = sums[o * POOL * POOL]
        for i in tl.static_range(1, POOL * POOL):
            largest = tl.maximum(largest, sums[o * POOL * POOL + i], tl.PropagateNan.ALL)
        tl.store(made + o * WINDOWS, _tanh(largest), place < WINDOWS)


def _launch(stage: Stage, lies_last: bool) -> tuple[int, int, dict[str, int]]:
    """Programs a row, their warps, and what `_stage` is compiled for; ``lies_last``: pictures are [H, W, C]."""
    (channels, height, width), (made, lines, columns), kernel, stride, pool = stage
    windows = lines * columns
    lanes = next((lanes for lanes in (128, 64) if -windows % lanes <= windows // 8), 32)  # few of them idle
    blocks = -(-made // max(_SUMS // pool**2, 1))
    return (
        -(-windows // lanes) * blocks,
        lanes // 32,
        {
            "CHANNELS": channels,
            "MADE": made,
            "WINDOWS": windows,
            "COLUMNS": columns,
            "KERNEL": kernel,
            "STRIDE": stride,
            "POOL": pool,
            "PICTURE": channels * height * width,
            "CHANNEL": 1 if lies_last else height * width,
            "LINE": width * channels if lies_last else width,
            "PIXEL": channels if lies_last else 1,
            "TOGETHER": -(-made // blocks),
            "LANES": lanes,
        },
    )


class DeviceFront(LivingFront):
    """`front.ReferenceFront` in one kernel a stage, on the device of its filters. Arguments as there.

    Pictures may be of other numbers than float32, such as bytes; every pixel becomes one where it is read. A step never
    waits for the device and a replacement writes in place, so that a CUDA graph can hold steps.
    """

    def __init__(self, stages: Sequence[Stage], filters: Sequence[Tensor]) -> None:
        self._outputs = [stage.outputs for stage in stages]
        self._launches = [_launch(stage, n == 0) for n, stage in enumerate(stages)]
        self._filters = [bank.detach().to(torch.float32, copy=True).contiguous() for bank in filters]

    def step(self, pictures: Tensor, rows: Tensor) -> Tensor:
        activity = pictures
        for outputs, (programs, warps, constants), bank in zip(
            self._outputs, self._launches, self._filters, strict=True
        ):
            pooled = bank.new_empty(len(rows), *outputs)
            launch(_stage, len(rows) * programs, activity, rows, bank, pooled, warps=warps, **constants)
            activity = pooled
        return activity.flatten(1)

    def replace(self, rows: Tensor, newborn: DeviceFront) -> None:
        for bank, new in zip(self._filters, newborn._filters, strict=True):
            bank[rows] = new
