"""What the kernels share: activations, and the normals of `neuroplastic.noise`, bit for bit.

Nothing here is of libdevice, which Triton's interpreter does not know.
"""

# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

TANH: tl.constexpr = tl.constexpr(1)
RELU: tl.constexpr = tl.constexpr(2)
SIGMOID: tl.constexpr = tl.constexpr(3)
ACTIVATIONS = {"linear": 0, "tanh": 1, "relu": 2, "sigmoid": 3}


def launch(kernel: Any, programs: int | tuple[int, ...], *arguments: Any, warps: int = 4, **constants: Any) -> None:
    """Runs a kernel that rounds every product and every sum by itself."""
    grid = programs if isinstance(programs, tuple) else (programs,)
    tensor = next(argument for argument in arguments if isinstance(argument, torch.Tensor))
    with torch.cuda.device_of(tensor):
        kernel[grid](*arguments, num_warps=warps, enable_fp_fusion=False, **constants)


@triton.jit
def tanh(x):
    """The fraction of `cpu._tanh`, term by term."""
    h = 0.5 * tl.minimum(tl.maximum(x, -9.1, tl.PropagateNan.ALL), 9.1, tl.PropagateNan.ALL)
    s = h * h
    p = h * (34459425.0 + s * (4729725.0 + s * (135135.0 + s * (990.0 + s))))
    q = 34459425.0 + s * (16216200.0 + s * (945945.0 + s * (13860.0 + s * 45.0)))
    t = tl.div_rn(p, q)
    return tl.div_rn(t + t, 1.0 + t * t)


@triton.jit
def activate(x, ACTIVATION: tl.constexpr):
    """f(x), one of `ACTIVATIONS`."""
    if ACTIVATION == TANH:
        x = tanh(x)
    elif ACTIVATION == RELU:
        x = tl.where(x < 0.0, 0.0, x)
    elif ACTIVATION == SIGMOID:
        x = 0.5 + 0.5 * tanh(0.5 * x)
    return x


@triton.jit
def _log(a):
    """`noise._log` of a word: ln u, u = (a + ½)/2³²."""
    u = (a.to(tl.float32) + 0.5) * 2.3283064365386963e-10
    bits = u.to(tl.int32, bitcast=True)
    e = (bits - 0x3F3504F3) >> 23
    f = (bits - (e << 23)).to(tl.float32, bitcast=True) - 1.0
    f = tl.where(e == 0, -((a ^ 0xFFFFFFFF).to(tl.float32) + 0.5) * 2.3283064365386963e-10, f)
    ff = f * f
    poly = 0.1492181 + f * (-0.1427297 + f * 0.08673585)
    poly = 0.3333391 + f * (-0.25001308 + f * (0.19962943 + f * (-0.1657785 + f * poly)))
    return e.to(tl.float32) * 0.6931472 + (f - (0.5 * ff - f * ff * poly))


@triton.jit
def box_muller(a, b):
    """`noise._box_muller`: two words -> two normals."""
    radius = tl.sqrt_rn(-2.0 * _log(a))
    q = (b + 0x20000000) >> 30
    v = ((b - (q << 30)).to(tl.int32, bitcast=True).to(tl.float32) + 0.5) * 9.313225746154785e-10
    z = v * v
    sin = v * (1.5707964 + z * (-0.64596665 + z * (0.079712525 + z * -0.0046859714)))
    cos = 1.0 + z * (-1.2336977 + z * (0.2536024 + z * -0.02041453))
    odd = (q & 1) != 0
    x, y = tl.where(odd, sin, cos), tl.where(odd, cos, sin)
    x = tl.where(((q + 1) & 2) != 0, -x, x)
    y = tl.where((q & 2) != 0, -y, y)
    return radius * x, radius * y


@triton.jit
def philox(block, key):
    """The four words of a block of a stream, as of `noise.philox`; products of 64 bits are one instruction each."""
    a, c = block, block * 0
    b, d = c, c
    low, high = key.to(tl.uint32), (key.to(tl.uint64, bitcast=True) >> 32).to(tl.uint32)
    for _ in tl.static_range(10):
        p, q = a.to(tl.uint64) * 0xD2511F53, c.to(tl.uint64) * 0xCD9E8D57
        a, b, c, d = (
            (q >> 32).to(tl.uint32) ^ b ^ low,
            q.to(tl.uint32),
            (p >> 32).to(tl.uint32) ^ d ^ high,
            p.to(tl.uint32),
        )
        low, high = low + 0x9E3779B9, high + 0xBB67AE85
    return a, b, c, d


@triton.jit
def normals(key, first, TOGETHER: tl.constexpr):
    """Numbers n of a stream, N(0, 1): first [r, c] -> [r, c TOGETHER], the numbers first, first + 1, … of each.

    Philox makes four numbers at a time, of which all are used if TOGETHER is 4; then ``first`` are multiples of 4. If
    it is 2, they are even; if it is 1, they are any.

    Args:
        key: the stream, a scalar of 64 bits.
        first: int32, below 2³¹.
    """
    a, b, c, d = philox((first >> 2).to(tl.uint32), key)
    if TOGETHER == 4:
        x, y = box_muller(a, b)
        v, w = box_muller(c, d)
        numbers = tl.interleave(tl.interleave(x, v), tl.interleave(y, w))
    else:
        second = (first & 2) != 0
        x, y = box_muller(tl.where(second, c, a), tl.where(second, d, b))
        numbers = tl.interleave(x, y) if TOGETHER == 2 else tl.where((first & 1) != 0, y, x)
    return numbers
