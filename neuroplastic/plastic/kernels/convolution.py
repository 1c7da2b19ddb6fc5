"""The fused front: convolution, max-pooling and tanh of a stage in one pass over its picture (float32).

A stage first deals the pixels of its picture out to Q² planes of each channel, Q = stride x pool: pixel (y, x) goes to
plane (y mod Q, x mod Q), place (y div Q, x div Q). What the same weight of a filter meets under pooling windows that
lie side by side then lies side by side too, so that one vector holds one value of each of 8 or 16 windows, and vector
registers hold the sums of all P² positions in these windows for several filters at once. They are read from memory
once, and leave the registers only after the largest was chosen and its tanh was taken: tanh rises, so that the order
of the two does not matter, and all but one tanh of a window are saved.

LLVM does not vectorise such loops by itself; so the two steps that matter are written as vectors. All multiplications
of a sum are fused with their additions, explicitly, and run in the order of (channel, v, u): no number depends on the
width of the vectors nor on other rows.

Everything compiled, and every constant in it, stays in this file: numba's cache does not see a change in another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from neuroplastic.plastic.front import LivingFront, Stage

_LANES, _SUMS = (16, 24) if get_host_cpu_features().get("avx512f") else (8, 12)  # sums that fit the registers
_FLOAT, _INT32 = ir.FloatType(), ir.IntType(32)
_intrinsic: Any = intrinsic(prefer_literal=True)  # numbers that the compiler knows arrive as literal types

_TANH_IS_ONE = 9.1
_NUMERATOR = 1, 990, 135135, 4729725, 34459425
_DENOMINATOR = 45, 13860, 945945, 16216200, 34459425


class _Vectors:
    """Instructions on vectors of float32."""

    def __init__(self, builder: Any, lanes: int) -> None:
        self.builder, self.type = builder, ir.VectorType(_FLOAT, lanes)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.type, [value] * self.type.count)

    def load(self, pointer: Any) -> Any:
        vector = self.builder.load(self.builder.bitcast(pointer, self.type.as_pointer()))
        vector.align = 4
        return vector

    def store(self, vector: Any, pointer: Any) -> None:
        self.builder.store(vector, self.builder.bitcast(pointer, vector.type.as_pointer())).align = 4

    def broadcast(self, pointer: Any) -> Any:
        first = self.builder.insert_element(self.constant(0), self.builder.load(pointer), _INT32(0))
        return self.pick(first, [0] * self.type.count)

    def pick(self, vector: Any, lanes: Sequence[int]) -> Any:
        """Some lanes of a vector as another."""
        mask = ir.Constant(ir.VectorType(_INT32, len(lanes)), list(lanes))
        return self.builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fma.v{self.type.count}f32"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def larger(self, a: Any, b: Any) -> Any:
        """The larger of two; NaN if one is, as in torch."""
        keep = self.builder.or_(self.builder.fcmp_ordered(">", a, b), self.builder.fcmp_unordered("uno", a, a))
        return self.builder.select(keep, a, b)

    def horner(self, coefficients: Sequence[float], s: Any) -> Any:
        total = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.fma(total, s, self.constant(coefficient))
        return total

    def tanh(self, x: Any) -> Any:
        """2pq / (q² + p²) with p / q = tanh x/2 by Lambert's fraction, as in `cpu._tanh`. NaN stays NaN.

        The relative error is below 1e-6.
        """
        build = self.builder
        for name, bound in (("<", -_TANH_IS_ONE), (">", _TANH_IS_ONE)):
            bound = self.constant(bound)
            x = build.select(build.fcmp_ordered(name, x, bound), bound, x)
        h = build.fmul(x, self.constant(0.5))
        s = build.fmul(h, h)
        p, q = build.fmul(h, self.horner(_NUMERATOR, s)), self.horner(_DENOMINATOR, s)
        return build.fdiv(build.fmul(build.fadd(p, p), q), self.fma(q, q, build.fmul(p, p)))


def _data(context: Any, builder: Any, kind: Any, array: Any) -> tuple[Any, list]:
    """The pointer to an array's first number, and its shape."""
    found = context.make_array(kind)(context, builder, array)
    return found.data, cgutils.unpack_tuple(builder, found.shape)


