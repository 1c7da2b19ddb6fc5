"""Philox4x32-10 and Box–Muller: number i of stream s, the same anywhere, with no state and no table.

A stream is 64 bits: the key of Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Its block b
is the four words that Philox makes of the counter (b mod 2³², b div 2³², 0, 0), and number i comes of block i div 4.
So any range of any stream is made by itself, at the same speed, and a population travels as its streams.

Normals are float32 sums, products and one square root, each rounded by itself: no libm and no fused multiply-add, hence
the same bits on every CPU. (GPU compilers fuse unless told not to: ``fma=False`` in numba.cuda,
``enable_fp_fusion=False`` in Triton.) Everything compiled stays in this file: numba's cache does not see a change in a
function of another one.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError, check_name, check_range, check_shape

_i32, _u32, _u64, _f32, _f64 = np.int32, np.uint32, np.uint64, np.float32, np.float64

_BLOCKS = 256  # blocks made at a time, so that they stay in the first-level cache
_CHUNK = 4 * _BLOCKS  # also the number of partial sums in `squared_norms`: changing it changes their last bits

_PURPOSES = {"train": 1, "selection": 2, "test": 3}

Streams = Sequence[int] | npt.NDArray[np.uint64]

# ---------------------------------------------------------------- compiled, one number or one block


@njit
def _philox_round(c0, c1, c2, c3, k0, k1):
    p0, p1 = _u64(0xD2511F53) * _u64(c0), _u64(0xCD9E8D57) * _u64(c2)
    return _u32(_u32(p1 >> _u64(32)) ^ c1 ^ k0), _u32(p1), _u32(_u32(p0 >> _u64(32)) ^ c3 ^ k1), _u32(p0)


# Coefficients: minimax of the relative error, by Remez exchange in 50 digits, rounded to float32 one after the other,
# lowest power first, the rest fitted again after each.
_LOG_SPLIT = _i32(0x3F3504F3)  # sqrt(1/2)
_LN2 = _f32(0.6931472)
_L0, _L1, _L2, _L3 = _f32(0.3333391), _f32(-0.25001308), _f32(0.19962943), _f32(-0.1657785)
_L4, _L5, _L6 = _f32(0.1492181), _f32(-0.1427297), _f32(0.08673585)
_S0, _S1, _S2, _S3 = _f32(1.5707964), _f32(-0.64596665), _f32(0.079712525), _f32(-0.0046859714)
_C1, _C2, _C3 = _f32(-1.2336977), _f32(0.2536024), _f32(-0.02041453)
_HALF, _ONE, _TWO = _f32(0.5), _f32(1), _f32(2)


@njit
def _log(a):
    """ln u, u = (a + ½)/2³² = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); ln(1 + f) = f - f²/2 + f³ L(f)."""
    bits = _f32((_f32(a) + _HALF) * _f32(2**-32)).view(_i32)
    e = _i32(_i32(bits - _LOG_SPLIT) >> _i32(23))
    f = _i32(bits - _i32(e << _i32(23))).view(_f32) - _ONE
    f = -(_f32(_u32(~a)) + _HALF) * _f32(2**-32) if e == _i32(0) else f  # 1 - u, where float32 cannot tell u from 1
    ff = f * f
    poly = _L0 + f * (_L1 + f * (_L2 + f * (_L3 + f * (_L4 + f * (_L5 + f * _L6)))))
    return _f32(e) * _LN2 + (f - (_HALF * ff - f * ff * poly))


@njit
def _box_muller(a, b):
    """Two words -> two normals: sqrt(-2 ln u) (cos φ, sin φ), u = (a + ½)/2³², φ = 2π (b + ½)/2³²."""
    radius = math.sqrt(-_TWO * _log(a))
    # φ = (q + v) π/2 with -½ <= v < ½, taken apart in integers, where it is exact.
    q = _u32(_u32(b + _u32(1 << 29)) >> _u32(30))
    v = (_f32(_i32(b - _u32(q << _u32(30)))) + _HALF) * _f32(2**-30)
    z = v * v
    sin = v * (_S0 + z * (_S1 + z * (_S2 + z * _S3)))
    cos = _ONE + z * (_C1 + z * (_C2 + z * _C3))
    odd = (q & _u32(1)) != _u32(0)
    x, y = (sin, cos) if odd else (cos, sin)
    x = -x if (_u32(q + _u32(1)) & _u32(2)) != _u32(0) else x
    y = -y if (q & _u32(2)) != _u32(0) else y
    return radius * x, radius * y


# ---------------------------------------------------------------- compiled, many


@njit(nogil=True)
def _philox(words, n, key):
    """Counters in words [4, n] -> their random words, in place; blocks inside rounds, so that it vectorises."""
    k0, k1 = _u32(key), _u32(key >> _u64(32))
    a, b, c, d = words[0], words[1], words[2], words[3]
    for _ in range(10):
        for j in range(n):
            a[j], b[j], c[j], d[j] = _philox_round(a[j], b[j], c[j], d[j], k0, k1)
        k0, k1 = _u32(k0 + _u32(0x9E3779B9)), _u32(k1 + _u32(0xBB67AE85))


@njit(nogil=True)
def _blocks(key, first, n, words):
    """Random words [4, n] of blocks first..first+n."""
    for j in range(n):
        block = _u64(first) + _u64(j)
        words[0, j], words[1, j] = _u32(block), _u32(block >> _u64(32))
        words[2, j], words[3, j] = _u32(0), _u32(0)
    _philox(words, n, key)


@njit(nogil=True)
def _normals(key, first, n, words, out):
    """Normals [4 n] of blocks first..first+n; words [4, n] is scratch."""
    _blocks(key, first, n, words)
    for j in range(n):
        out[4 * j], out[4 * j + 1] = _box_muller(words[0, j], words[1, j])
        out[4 * j + 2], out[4 * j + 3] = _box_muller(words[2, j], words[3, j])


@njit(nogil=True)
def _uniforms(key, first, n, words, out):
    """Uniforms [4 n]: the upper 23 bits and a half, exact in float32, so neither 0 nor 1 occurs."""
    _blocks(key, first, n, words)
    for j in range(n):
        for k in range(4):
            out[4 * j + k] = (_f32(words[k, j] >> _u32(9)) + _HALF) * _f32(2**-23)


@njit(nogil=True, cache=True)
def _philox_call(words, key):
    _philox(words, words.shape[1], key)


@njit(nogil=True, cache=True)
def _fill(key, start, gaussian, out):
    """Numbers start..start+len(out) of a stream."""
    words, chunk = np.empty((4, _BLOCKS), _u32), np.empty(_CHUNK, _f32)
    block, skip, done = start // 4, start % 4, 0
    while done < out.shape[0]:
        size = min(_CHUNK - skip, out.shape[0] - done)
        n = (skip + size + 3) // 4
        if gaussian:
            _normals(key, block, n, words, chunk)
        else:
            _uniforms(key, block, n, words, chunk)
        for i in range(size):
            out[done + i] = chunk[skip + i]
        block, done, skip = block + n, done + size, 0


@njit(nogil=True, cache=True)
def _perturb(center, scales, keys, out):
    """out[p] = center + scales[p] ε(keys[p]); neighbours with one key (antithetic pairs) share the work."""
    words, noise = np.empty((4, _BLOCKS), _u32), np.empty(_CHUNK, _f32)
    for start in range(0, center.shape[0], _CHUNK):
        size = min(_CHUNK, center.shape[0] - start)
        for p in range(keys.shape[0]):
            if p == 0 or keys[p] != keys[p - 1]:
                _normals(keys[p], start // 4, (size + 3) // 4, words, noise)
            for i in range(size):
                out[p, start + i] = center[start + i] + scales[p] * noise[i]


@njit(nogil=True, cache=True)
def _perturb_each(center, deviations, signs, keys, out):
    """out[p] = center + signs[p] deviations ε(keys[p]), a deviation for each number; else as `_perturb`."""
    words, noise = np.empty((4, _BLOCKS), _u32), np.empty(_CHUNK, _f32)
    for start in range(0, center.shape[0], _CHUNK):
        size = min(_CHUNK, center.shape[0] - start)
        for p in range(keys.shape[0]):
            if p == 0 or keys[p] != keys[p - 1]:
                _normals(keys[p], start // 4, (size + 3) // 4, words, noise)
            for i in range(size):
                out[p, start + i] = center[start + i] + signs[p] * (deviations[start + i] * noise[i])


@njit(nogil=True, cache=True)
def _weighted_sum(keys, weights, out):
    """out = Σ_s weights[s] ε(keys[s]), each number summed in float64 in the order of s."""
    words, noise = np.empty((4, _BLOCKS), _u32), np.empty(_CHUNK, _f32)
    total = np.empty(_CHUNK, _f64)
    for start in range(0, out.shape[0], _CHUNK):
        size = min(_CHUNK, out.shape[0] - start)
        total[:] = 0
        for s in range(keys.shape[0]):
            _normals(keys[s], start // 4, (size + 3) // 4, words, noise)
            for i in range(size):
                total[i] += weights[s] * _f64(noise[i])
        for i in range(size):
            out[start + i] = total[i]


@njit(nogil=True, cache=True)
def _weighted_moments(keys, weights, square_weights, first, second):
    """first = Σ_s weights[s] ε(keys[s]) and second = Σ_s square_weights[s] ε(keys[s])², as `_weighted_sum`."""
    words, noise = np.empty((4, _BLOCKS), _u32), np.empty(_CHUNK, _f32)
    total, squares = np.empty(_CHUNK, _f64), np.empty(_CHUNK, _f64)
    for start in range(0, first.shape[0], _CHUNK):
        size = min(_CHUNK, first.shape[0] - start)
        total[:], squares[:] = 0, 0
        for s in range(keys.shape[0]):
            _normals(keys[s], start // 4, (size + 3) // 4, words, noise)
            for i in range(size):
                number = _f64(noise[i])
                total[i] += weights[s] * number
                squares[i] += square_weights[s] * (number * number)
        for i in range(size):
            first[start + i], second[start + i] = total[i], squares[i]


@njit(nogil=True, cache=True)
def _squared_norms(center, scales, keys, norms):
    """norms[p] = |c + s ε|² = c·c + 2 s c·ε + s² ε·ε in float64, each product summed in _CHUNK interleaved parts."""
    words, noise = np.empty((4, _BLOCKS), _u32), np.empty(_CHUNK, _f32)
    cc, ce, ee = np.empty(_CHUNK, _f64), np.empty(_CHUNK, _f64), np.empty(_CHUNK, _f64)
    for p in range(keys.shape[0]):
        if p == 0 or keys[p] != keys[p - 1]:
            cc[:], ce[:], ee[:] = 0, 0, 0
            for start in range(0, center.shape[0], _CHUNK):
                size = min(_CHUNK, center.shape[0] - start)
                _normals(keys[p], start // 4, (size + 3) // 4, words, noise)
                for i in range(size):
                    c, e = _f64(center[start + i]), _f64(noise[i])
                    cc[i] += c * c
                    ce[i] += c * e
                    ee[i] += e * e
        s = _f64(scales[p])
        norms[p] = cc.sum() + 2 * s * ce.sum() + s * s * ee.sum()


# ---------------------------------------------------------------- what others call


def stream(seed: int, *path: int | str) -> int:
    """The stream of 64 bits that belongs to a seed and a path, e.g. ``stream(1, "births", generation, member)``.

    The same for ever and everywhere; paths that read alike stay apart (``1, 23`` is neither ``12, 3`` nor ``"1", 23``).

    Raises:
        ArgumentError: the seed is not an integer, or a part of the path neither integer nor string.
    """
    try:
        parts = [part if isinstance(part, str) else operator.index(part) for part in path]
        words = json.dumps([operator.index(seed), *parts])
    except TypeError:
        raise ArgumentError(
            f"stream: expected an integer seed, then integers and strings; got {(seed, *path)}"
        ) from None
    return int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "little")


def philox(counter: npt.ArrayLike, key: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Philox4x32-10 itself: counters [n, 4] under one key [2] -> random words [n, 4].

    Raises:
        ShapeError: the shapes are others.
    """
    words, half_keys = np.array(counter, _u32), np.asarray(key, _u32)
    check_shape("counter", words, ["n", 4])
    check_shape("key", half_keys, [2])
    words = np.ascontiguousarray(words.T)
    _philox_call(words, _u64(int(half_keys[0]) | int(half_keys[1]) << 32))
    return np.ascontiguousarray(words.T)


