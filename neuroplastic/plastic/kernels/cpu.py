"""The fused kernel: forward, activation, update and normaliser of a layer in one compiled call (float32).

All loops run over the units after the synapses, which lie side by side: LLVM vectorises them, and yet each sum over i
runs in the order of i, so no number depends on the vector width of the CPU nor on other rows. A normaliser's division
waits for the next read of the weights; so each layer of each life is read from memory and written back once a step
(the update finds in the cache what the forward pass has read).

Everything compiled, and every constant in it, stays in this file: numba's cache does not see a change in another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.plastic.rules import LivingLayer

_f32, _f64 = np.float32, np.float64
_ZERO, _HALF, _ONE = _f32(0), _f32(0.5), _f32(1)
_LINEAR, _TANH, _RELU, _SIGMOID = range(4)
_NONE, _MAX, _ROW, _CLIP, _STANDARDISE = range(5)
_BOTH, _FORWARD, _LEARN = range(3)  # parts of a step
_CODES = {"linear": _LINEAR, "tanh": _TANH, "relu": _RELU, "sigmoid": _SIGMOID}
_CODES |= {"none": _NONE, "max": _MAX, "row": _ROW, "clip": _CLIP, "standardise": _STANDARDISE}
_TERMS = ("A", "B", "C", "D", "decay")
_SLOTS = (*_TERMS, "trace", "fixed", "gain")
_NO_SIGNAL = np.zeros(0, _f32)
_LEVEL = _f32(1e-6)  # `reference.LEVEL`

_TANH_IS_ONE = _f32(9.1)
_P0, _P1, _P2, _P3 = _f32(34459425), _f32(4729725), _f32(135135), _f32(990)
_Q0, _Q1, _Q2, _Q3, _Q4 = _f32(34459425), _f32(16216200), _f32(945945), _f32(13860), _f32(45)


@njit
def _tanh(x):
    """tanh x = 2t / (1 + t²) with t = tanh h, h = x/2, by Lambert's fraction h / (1 + h² / (3 + h² / (5 + … 17))).

    The fraction is written out as h P(h²) / Q(h²). The relative error is below 1e-6, the value never beyond ±1.
    """
    h = _HALF * min(max(x, -_TANH_IS_ONE), _TANH_IS_ONE)
    s = h * h
    p = h * (_P0 + s * (_P1 + s * (_P2 + s * (_P3 + s))))
    q = _Q0 + s * (_Q1 + s * (_Q2 + s * (_Q3 + s * _Q4)))
    t = p / q
    return (t + t) / (_ONE + t * t)


@njit
def _activate(x, activation):
    """x <- f(x) [O]."""
    if activation == _TANH:
        for j in range(len(x)):
            x[j] = _tanh(x[j])
    elif activation == _RELU:
        for j in range(len(x)):
            x[j] = _ZERO if x[j] < _ZERO else x[j]
    elif activation == _SIGMOID:
        for j in range(len(x)):
            x[j] = _HALF + _HALF * _tanh(_HALF * x[j])


@njit
def _sum(weights, x, y):
    """y <- Σ_i w_ij x_i of weights [I, O]; four i at a time, each added in its turn, so that y stays in registers."""
    inputs, outputs = weights.shape
    fours = inputs - inputs % 4
    y[:] = _ZERO
    for i in range(0, fours, 4):
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        o_a, o_b, o_c, o_d = x[i], x[i + 1], x[i + 2], x[i + 3]
        for j in range(outputs):
            y[j] = (((y[j] + a[j] * o_a) + b[j] * o_b) + c[j] * o_c) + d[j] * o_d
    for i in range(fours, inputs):
        w, o_i = weights[i], x[i]
        for j in range(outputs):
            y[j] += w[j] * o_i


@njit
def _sum_of_parts(weights, fixed, gain, divisor, x, y):
    """y <- Σ_i v_ij x_i with v_ij = F_ij + G_ij w_ij / d_j, all three [I, O]."""
    inputs, outputs = weights.shape
    y[:] = _ZERO
    for i in range(inputs):
        w, f, g, o_i = weights[i], fixed[i], gain[i], x[i]
        for j in range(outputs):
            y[j] += (f[j] + g[j] * (w[j] / divisor[j])) * o_i


@njit
def _average(sums, x, y, m, every, before, after):
    """Adds x [I], y [O] and m to their sums [I + O + 1]; puts averages in before [I] and after [O] and returns m's."""
    inputs, outputs = len(x), len(y)
    for i in range(inputs):
        sums[i] += x[i]
        before[i] = sums[i] / every
    for j in range(outputs):
        sums[inputs + j] += y[j]
        after[j] = sums[inputs + j] / every
    sums[inputs + outputs] += m
    return sums[inputs + outputs] / every