@_intrinsic
def _deal(typingctx, source, start, planes, place, reach, depth, lanes):
    """``lanes`` places of each of Q planes of D channels from Q x D x lanes consecutive numbers of the ``source``.

    Args:
        source: flat, in the order [..., X, Q, D].
        start: of the first number.
        planes: [C, Q², L].
        place: of the first number in flat planes.
        reach, depth: Q and D.
    """
    if not isinstance(lanes, types.IntegerLiteral):
        return None
    ways, deep, count = reach.literal_value, depth.literal_value, lanes.literal_value

    def generate(context, builder, signature, args):
        vectors = _Vectors(builder, count * ways * deep)
        read, _ = _data(context, builder, signature.args[0], args[0])
        write, (_, _, length) = _data(context, builder, signature.args[2], args[2])
        numbers = vectors.load(builder.gep(read, [args[1]]))
        for u in range(ways):
            for channel in range(deep):
                plane = builder.mul(length, length.type(channel * ways * ways + u))
                target = builder.gep(write, [builder.add(args[3], plane)])
                vectors.store(vectors.pick(numbers, range(u * deep + channel, vectors.type.count, ways * deep)), target)
        return context.get_dummy_value()

    return types.void(source, types.intp, planes, types.intp, reach, depth, lanes), generate


