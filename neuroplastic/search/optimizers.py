"""Gradient ascent on one flat vector [D]: gradient and learning rate -> the step to add."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroplastic.errors import check_range


class SGD:
    """The gradient itself, or with momentum μ its running sum v ← μ v + g.

    Raises:
        ArgumentError: momentum is not in [0, 1].
    """

    def __init__(self, size: int, momentum: float = 0.0) -> None:
        check_range("momentum", momentum, low=0, high=1)
        self.momentum = momentum
        self.v = torch.zeros(size if momentum else 0)

    def step(self, gradient: Tensor, learning_rate: float) -> Tensor:
        if self.momentum:
            gradient = self.v = self.momentum * self.v + gradient
        return learning_rate * gradient

    def state_dict(self) -> dict[str, Tensor | int]:
        return {"v": self.v}

    def load_state_dict(self, state: dict) -> None:
        self.v = state["v"]


class Adam:
    """Kingma & Ba 2015, algorithm 1, with its β and ε."""

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, size: int) -> None:
        self.t, self.m, self.v = 0, torch.zeros(size), torch.zeros(size)

    def step(self, gradient: Tensor, learning_rate: float) -> Tensor:
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * gradient
        self.v = self.beta2 * self.v + (1 - self.beta2) * gradient * gradient
        mean, square = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        return learning_rate * mean / (square.sqrt() + self.epsilon)

    def state_dict(self) -> dict[str, Tensor | int]:
        return {"t": self.t, "m": self.m, "v": self.v}

    def load_state_dict(self, state: dict) -> None:
        self.t, self.m, self.v = state["t"], state["m"], state["v"]