@njit
def _standardise(weights, divisor, total):
    """Subtracts the mean from weights [I, O] whose sums over i are ``total``, and puts their deviation in divisor."""
    inputs, outputs = weights.shape
    mean, variance = _f64(0), _f64(0)
    for j in range(outputs):
        mean += _f64(total[j])
    mean = _f32(mean / (inputs * outputs))
    total[:] = _ZERO
    for i in range(inputs):
        w = weights[i]
        for j in range(outputs):
            w[j] -= mean
            total[j] += w[j] * w[j]
    for j in range(outputs):
        variance += _f64(total[j])
    deviation = _f32(np.sqrt(variance / (inputs * outputs)))
    divisor[:] = _ONE if deviation <= _LEVEL * abs(mean) else deviation


def _steps(plain: bool) -> Any:
    """Compiles a step; ``plain`` is what is left of it without decay, trace, modulation, clock and fixed part."""

    @njit(nogil=True, cache=True, error_model="numpy")
    def step(
        weights, synapses, slots, divisors, sums, clocks, pre, signal, rows, post, part,
        activation, normaliser, limit, modulated, trace, every,
    ):  # fmt: skip
        """A step or a part of it, of some rows, with post [b, O]; the other arrays are those of `HebbianLayer`."""
        inputs, outputs = weights.shape[1:]
        a_slot, b_slot, c_slot, d_slot, k_slot, e_slot, f_slot, g_slot = slots
        plastic = a_slot >= 0 or b_slot >= 0 or c_slot >= 0 or d_slot >= 0 or k_slot >= 0
        divides = normaliser != _NONE and normaliser != _CLIP
        zeros, total, m = np.zeros(outputs, _f32), np.empty(outputs, _f32), _ONE
        if plain:
            delta = before = after = total  # nobody asks for them
        else:
            delta, before, after = np.empty(outputs, _f32), np.empty(inputs, _f32), np.empty(outputs, _f32)
        for n in range(len(rows)):
            row = rows[n]
            x, y, divisor = pre[n], post[n], divisors[row]
            learns = plastic and part != _FORWARD and clocks[row] >= 0

            # o_j = f(Σ_i v_ij o_i)
            if part != _LEARN:
                if not plain and f_slot >= 0 and clocks[row] >= 0:
                    _sum_of_parts(weights[row], synapses[row, f_slot], synapses[row, g_slot], divisor, x, y)
                else:
                    _sum(weights[row], x, y)
                    if divides:
                        for j in range(outputs):
                            y[j] /= divisor[j]
                _activate(y, activation)
            if not learns:
                continue

            if not plain:
                m = signal[n] if modulated else _ONE
                if every > 1:
                    m = _average(sums[row], x, y, m, _f32(every), before, after)
                    x, y = before, after
                    clocks[row] += 1
                    if clocks[row] < every:
                        continue
                    clocks[row], sums[row] = 0, _ZERO

            # Δ_ij = A_ij o_i o_j + B_ij o_i + C_ij o_j + D_ij - K_ij o_j² w_ij, each of them times η_ij since birth
            total[:] = _ZERO
            for i in range(inputs):
                w, o_i = weights[row, i], x[i]
                a = synapses[row, a_slot, i] if a_slot >= 0 else zeros
                b = synapses[row, b_slot, i] if b_slot >= 0 else zeros
                c = synapses[row, c_slot, i] if c_slot >= 0 else zeros
                d = synapses[row, d_slot, i] if d_slot >= 0 else zeros
                if plain and divides:
                    for j in range(outputs):
                        w[j] = w[j] / divisor[j] + (a[j] * o_i * y[j] + b[j] * o_i + c[j] * y[j] + d[j])
                elif plain:
                    for j in range(outputs):
                        w[j] += a[j] * o_i * y[j] + b[j] * o_i + c[j] * y[j] + d[j]
                else:
                    if divides:
                        for j in range(outputs):
                            w[j] /= divisor[j]
                    for j in range(outputs):
                        delta[j] = a[j] * o_i * y[j] + b[j] * o_i + c[j] * y[j] + d[j]
                    if k_slot >= 0:
                        k = synapses[row, k_slot, i]
                        for j in range(outputs):
                            delta[j] -= k[j] * y[j] * y[j] * w[j]
                    if e_slot >= 0:
                        e = synapses[row, e_slot, i]
                        for j in range(outputs):
                            e[j] = trace * e[j] + delta[j]
                            w[j] += m * e[j]
                    else:
                        for j in range(outputs):
                            w[j] += m * delta[j]
                if normaliser == _MAX:
                    for j in range(outputs):
                        size = abs(w[j])
                        if size > total[j] or size != size:  # a NaN stays, as in torch
                            total[j] = size
                elif normaliser == _ROW:
                    for j in range(outputs):
                        total[j] += w[j] * w[j]
                elif normaliser == _CLIP:
                    for j in range(outputs):
                        w[j] = min(max(w[j], -limit), limit)
                elif normaliser == _STANDARDISE:
                    for j in range(outputs):
                        total[j] += w[j]

            if normaliser == _MAX:
                largest = _ZERO
                for j in range(outputs):
                    if total[j] > largest or total[j] != total[j]:
                        largest = total[j]
                divisor[:] = largest if largest != _ZERO else _ONE
            elif normaliser == _ROW:
                for j in range(outputs):
                    divisor[j] = np.sqrt(total[j]) if total[j] != _ZERO else _ONE
            elif normaliser == _STANDARDISE:
                _standardise(weights[row], divisor, total)

    return step


