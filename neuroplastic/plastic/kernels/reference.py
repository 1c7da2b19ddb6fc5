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


LEVEL = 1e-6  # weights whose standard deviation is no more of |mean| than this are taken to be equal


def forward(weights: Tensor, pre: Tensor, activation: str) -> Tensor:
    """o_j = f(Σ_i w_ij o_i): weights [B, O, I], pre [B, I] -> post [B, O]."""
    return ACTIVATIONS[activation]((weights * pre[:, None, :]).sum(-1))


def change(weights: Tensor, coefficients: Mapping[str, Tensor], pre: Tensor, post: Tensor) -> Tensor:
    """Δ_ij = η_ij (A_ij o_i o_j + B_ij o_i + C_ij o_j + D_ij - K_ij o_j² w_ij): [B, O, I].

    Najarro & Risi 2020, eq. 1, and the decay of Oja 1982.

    Args:
        coefficients: any of A, B, C, D, lr (η) and decay (K) [B, O, I]; an absent one is 0, an absent lr 1.
    """
    A, B, C, D = (coefficients.get(symbol, 0.0) for symbol in "ABCD")
    lr = coefficients.get("lr", 1.0)
    o_i, o_j = pre[:, None, :], post[:, :, None]
    terms = A * o_i * o_j + B * o_i + C * o_j + D
    if "decay" in coefficients:
        terms = terms - coefficients["decay"] * o_j**2 * weights
    return lr * terms


def normalise(weights: Tensor, normaliser: str, limit: float) -> Tensor:
    """Weights [B, O, I] -> [B, O, I]; a divisor of 0 divides nothing.

    Args:
        normaliser: "max" divides each layer by its largest |w|; "row" the weights into each unit by their L2 norm;
            "clip" clamps each weight to ±limit; "standardise" subtracts from each layer its mean, then divides by its
            standard deviation, unless that is 0 up to rounding (`LEVEL`); "none" does nothing.
    """
    if normaliser == "none":
        return weights
    if normaliser == "clip":
        return weights.clamp(-limit, limit)
    if normaliser == "max":
        divisor = weights.abs().amax(dim=(1, 2), keepdim=True)
    elif normaliser == "row":
        divisor = torch.linalg.vector_norm(weights, dim=2, keepdim=True)
    else:
        mean = weights.mean(dim=(1, 2), keepdim=True)
        weights = weights - mean
        divisor = (weights**2).mean(dim=(1, 2), keepdim=True).sqrt()
        divisor = torch.where(divisor <= LEVEL * mean.abs(), 0.0, divisor)
    return weights / torch.where(divisor == 0, 1.0, divisor)


class HebbianLayer(LivingLayer):
    """The forward pass with the old weights; with its result the change, the trace, the modulation, the normaliser.

    A layer without terms never changes, and so is never normalised.

    Args:
        weights: w at birth [B, O, I].
        coefficients: those of `change`; and ``fixed`` and ``gain``, F and G [B, O, I], or neither.
        activation, normaliser, limit: as of `forward` and `normalise`.
        modulated: whether the signal of a step is m; else m = 1.
        trace: λ of e <- λ e + Δ.
        every: steps from one change to the next, in which pre, post and signal are averaged.
    """

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
        arrays = {name: array.clone() for name, array in coefficients.items()}
        self._fixed, self._gain = arrays.pop("fixed", None), arrays.pop("gain", None)
        self._weights, self._coefficients = weights.clone(), arrays
        self._activation, self._normaliser, self._limit = activation, normaliser, limit
        self._modulated, self._decay, self._every = modulated, trace, every
        self._trace = torch.zeros_like(weights)
        self._sums = [weights.new_zeros(rows, units) for units in (inputs, outputs, 1)]  # of pre, post and signal
        self._clock = torch.zeros(rows, dtype=torch.int64, device=weights.device)  # steps since the last change
        self._frozen = torch.zeros(rows, dtype=torch.bool, device=weights.device)

    def step(self, pre: Tensor, signal: Tensor, rows: Tensor) -> Tensor:
        post = self.forward(pre, rows)
        self.learn(pre, post, signal, rows)
        return post

    def forward(self, pre: Tensor, rows: Tensor) -> Tensor:
        return forward(self._effective(rows), pre, self._activation)

    def learn(self, pre: Tensor, post: Tensor, signal: Tensor, rows: Tensor) -> None:
        if not self._coefficients.keys() - {"lr"}:
            return
        m = signal[:, None] if self._modulated else torch.ones_like(pre[:, :1])
        learning = ~self._frozen[rows]
        rows, seen = rows[learning], [number[learning] for number in (pre, post, m)]
        if self._every > 1:
            rows, seen = self._average(rows, seen)
        pre, post, m = seen
        coefficients = {name: coefficient[rows] for name, coefficient in self._coefficients.items()}
        weights = self._weights[rows]
        trace = change(weights, coefficients, pre, post)
        if self._decay:
            trace = self._trace[rows] = self._decay * self._trace[rows] + trace
        self._weights[rows] = normalise(weights + m[:, :, None] * trace, self._normaliser, self._limit)

    def _average(self, rows: Tensor, seen: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The rows whose clock strikes, and what they have seen since it did so last, averaged."""
        self._clock[rows] += 1
        for total, number in zip(self._sums, seen, strict=True):
            total[rows] += number
        rows = rows[self._clock[rows] == self._every]
        means = [total[rows] / self._every for total in self._sums]
        self._clock[rows] = 0
        for total in self._sums:
            total[rows] = 0
        return rows, means

    def freeze(self, rows: Tensor) -> None:
        self._weights[rows] = self._effective(rows)
        self._frozen[rows] = True

    def assign(self, rows: Tensor, weights: Tensor) -> None:
        if self._fixed is None:
            self._weights[rows] = weights
            return
        frozen = self._frozen[rows, None, None]
        self._fixed[rows] = torch.where(frozen, self._fixed[rows], weights)
        self._weights[rows] = torch.where(frozen, weights, 0.0)

    def replace(self, rows: Tensor, newborn: HebbianLayer) -> None:
        own, new = self._state(), newborn._state()
        for name, array in own.items():
            array[rows] = new[name]

    def _state(self) -> dict[str, Tensor]:
        """Everything that lives, each [B, ...]."""
        state = {"weights": self._weights, "trace": self._trace, "clock": self._clock, "frozen": self._frozen}
        state |= {f"sum{n}": total for n, total in enumerate(self._sums)}
        if self._fixed is not None and self._gain is not None:
            state |= {"fixed": self._fixed, "gain": self._gain}
        return state | self._coefficients

    def _effective(self, rows: Tensor) -> Tensor:
        """v_ij = w_ij, or F_ij + G_ij w_ij: [b, O, I]. That of a frozen life is what stands in the place of w."""
        weights = self._weights[rows]
        if self._fixed is None or self._gain is None:
            return weights
        return torch.where(self._frozen[rows, None, None], weights, self._fixed[rows] + self._gain[rows] * weights)

    def weights(self) -> Tensor:
        return self._effective(torch.arange(len(self._weights), device=self._weights.device))