@_intrinsic
def _pooled(typingctx, planes, filters, pooled, place, first, pitch, kernel, stride, pool, block):
    """A vector of consecutive windows for each of ``block`` filters: convolved, pooled, tanh taken.

    Args:
        planes: [C, Q², L].
        filters: of one row [O, C, K, K].
        pooled: [O, N], written at [first : first + block, place : place + lanes].
        pitch: places in a line of a plane.
    """
    if not isinstance(block, types.IntegerLiteral):
        return None
    size, step, window, many = (kind.literal_value for kind in (kernel, stride, pool, block))
    reach = step * window

    def generate(context, builder, signature, args):
        vectors = _Vectors(builder, _LANES)
        pixel, (channels, _, length) = _data(context, builder, signature.args[0], args[0])
        weight, _ = _data(context, builder, signature.args[1], args[1])
        target, (_, line) = _data(context, builder, signature.args[2], args[2])
        begin, chosen, wide = args[3:6]

        def at(pointer, *terms):
            """The pointer moved by a sum of products."""
            for a, b in terms:
                pointer = builder.gep(pointer, [builder.mul(a, b if isinstance(b, ir.Value) else a.type(b))])
            return pointer

        bank = builder.mul(channels, channels.type(size**2))
        weight, target = at(weight, (bank, chosen)), at(target, (begin, 1), (line, chosen))
        zero = vectors.constant(0)
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(window**2)] for _ in range(many)]
        with cgutils.for_range(builder, channels, intp=channels.type) as loop:
            here = at(pixel, (begin, 1), (builder.mul(loop.index, length), reach**2))
            for v, u in np.ndindex(size, size):
                seen = []
                for a, b in np.ndindex(window, window):
                    y, x = step * a + v, step * b + u
                    plane, shift = y % reach * reach + x % reach, length.type(x // reach)
                    seen.append(vectors.load(at(here, (length, plane), (wide, y // reach), (shift, 1))))
                for n in range(many):
                    place = bank.type(v * size + u)
                    w = vectors.broadcast(at(weight, (bank, n), (loop.index, size**2), (place, 1)))
                    for total, pixels in zip(sums[n], seen, strict=True):
                        builder.store(vectors.fma(w, pixels, builder.load(total)), total)
        for n in range(many):
            largest, *others = (builder.load(total) for total in sums[n])
            for other in others:
                largest = vectors.larger(largest, other)
            vectors.store(vectors.tanh(largest), at(target, (line, n)))
        return context.get_dummy_value()

    where = types.intp, types.intp, types.intp
    return types.void(planes, filters, pooled, *where, kernel, stride, pool, block), generate


@cache
def _compiled(kernel: int, stride: int, pool: int, block: int, depth: int, lanes: int) -> Callable[..., None]:
    """The function of a stage; its numbers are constants to the compiler."""
    reach = stride * pool

    @njit(nogil=True, cache=True, error_model="numpy")
    def stage(source, groups, height, width, group_pitch, line_pitch, filters, rows, planes, pitch, windows, pooled):
        """Windows of some rows into pooled [b, O * N]; the other arrays are described in `_FusedStage`."""
        length, columns = planes.shape[2], width // reach
        for n in range(len(rows)):
            for group in range(groups):
                for y in range(height):
                    start = group * group_pitch + y * line_pitch
                    place = (group * depth * reach + y % reach) * reach * length + y // reach * pitch
                    for x in range(0, columns - lanes + 1, lanes):
                        _deal(source[n], start + x * reach * depth, planes, place + x, reach, depth, lanes)
                    if columns % lanes:
                        x = columns - lanes
                        _deal(source[n], start + x * reach * depth, planes, place + x, reach, depth, lanes)
                    for x in range(columns * reach, width):
                        for d in range(depth):
                            plane = y % reach * reach + x % reach
                            pixel = source[n, start + x * depth + d]
                            planes[group * depth + d, plane, y // reach * pitch + x // reach] = pixel
            bank = filters[rows[n]]
            made = pooled[n].reshape(len(bank), -1)
            for place in range(0, windows, _LANES):
                for first in range(0, len(bank), block):
                    _pooled(planes, bank, made, place, first, pitch, kernel, stride, pool, block)

    return stage


class _FusedStage:
    """One stage of B fronts.

    It keeps, as float32: ``filters`` [B, O, C, K, K]; the ``planes`` [C, Q², L] of one picture at a time; ``pooled``
    [B, O * N], what the last step made. Lines of planes and of pooled are ``pitch`` long, all windows of a picture
    follow each other, and those at the end of a line that the picture does not have are computed and not used.

    Args:
        stage: its shape.
        filters: [B, O, C, K, K].
        depth: channels that lie side by side in the pictures that come in: C, or 1.
        line: numbers from one line to the next in those pictures.
        group: numbers from one group of ``depth`` channels to the next.
    """

    def __init__(self, stage: Stage, filters: Tensor, depth: int, line: int, group: int) -> None:
        (channels, height, width), (made, rows, columns), kernel, stride, pool = stage
        reach = stride * pool
        beyond = (kernel + stride * (pool - 1) - 1) // reach  # places that the last window looks past its own
        lines, self.pitch = rows + beyond, columns + beyond
        height, width = min(height, lines * reach), min(width, self.pitch * reach)
        self._windows = (rows - 1) * self.pitch + columns
        padded = -(-self._windows // _LANES) * _LANES
        length = max(padded + beyond * (self.pitch + 1), lines * self.pitch)
        fitting = [n for n in (16, 8, 4, 2) if n <= min(_LANES, width // reach) and n * reach * depth <= 128]
        block = max(n for n in range(1, made + 1) if made % n == 0 and (n == 1 or n * pool**2 <= _SUMS))
        self._key = kernel, stride, pool, block, depth, max(fitting, default=1)
        self._source = channels // depth, height, width, group, line
        self.filters = filters.numpy().astype(np.float32, order="C")
        self._planes = np.zeros((channels, reach**2, length), np.float32)
        self.size = max(padded, rows * self.pitch)
        self._pooled = np.zeros((len(filters), made * self.size), np.float32)

    def step(self, source: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Pictures [b, ·] of some rows -> pooled [b, O * N]."""
        run, pooled = _compiled(*self._key), self._pooled[: len(rows)]
        run(source, *self._source, self.filters, rows, self._planes, self.pitch, self._windows, pooled)
        return pooled


class FusedFront(LivingFront):
    """`front.ReferenceFront`, fused. Arguments as there."""

    def __init__(self, stages: Sequence[Stage], filters: Sequence[Tensor]) -> None:
        self._stages: list[_FusedStage] = []
        channels, _, width = stages[0].inputs
        source = channels, width * channels, 0
        for stage, bank in zip(stages, filters, strict=True):
            self._stages.append(_FusedStage(stage, bank, *source))
            source = 1, self._stages[-1].pitch, self._stages[-1].size
        self._outputs = stages[-1].outputs

    def step(self, pictures: Tensor, rows: Tensor) -> Tensor:
        activity, index = pictures.float().flatten(1).numpy(), rows.numpy()
        for stage in self._stages:
            activity = stage.step(activity, index)
        (made, height, width), last = self._outputs, self._stages[-1]
        windows = activity.reshape(len(rows), made, last.size)[:, :, : height * last.pitch]
        features = windows.reshape(len(rows), made, height, last.pitch)[..., :width].copy()
        return torch.from_numpy(features.reshape(len(rows), made * height * width))

    def replace(self, rows: Tensor, newborn: FusedFront) -> None:
        for stage, new in zip(self._stages, newborn._stages, strict=True):
            stage.filters[rows.numpy()] = new.filters
