"""The specification of the kernels: plain torch, any device, float32 and float64.

B rows, I units before and O units after the synapses; w_ij, from unit i to unit j, stands at [row, j, i]. Nothing here
depends on the other rows: sums are elementwise products summed over i, since batched matrix products round
differently at B = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from neuroplastic.plastic.rules import LivingLayer

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": lambda x: 0.5 + 0.5 * torch.tanh(0.5 * x),  # torch.sigmoid rounds the last few of a tensor differently
    "linear": torch.clone,
}


def forward(weights: Tensor, pre: Tensor, activation: str) -> Tensor:
    """o_j = f(Σ_i w_ij o_i): weights [B, O, I], pre [B, I] -> post [B, O]."""
    return ACTIVATIONS[activation]((weights * pre[:, None, :]).sum(-1))


def hebbian(weights: Tensor, coefficients: Mapping[str, Tensor], pre: Tensor, post: Tensor) -> Tensor:
    """w_ij + η_ij (A_ij o_i o_j + B_ij o_i + C_ij o_j + D_ij), Najarro & Risi 2020, eq. 1: [B, O, I].

    Args:
        coefficients: any of A, B, C, D and lr (the paper's η) [B, O, I]; an absent one is 0, an absent lr 1.
    """
    A, B, C, D = (coefficients.get(symbol, 0.0) for symbol in "ABCD")
    lr = coefficients.get("lr", 1.0)
    o_i, o_j = pre[:, None, :], post[:, :, None]
    return weights + lr * (A * o_i * o_j + B * o_i + C * o_j + D)


def normalise(weights: Tensor, normaliser: str, limit: float) -> Tensor:
    """Weights [B, O, I] -> [B, O, I]; a divisor of 0 divides nothing.

    Args:
        normaliser: "max" divides each layer by its largest |w|; "row" the weights into each unit by their L2 norm;
            "clip" clamps each weight to ±limit; "none" does nothing.
    """
    if normaliser == "none":
        return weights
    if normaliser == "clip":
        return weights.clamp(-limit, limit)
    if normaliser == "max":
        divisor = weights.abs().amax(dim=(1, 2), keepdim=True)
    else:
        divisor = torch.linalg.vector_norm(weights, dim=2, keepdim=True)
    return weights / torch.where(divisor == 0, 1.0, divisor)


class HebbianLayer(LivingLayer):
    """The forward pass with the old weights, then the update with its result, then the normaliser.

    A layer without any of A, B, C, D never changes, and so is never normalised.

    Args:
        weights: at birth [B, O, I].
        coefficients: see `hebbian`.
    """

    def __init__(
        self, weights: Tensor, coefficients: Mapping[str, Tensor], activation: str, normaliser: str, limit: float
    ) -> None:
        self._weights, self._coefficients = weights.clone(), {name: c.clone() for name, c in coefficients.items()}
        self._activation, self._normaliser, self._limit = activation, normaliser, limit

    def step(self, pre: Tensor, signal: Tensor, rows: Tensor) -> Tensor:
        weights = self._weights[rows]
        post = forward(weights, pre, self._activation)
        if self._coefficients.keys() & set("ABCD"):
            coefficients = {name: coefficient[rows] for name, coefficient in self._coefficients.items()}
            weights = hebbian(weights, coefficients, pre, post)
            self._weights[rows] = normalise(weights, self._normaliser, self._limit)
        return post

    def replace(self, rows: Tensor, newborn: HebbianLayer) -> None:
        self._weights[rows] = newborn._weights
        for name, coefficient in self._coefficients.items():
            coefficient[rows] = newborn._coefficients[name]

    def weights(self) -> Tensor:
        return self._weights.clone()
