"""The fused step of a layer of a whole population on a GPU: W is read once and written once (float32).

A program has some units after the synapses of one life, with all synapses into them: it holds their weights in
registers from the forward pass to the update. A layer's largest weight, its mean or its deviation is known only when
all programs of the life have come to their end; so each leaves its part of it behind, and the division waits for the
next read of the weights.

Coefficients lie in memory, with η multiplied in, as float32 or bfloat16; or they are not stored at all, and each
program makes those of its synapses in every step: the center, which stays in the second-level cache, plus the member's
noise, in registers. Lives of one stream (an antithetic pair, the episodes of a member) are stepped by the same
programs, which make each normal once.

No number depends on other lives. Products and sums are rounded one by one, as on the cpu, so coefficients that are made
are those of the cpu bit for bit; but sums over i run as a tree, which the compiler lays out.
"""

# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl

from neuroplastic.plastic.kernels.gpu.functions import activate, normals

NONE: tl.constexpr = tl.constexpr(0)
MAX: tl.constexpr = tl.constexpr(1)
ROW: tl.constexpr = tl.constexpr(2)
CLIP: tl.constexpr = tl.constexpr(3)
STANDARDISE: tl.constexpr = tl.constexpr(4)
NORMALISERS = {"none": 0, "max": 1, "row": 2, "clip": 3, "standardise": 4}
BOTH: tl.constexpr = tl.constexpr(0)  # parts of a step
FORWARD: tl.constexpr = tl.constexpr(1)
LEARN: tl.constexpr = tl.constexpr(2)
A: tl.constexpr = tl.constexpr(0)  # places in SLOTS
B: tl.constexpr = tl.constexpr(1)
C: tl.constexpr = tl.constexpr(2)
D: tl.constexpr = tl.constexpr(3)
K: tl.constexpr = tl.constexpr(4)
RATE: tl.constexpr = tl.constexpr(5)
ABSENT: tl.constexpr = tl.constexpr(-1)  # in the place of a slot
ONE: tl.constexpr = tl.constexpr(-2)  # in the place of a slot: 1 at every synapse
LEVEL: tl.constexpr = tl.constexpr(1e-6)  # `reference.LEVEL`


class Tile(NamedTuple):
    """What one program has at a time: ``block`` units, and ``chunks`` times ``chunk`` of the synapses into each."""

    block: int
    chunk: int
    chunks: int
    warps: int


