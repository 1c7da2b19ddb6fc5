"""Gradient ascent on one flat vector [D]: gradient and learning rate -> the step to add."""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.search.projection import Projection


class _Momentum:
    """What the optimizers share whose state is a running sum v of steps."""

    v: Tensor

    def projected(self, projection: Projection) -> Self:
        """In fewer coordinates, moving as the mean of those that are merged moved."""
        other = copy.copy(self)
        if len(self.v):
            other.v = projection.mean(self.v)
        return other

    def state_dict(self) -> dict[str, Tensor | int]:
        return {"v": self.v}

    def load_state_dict(self, state: dict) -> None:
        self.v = state["v"]


class SGD(_Momentum):
    """The gradient itself, or with momentum μ its running sum v ← μ v + g.

    Args:
        size: D.
        momentum: μ.
        like: the precision and device of the gradients; None: float32 on the CPU. The same for all optimizers.

    Raises:
        ArgumentError: momentum is not in [0, 1].
    """

    def __init__(self, size: int, momentum: float = 0.0, *, like: Tensor | None = None) -> None:
        check_range("momentum", momentum, low=0, high=1)
        self.momentum = momentum
        self.v = _zeros(size if momentum else 0, like)

    def step(self, gradient: Tensor, learning_rate: float) -> Tensor:
        if self.momentum:
            gradient = self.v = self.momentum * self.v + gradient
        return learning_rate * gradient


class Adam:
    """Kingma & Ba 2015, algorithm 1, with its β and ε."""

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, size: int, *, like: Tensor | None = None) -> None:
        self.t, self.m, self.v = 0, _zeros(size, like), _zeros(size, like)

    def step(self, gradient: Tensor, learning_rate: float) -> Tensor:
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * gradient
        self.v = self.beta2 * self.v + (1 - self.beta2) * gradient * gradient
        mean, square = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        return learning_rate * mean / (square.sqrt() + self.epsilon)

    def projected(self, projection: Projection) -> Self:
        """In fewer coordinates: m and v are the means of those that are merged, so |m| never outgrows √v."""
        other = copy.copy(self)
        other.m, other.v = projection.mean(self.m), projection.mean(self.v)
        return other

    def state_dict(self) -> dict[str, Tensor | int]:
        return {"t": self.t, "m": self.m, "v": self.v}

    def load_state_dict(self, state: dict) -> None:
        self.t, self.m, self.v = state["t"], state["m"], state["v"]


class ClipUp(_Momentum):
    """Toklu, Liskowski & Srivastava 2020: steps of a length that the scale of the gradient does not change.

    Args:
        size: D.
        max_speed: no step is longer; the paper sets the learning rate to half of it.
        momentum: m.

    Raises:
        ArgumentError: max_speed is not above 0, or momentum not in [0, 1].
    """

    def __init__(self, size: int, max_speed: float, momentum: float = 0.9, *, like: Tensor | None = None) -> None:
        check_range("max_speed", max_speed, low=0, above=True)
        check_range("momentum", momentum, low=0, high=1)
        self.max_speed, self.momentum = max_speed, momentum
        self.v = _zeros(size, like)

    def step(self, gradient: Tensor, learning_rate: float) -> Tensor:
        # v' = m v + α g/|g|; no gradient has no direction
        v = self.momentum * self.v
        length = _norm(gradient)
        if length:
            v = v + gradient * (learning_rate / length)
        # v = v' if |v'| <= v_max, else v_max v'/|v'|
        speed = _norm(v)
        self.v = v * (self.max_speed / speed) if speed > self.max_speed else v
        return self.v


def _zeros(size: int, like: Tensor | None) -> Tensor:
    return torch.zeros(size) if like is None else like.new_zeros(size)


def _norm(vector: Tensor) -> float:
    """|vector| in float64, where squares of float32 neither overflow nor vanish."""
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))