_plain, _step = _steps(plain=True), _steps(plain=False)


@njit(nogil=True, cache=True, error_model="numpy")
def _step_plainly(weights, synapses, slots, divisors, clocks, pre, rows, post, activation, normaliser, limit):
    """A whole plain step: every argument costs time in every call, so here are those alone that it needs."""
    a_slot, b_slot, c_slot, d_slot = slots
    all_slots = a_slot, b_slot, c_slot, d_slot, -1, -1, -1, -1
    _plain(
        weights, synapses, all_slots, divisors, divisors, clocks, pre, _NO_SIGNAL, rows, post, _BOTH,
        activation, normaliser, limit, False, _ZERO, 1,
    )  # fmt: skip


class _State(NamedTuple):
    """What lives, and where it stands.

    Attributes:
        weights: w [B, I, O], which still wait for their divisors; those of a frozen row are v and wait for nothing.
        synapses: whatever else a synapse has [B, K, I, O]. Coefficients have η multiplied in, which leaves a fifth less
            to read in every step, and those that are one array stand there once.
        slots: where among the K those of `_SLOTS` stand, -1 if nowhere.
        divisors: [B, O].
        sums: of what a clock averages, o_i, o_j and m [B, I + O + 1]; [B, 0] without a clock.
        clocks: steps since the last change, -1 in rows that are frozen [B].
    """

    weights: NDArray[np.float32]
    synapses: NDArray[np.float32]
    slots: tuple[int, ...]
    divisors: NDArray[np.float32]
    sums: NDArray[np.float32]
    clocks: NDArray[np.int64]

    def slot(self, name: str) -> int:
        return self.slots[_SLOTS.index(name)]