def uniform(stream: int, count: int, start: int = 0) -> Tensor:
    """Numbers start..start+count of a stream, uniform in (0, 1): float32 [count].

    Raises:
        ArgumentError: count or start is negative, or the stream has more than 64 bits.
    """
    return _numbers(stream, count, start, gaussian=False)


def normal(stream: int, count: int, start: int = 0) -> Tensor:
    """Numbers start..start+count of a stream, N(0, 1): float32 [count]. The largest is 6.8.

    They use up the same random words as `uniform`: draw from one stream either the one or the other.

    Raises:
        ArgumentError: count or start is negative, or the stream has more than 64 bits.
    """
    return _numbers(stream, count, start, gaussian=True)


def episode_seeds(seed: int, purpose: str, generation: int, count: int) -> npt.NDArray[np.int64]:
    """Seeds of 31 bits for environments: int64 [count].

    Args:
        purpose: "train", "selection" or "test". Seeds of two purposes never meet: the low two bits hold the purpose.

    Raises:
        UnknownNameError: the purpose is another one.
        ArgumentError: count is negative.
    """
    check_name("purpose", purpose, _PURPOSES)
    check_range("count", count, low=0)
    streams = [stream(seed, "episodes", purpose, generation, number) for number in range(count)]
    return np.array([number >> 35 << 2 | _PURPOSES[purpose] for number in streams], np.int64)


