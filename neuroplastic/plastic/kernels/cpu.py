"""The fused kernel: forward, activation, update and normaliser of a layer in one compiled call (float32).

All loops run over the units after the synapses, which lie side by side: LLVM vectorises them, and yet each sum over i
runs in the order of i, so no number depends on the vector width of the CPU nor on other rows. A normaliser's division
waits for the next read of the weights; so each layer of each life is read from memory and written back once a step
(the update finds in the cache what the forward pass has read).

Everything compiled, and every constant in it, stays in this file: numba's cache does not see a change in another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.plastic.rules import LivingLayer

_f32 = np.float32
_ZERO, _HALF, _ONE = _f32(0), _f32(0.5), _f32(1)
_LINEAR, _TANH, _RELU, _SIGMOID = range(4)
_NONE, _MAX, _ROW, _CLIP = range(4)
_CODES = {"linear": _LINEAR, "tanh": _TANH, "relu": _RELU, "sigmoid": _SIGMOID}
_CODES |= {"none": _NONE, "max": _MAX, "row": _ROW, "clip": _CLIP}

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


@njit(nogil=True, cache=True, error_model="numpy")
def _step(weights, divisors, coefficients, slots, pre, rows, post, activation, normaliser, limit):
    """One step of some rows of a layer into post [b, O]; the other arrays are described in `HebbianLayer`."""
    inputs, outputs = weights.shape[1:]
    a_slot, b_slot, c_slot, d_slot = slots
    plastic = a_slot >= 0 or b_slot >= 0 or c_slot >= 0 or d_slot >= 0
    divides = normaliser in (_MAX, _ROW)
    zeros, total = np.zeros(outputs, _f32), np.empty(outputs, _f32)
    for n in range(len(rows)):
        row = rows[n]
        x, y, divisor = pre[n], post[n], divisors[row]

        # o_j = f(Σ_i w_ij o_i)
        _sum(weights[row], x, y)
        if divides:
            for j in range(outputs):
                y[j] /= divisor[j]
        _activate(y, activation)
        if not plastic:
            continue

        # Δw_ij = A_ij o_i o_j + B_ij o_i + C_ij o_j + D_ij, each of them times η_ij since birth
        total[:] = _ZERO
        for i in range(inputs):
            w, o_i = weights[row, i], x[i]
            a = coefficients[row, a_slot, i] if a_slot >= 0 else zeros
            b = coefficients[row, b_slot, i] if b_slot >= 0 else zeros
            c = coefficients[row, c_slot, i] if c_slot >= 0 else zeros
            d = coefficients[row, d_slot, i] if d_slot >= 0 else zeros
            if divides:
                for j in range(outputs):
                    w[j] /= divisor[j]
            for j in range(outputs):
                w[j] += a[j] * o_i * y[j] + b[j] * o_i + c[j] * y[j] + d[j]
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

        if normaliser == _MAX:
            largest = _ZERO
            for j in range(outputs):
                if total[j] > largest or total[j] != total[j]:
                    largest = total[j]
            divisor[:] = largest if largest != _ZERO else _ONE
        elif normaliser == _ROW:
            for j in range(outputs):
                divisor[j] = np.sqrt(total[j]) if total[j] != _ZERO else _ONE


class HebbianLayer(LivingLayer):
    """`reference.HebbianLayer`, fused.

    It keeps, as float32: ``weights`` [B, I, O] that still wait for their ``divisors`` [B, O], and the ``coefficients``
    [B, K, I, O] of the K terms that there are, η multiplied in, which leaves a fifth less to read in every step;
    ``slots`` says where among the K those of A, B, C and D stand, -1 if nowhere.
    """

    def __init__(
        self, weights: Tensor, coefficients: Mapping[str, Tensor], activation: str, normaliser: str, limit: float
    ) -> None:
        rows, outputs, inputs = weights.shape
        terms = [symbol for symbol in "ABCD" if symbol in coefficients]
        packed = torch.empty(rows, len(terms), inputs, outputs)
        for slot, symbol in enumerate(terms):
            packed[:, slot] = coefficients[symbol].transpose(1, 2)
        if "lr" in coefficients:
            packed *= coefficients["lr"].transpose(1, 2)[:, None]
        self._coefficients = packed.numpy()
        self._slots = tuple(terms.index(symbol) if symbol in terms else -1 for symbol in "ABCD")
        self._weights = torch.empty(rows, inputs, outputs).copy_(weights.transpose(1, 2)).numpy()
        self._divisors = np.ones((rows, outputs), _f32)
        self._options = _CODES[activation], _CODES[normaliser], _f32(limit)

    def step(self, pre: Tensor, signal: Tensor, rows: Tensor) -> Tensor:
        return torch.from_numpy(self.step_arrays(pre.numpy(), signal.numpy(), rows.numpy()))

    def step_arrays(self, pre: NDArray[Any], signal: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        post = np.empty((len(rows), self._weights.shape[2]), _f32)
        state = self._weights, self._divisors, self._coefficients, self._slots
        _step(*state, pre, rows, post, *self._options)
        return post

    def replace(self, rows: Tensor, newborn: HebbianLayer) -> None:
        index = rows.numpy()
        self._weights[index], self._divisors[index] = newborn._weights, newborn._divisors
        self._coefficients[index] = newborn._coefficients

    def weights(self) -> Tensor:
        weights = torch.from_numpy(self._weights) / torch.from_numpy(self._divisors)[:, None, :]
        return weights.transpose(1, 2).contiguous()