class HebbianLayer(LivingLayer):
    """`reference.HebbianLayer`, fused."""

    def __init__(
        self,
        weights: Tensor,
        coefficients: Mapping[str, Tensor],
        activation: str,
        normaliser: str = "none",
        limit: float = 1.0,
        *,
        modulated: bool = False,
        trace: float = 0.0,
        every: int = 1,
    ) -> None:
        rows, outputs, inputs = weights.shape
        arrays = {name: array for name, array in coefficients.items() if name in _SLOTS}
        terms = [array for name, array in arrays.items() if name in _TERMS]
        if trace and terms:
            arrays["trace"] = weights.new_zeros(1).expand_as(weights)
        distinct = {id(array): array for array in arrays.values()}
        synapses = torch.empty(rows, len(distinct), inputs, outputs)
        for slot, array in enumerate(distinct.values()):
            synapses[:, slot] = array.transpose(1, 2)
            if "lr" in coefficients and any(array is term for term in terms):
                synapses[:, slot] *= coefficients["lr"].transpose(1, 2)
        places = {key: slot for slot, key in enumerate(distinct)}
        self._state = _State(
            weights=torch.empty(rows, inputs, outputs).copy_(weights.transpose(1, 2)).numpy(),
            synapses=synapses.numpy(),
            slots=tuple(places[id(arrays[name])] if name in arrays else -1 for name in _SLOTS),
            divisors=np.ones((rows, outputs), _f32),
            sums=np.zeros((rows, inputs + outputs + 1 if every > 1 else 0), _f32),
            clocks=np.zeros(rows, np.int64),
        )
        self._plain = arrays.keys() <= set("ABCD") and not modulated and every == 1
        self._options = _CODES[activation], _CODES[normaliser], _f32(limit), modulated, _f32(trace), every
        state = self._state
        self._plain_state = state.weights, state.synapses, state.slots[:4], state.divisors, state.clocks
        self._plain_options = self._options[:3]
        self._outputs = outputs

    def step_arrays(self, pre: NDArray[Any], signal: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        post = np.empty((len(rows), self._outputs), _f32)
        if self._plain:
            _step_plainly(*self._plain_state, pre, rows, post, *self._plain_options)
        else:
            _step(*self._state, pre, signal, rows, post, _BOTH, *self._options)
        return post

    def forward_arrays(self, pre: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        post = np.empty((len(rows), self._outputs), _f32)
        _step(*self._state, pre, _NO_SIGNAL, rows, post, _FORWARD, *self._options)
        return post

    def learn_arrays(
        self, pre: NDArray[Any], post: NDArray[Any], signal: NDArray[Any], rows: NDArray[np.int64]
    ) -> None:
        _step(*self._state, pre, signal, rows, post, _LEARN, *self._options)

    def step(self, pre: Tensor, signal: Tensor, rows: Tensor) -> Tensor:
        return torch.from_numpy(self.step_arrays(pre.numpy(), signal.numpy(), rows.numpy()))

    def forward(self, pre: Tensor, rows: Tensor) -> Tensor:
        return torch.from_numpy(self.forward_arrays(pre.numpy(), rows.numpy()))

    def learn(self, pre: Tensor, post: Tensor, signal: Tensor, rows: Tensor) -> None:
        self.learn_arrays(pre.numpy(), post.numpy(), signal.numpy(), rows.numpy())

    def freeze(self, rows: Tensor) -> None:
        index = rows.numpy()
        self._state.weights[index], self._state.divisors[index] = self._effective(index), _ONE
        self._state.clocks[index] = -1

    def assign(self, rows: Tensor, weights: Tensor) -> None:
        index, given, fixed = rows.numpy(), weights.transpose(1, 2).numpy(), self._state.slot("fixed")
        self._state.weights[index], self._state.divisors[index] = given, _ONE
        if fixed >= 0:
            learns = self._state.clocks[index] >= 0
            self._state.weights[index[learns]] = _ZERO
            self._state.synapses[index[learns], fixed] = given[learns]

    def replace(self, rows: Tensor, newborn: HebbianLayer) -> None:
        for own, new in zip(self._state, newborn._state, strict=True):
            if isinstance(own, np.ndarray):
                own[rows.numpy()] = new

    def _effective(self, index: NDArray[np.int64]) -> NDArray[np.float32]:
        """v_ij = w_ij, or F_ij + G_ij w_ij: [b, I, O]."""
        state, fixed, gain = self._state, self._state.slot("fixed"), self._state.slot("gain")
        with np.errstate(all="ignore"):  # a life may diverge
            weights = state.weights[index] / state.divisors[index][:, None, :]
            if fixed < 0:
                return weights
            whole = state.synapses[index, fixed] + state.synapses[index, gain] * weights
        return np.where(state.clocks[index, None, None] < 0, weights, whole)

    def weights(self) -> Tensor:
        whole = self._effective(np.arange(len(self._state.weights)))
        return torch.from_numpy(whole).transpose(1, 2).contiguous()