def perturbed(center: Tensor, sigma: float | Tensor, streams: Streams, signs: npt.ArrayLike) -> Tensor:
    """Rows center + sigma · sign · ε(stream): [p, D], in the precision of the center.

    Args:
        center: float32 or float64 [D].
        sigma: one for all numbers, or one for each [D].
        streams: [p]; neighbouring rows of one stream cost little more than one.
        signs: [p], usually +1, -1, or 0 for the center itself.

    Raises:
        ShapeError: center is no vector, sigma has another length, or streams and signs differ in length.
    """
    vector, keys = _vector(center), _keys(streams)
    rows = np.empty((len(keys), len(vector)), vector.dtype)
    if isinstance(sigma, Tensor):
        check_shape("sigma", sigma, list(center.shape))
        _perturb_each(vector, _vector(sigma.to(center.dtype)), _scales(1.0, streams, signs, vector.dtype), keys, rows)
    else:
        _perturb(vector, _scales(sigma, streams, signs, vector.dtype), keys, rows)
    return torch.from_numpy(rows)


def weighted_sum(streams: Streams, weights: npt.ArrayLike, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Σ_s weights[s] · ε(streams[s]) over the first ``count`` numbers: [count], summed in float64.

    The order of the sum is that of the streams, whatever the machine; S × count numbers are never held.

    Raises:
        ShapeError: streams and weights differ in length.
    """
    keys, weights = _keys(streams), np.ascontiguousarray(weights, _f64)
    check_shape("weights", weights, [len(keys)])
    check_range("count", count, low=0)
    total = torch.empty(count, dtype=dtype)
    _weighted_sum(keys, weights, total.numpy())
    return total


def weighted_moments(
    streams: Streams,
    weights: npt.ArrayLike,
    square_weights: npt.ArrayLike,
    count: int,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Σ_s weights[s] · ε(streams[s]) and Σ_s square_weights[s] · ε(streams[s])², each [count], at the price of one.

    Else as `weighted_sum`.
    """
    keys = _keys(streams)
    weights, square_weights = (np.ascontiguousarray(each, _f64) for each in (weights, square_weights))
    check_shape("weights", weights, [len(keys)])
    check_shape("square_weights", square_weights, [len(keys)])
    check_range("count", count, low=0)
    first, second = torch.empty(count, dtype=dtype), torch.empty(count, dtype=dtype)
    _weighted_moments(keys, weights, square_weights, first.numpy(), second.numpy())
    return first, second


def squared_norms(center: Tensor, sigma: float, streams: Streams, signs: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """|row|² of the rows that `perturbed` would make, without making them: float64 [p].

    Raises:
        ShapeError: center is no vector, or streams and signs differ in length.
    """
    keys, scales = _keys(streams), _scales(sigma, streams, signs, _f32)
    norms = np.empty(len(keys))
    _squared_norms(_vector(center.float()), scales, keys, norms)
    return norms


def _keys(streams: Streams) -> npt.NDArray[np.uint64]:
    keys = np.ascontiguousarray(streams, _u64)
    if keys.ndim != 1:
        raise ShapeError(f"streams: expected shape [S]; got {list(keys.shape)}")
    return keys


def _scales(sigma: float, streams: Streams, signs: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    scales = np.asarray(signs, _f64) * sigma
    check_shape("signs", scales, [len(streams)])
    return scales.astype(dtype)


def _vector(center: Tensor) -> npt.NDArray[np.floating]:
    check_shape("center", center, ["D"])
    array = center.detach().cpu().numpy()
    return np.ascontiguousarray(array, _f64 if array.dtype == _f64 else _f32)


def _numbers(stream: int, count: int, start: int, *, gaussian: bool) -> Tensor:
    check_range("stream", stream, low=0, high=2**64 - 1)
    check_range("count", count, low=0)
    check_range("start", start, low=0, high=2**63 - 1 - count)
    out = np.empty(count, _f32)
    _fill(_u64(stream), start, gaussian, out)
    return torch.from_numpy(out)