def tile_of(inputs: int, outputs: int) -> Tile:
    """About 2,048 synapses, of which few lie beyond the last input; 8 for each thread, and 4 or more of each chunk.

    With 16 a thread, coefficients that are made take up to 255 registers instead of 214, and some spill.
    """
    sizes = [size for size in (1 << power for power in range(3, 32)) if -(-inputs // size) <= 8]
    sizes = [size for size in sizes if size >= 32 or size >= inputs]
    chunk = min(sizes, key=lambda size: (-(-inputs // size) * size, -size))
    chunks = -(-inputs // chunk)
    block = min(_power(max(1, 2048 // (chunk * chunks))), power_above(outputs))
    warps = min(power_above(-(-block * chunk * chunks // 256)), max(1, block * chunk // 128), 16)
    return Tile(block, chunk, chunks, warps)


def power_above(number: int) -> int:
    """The smallest power of two that is not below it."""
    return 1 << (number - 1).bit_length()


def _power(number: int) -> int:
    """The largest power of two that is not above it."""
    return 1 << (number.bit_length() - 1)


@triton.jit
def _larger(a, b):
    """The larger one; NaN, if one of them is."""
    return tl.where((a > b) | (a != a), a, b)


@triton.jit
def pending(spread, turn, row, j, NORMALISER: tl.constexpr, BLOCK, N, INPUTS, OUTPUTS):
    """What the weights of a life wait for, from what its programs left behind: shift and divisor [BLOCK]."""
    shift, divisor = tl.zeros_like(j).to(tl.float32), tl.zeros_like(j).to(tl.float32) + 1.0
    if NORMALISER == ROW:
        divisor = tl.load(spread + row * OUTPUTS + j, mask=j < OUTPUTS, other=1.0)
    elif NORMALISER == MAX:
        n = tl.arange(0, triton.next_power_of_2(N))
        parts = tl.load(spread + (row * 2 + turn) * N + n, mask=n < N, other=0.0)
        largest = tl.reduce(parts, 0, _larger)
        divisor = tl.where(largest == 0.0, 1.0, largest) * divisor
    elif NORMALISER == STANDARDISE:
        n = tl.arange(0, triton.next_power_of_2(N))
        at = spread + ((row * 2 + turn) * N + n) * 2
        count = tl.where(n < N, tl.minimum(OUTPUTS - n * BLOCK, BLOCK) * INPUTS, 0).to(tl.float32)
        means, synapses = tl.load(at, mask=n < N, other=0.0), tl.full((), INPUTS * OUTPUTS, tl.float32)
        mean = tl.div_rn(tl.sum(count * means, 0), synapses)
        apart = tl.where(n < N, means - mean, 0.0)
        squares = tl.sum(tl.load(at + 1, mask=n < N, other=0.0) + count * (apart * apart), 0)
        deviation = tl.sqrt_rn(tl.div_rn(squares, synapses))
        shift += mean
        divisor = tl.where(deviation <= tl.abs(mean) * LEVEL, 1.0, deviation) * divisor
    return shift, divisor


@triton.jit
def _noise(key, j, SLOTS: tl.constexpr, INPUTS: tl.constexpr, CHUNK: tl.constexpr, CHUNKS: tl.constexpr, TOGETHER):
    """ε of the synapses into units j, array by array: CHUNKS tiles [BLOCK, CHUNK], or 0 if not drawn."""
    tiles = ()
    for symbol in tl.static_range(6):
        for chunk in tl.static_range(CHUNKS):
            if SLOTS[symbol] >= 0:
                i = chunk * CHUNK + tl.arange(0, CHUNK // TOGETHER) * TOGETHER
                tiles = tiles + (normals(key, SLOTS[symbol] + j[:, None] * INPUTS + i[None, :], TOGETHER),)
            else:
                tiles = tiles + (0.0,)
    return tiles


@triton.jit
def _coefficient(start: tl.constexpr, arrays, deviations, noise, scale, at, inside, MADE: tl.constexpr, EACH):
    """Those at synapses ``at`` of the array that begins at ``start``; if MADE, c + s ε as `noise.perturbed` has it."""
    value = tl.zeros(at.shape, tl.float32) + 1.0
    if start >= 0:
        value = tl.load(arrays + start + at, mask=inside, other=0.0).to(tl.float32)
        if MADE:
            if EACH:
                noise = tl.load(deviations + start + at, mask=inside, other=0.0) * noise
            value += scale * noise
    return value


@triton.jit
def step(
    weights, arrays, trace, parts, spread, turns, clocks, sums,
    pre, signal, rows, groups, post,
    deviations, keys, scales,
    limit, decay,
    INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr, CHUNKS: tl.constexpr,
    SLOTS: tl.constexpr, STORED: tl.constexpr, TOGETHER: tl.constexpr, EACH: tl.constexpr, GROUP: tl.constexpr,
    TRACE: tl.constexpr, FIXED: tl.constexpr, MODULATED: tl.constexpr, EVERY: tl.constexpr,
    ACTIVATION: tl.constexpr, NORMALISER: tl.constexpr, PLASTIC: tl.constexpr, PART: tl.constexpr,
):  # fmt: skip
    """A step or a part of it; program g N + n has units n BLOCK, … of the lives of group g.

    Coefficients are the STORED arrays of each life; if there are none, ``arrays`` is the center [D], TOGETHER is that
    of `normals`, and EACH says whether deviations [D] differ. SLOTS says where each of A, B, C, D, K and η begins.
    Pointers that a setting does not need are None.
    """
    N: tl.constexpr = (OUTPUTS + BLOCK - 1) // BLOCK
    SYNAPSES: tl.constexpr = INPUTS * OUTPUTS
    DIVIDES: tl.constexpr = NORMALISER != NONE and NORMALISER != CLIP
    MADE: tl.constexpr = TOGETHER > 0
    LEARNS: tl.constexpr = PLASTIC and PART != FORWARD
    group, n = tl.program_id(0) // N, tl.program_id(0) % N
    j = n * BLOCK + tl.arange(0, BLOCK)
    there = j < OUTPUTS
    noise = ()
    first = group
    if GROUP > 1:
        first = tl.load(groups + group * GROUP)
        if first < 0:
            return
    if LEARNS and MADE:
        noise = _noise(tl.load(keys + tl.load(rows + first)), j, SLOTS, INPUTS, CHUNK, CHUNKS, TOGETHER)

    for member in range(GROUP):
        position = group
        if GROUP > 1:
            position = tl.load(groups + group * GROUP + member)
        if position >= 0:
            row = tl.load(rows + position)
            clock = tl.load(clocks + row)
            own, y_at = weights + row * SYNAPSES, post + position * OUTPUTS + j
            turn = clock * 0
            shift, divisor = tl.zeros((BLOCK,), tl.float32), tl.full((BLOCK,), 1.0, tl.float32)
            if DIVIDES:
                turn = tl.load(turns + row * N + n)
                shift, divisor = pending(spread, turn, row, j, NORMALISER, BLOCK, N, INPUTS, OUTPUTS)

            # o_j = f(Σ_i v_ij o_i), v_ij = w_ij or F_ij + G_ij w_ij
            total, held = tl.zeros((BLOCK, CHUNK), tl.float32), ()
            for chunk in tl.static_range(CHUNKS):
                i = chunk * CHUNK + tl.arange(0, CHUNK)
                at, inside = j[:, None] * INPUTS + i[None, :], there[:, None] & (i < INPUTS)[None, :]
                w = tl.load(own + at, mask=inside, other=0.0)
                if DIVIDES:
                    if NORMALISER == STANDARDISE:
                        w -= shift[:, None]
                    w = tl.div_rn(w, tl.broadcast_to(divisor[:, None], (BLOCK, CHUNK)))
                held = held + (w,)
                if PART != LEARN:
                    if FIXED:
                        of_life = parts + row * (2 * SYNAPSES) + at
                        fixed = tl.load(of_life, mask=inside, other=0.0)
                        gain = tl.load(of_life + SYNAPSES, mask=inside, other=0.0)
                        w = tl.where(clock < 0, w, fixed + gain * w)
                    x = tl.load(pre + position * INPUTS + i, mask=i < INPUTS, other=0.0)
                    total += tl.where(inside, w * x[None, :], 0.0)
            if PART == LEARN:
                y = tl.load(y_at, mask=there, other=0.0)
            else:
                y = activate(tl.sum(total, 1), ACTIVATION)
                tl.store(y_at, y, mask=there)

            if LEARNS:
                strikes, m = clock >= 0, 1.0
                if MODULATED:
                    m = tl.load(signal + position)
                seen = sums
                if EVERY > 1:
                    seen += row * (INPUTS + OUTPUTS + 1)
                    strikes = clock + 1 == EVERY
                    y += tl.load(seen + INPUTS + j, mask=there, other=0.0)
                    tl.debug_barrier()  # other warps have read it as well
                    tl.store(seen + INPUTS + j, tl.where(strikes, 0.0, y), mask=there)
                    y = tl.div_rn(y, tl.full((BLOCK,), EVERY, tl.float32))
                    m = tl.div_rn(tl.load(seen + INPUTS + OUTPUTS) + m, tl.full((), EVERY, tl.float32))
                if strikes:
                    scale, base = 0.0, arrays
                    if MADE:
                        scale = tl.load(scales + row)
                    elif STORED > 0:
                        base += row * (STORED * SYNAPSES)
                    total, changed = tl.zeros((BLOCK, CHUNK), tl.float32), ()
                    for chunk in tl.static_range(CHUNKS):
                        i = chunk * CHUNK + tl.arange(0, CHUNK)
                        at, inside = j[:, None] * INPUTS + i[None, :], there[:, None] & (i < INPUTS)[None, :]
                        x = tl.load(pre + position * INPUTS + i, mask=i < INPUTS, other=0.0)
                        if EVERY > 1:
                            x += tl.load(seen + i, mask=i < INPUTS, other=0.0)
                            x = tl.div_rn(x, tl.full((CHUNK,), EVERY, tl.float32))
                        o_i, o_j, w = x[None, :], y[:, None], held[chunk]

                        rate = 1.0
                        if MADE and SLOTS[RATE] != ABSENT:
                            of = noise[RATE * CHUNKS + chunk]
                            rate = _coefficient(SLOTS[RATE], base, deviations, of, scale, at, inside, MADE, EACH)

                        # Δ_ij = η_ij (A_ij o_i o_j + B_ij o_i + C_ij o_j + D_ij - K_ij o_j² w_ij), η in stored ones
                        delta = tl.zeros((BLOCK, CHUNK), tl.float32)
                        for symbol in tl.static_range(5):
                            if SLOTS[symbol] != ABSENT:
                                of = noise[symbol * CHUNKS + chunk] if MADE else 0.0
                                c = _coefficient(SLOTS[symbol], base, deviations, of, scale, at, inside, MADE, EACH)
                                if MADE and SLOTS[RATE] != ABSENT:
                                    c *= rate
                                if symbol == A:
                                    delta += c * o_i * o_j
                                elif symbol == B:
                                    delta += c * o_i
                                elif symbol == C:
                                    delta += c * o_j
                                elif symbol == D:
                                    delta += c
                                else:
                                    delta -= c * o_j * o_j * w
                        if TRACE:
                            e_at = trace + row * SYNAPSES + at
                            delta += decay * tl.load(e_at, mask=inside, other=0.0)
                            tl.store(e_at, delta, mask=inside)
                        if MODULATED:
                            delta *= m
                        w += delta
                        if NORMALISER == CLIP:
                            w = tl.clamp(w, -limit, limit, tl.PropagateNan.ALL)
                        tl.store(own + at, w, mask=inside)
                        if NORMALISER == MAX:
                            total = _larger(total, tl.where(inside, tl.abs(w), 0.0))
                        elif NORMALISER == ROW:
                            total += tl.where(inside, w * w, 0.0)
                        elif NORMALISER == STANDARDISE:
                            total += tl.where(inside, w, 0.0)
                            changed = changed + (w,)

                    if DIVIDES:
                        tl.debug_barrier()  # all warps have read what the weights waited for
                    if NORMALISER == ROW:
                        norm = tl.sqrt_rn(tl.sum(total, 1))
                        tl.store(spread + row * OUTPUTS + j, tl.where(norm == 0.0, 1.0, norm), mask=there)
                    elif DIVIDES:
                        tl.store(turns + row * N + n, 1 - turn)
                        left = (row * 2 + 1 - turn) * N + n
                        if NORMALISER == MAX:
                            tl.store(spread + left, tl.reduce(tl.reduce(total, 1, _larger), 0, _larger))
                        else:
                            count = tl.minimum(OUTPUTS - n * BLOCK, BLOCK) * INPUTS
                            mean = tl.div_rn(tl.sum(tl.sum(total, 1), 0), count.to(tl.float32))
                            total = tl.zeros((BLOCK, CHUNK), tl.float32)
                            for chunk in tl.static_range(CHUNKS):
                                i = chunk * CHUNK + tl.arange(0, CHUNK)
                                inside = there[:, None] & (i < INPUTS)[None, :]
                                apart = tl.where(inside, changed[chunk] - mean, 0.0)
                                total += apart * apart
                            tl.store(spread + 2 * left, mean)
                            tl.store(spread + 2 * left + 1, tl.sum(tl.sum(total, 1), 0))


@triton.jit
def tick(
    clocks,
    sums,
    pre,
    signal,
    rows,
    INPUTS: tl.constexpr,
    WIDTH: tl.constexpr,
    OUTPUTS,
    MODULATED: tl.constexpr,
    EVERY: tl.constexpr,
):
    """After a step: what a clock of EVERY steps adds up, of o_i and m, and the clock itself."""
    position = tl.program_id(0)
    row = tl.load(rows + position)
    clock = tl.load(clocks + row)
    if clock >= 0:
        strikes = clock + 1 == EVERY
        seen, i = sums + row * (INPUTS + OUTPUTS + 1), tl.arange(0, WIDTH)
        x = tl.load(seen + i, mask=i < INPUTS, other=0.0) + tl.load(pre + position * INPUTS + i, mask=i < INPUTS)
        m = tl.load(seen + INPUTS + OUTPUTS) + (tl.load(signal + position) if MODULATED else 1.0)
        tl.debug_barrier()  # all warps have read the clock
        tl.store(seen + i, tl.where(strikes, 0.0, x), mask=i < INPUTS)
        tl.store(seen + INPUTS + OUTPUTS, tl.where(strikes, 0.0, m))
        tl.store(clocks + row, tl.where(strikes, 0, clock + 1))
