"""Gradient descent that touches the modules it is told to, and no other: neither momentum nor decay moves those."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import check_name, check_range
from neuroplastic.pathnet.network import Subnetwork, Tensors

_REMEMBERED = {"sgd": ("momentum",), "adam": ("mean", "square", "count")}


@dataclass(frozen=True)
class Descent:
    """How modules learn.

    Attributes:
        name: "sgd", or "adam" (Kingma & Ba 2015, algorithm 1), each module counting the steps it took part in.
        learning_rate: η.
        momentum: μ of sgd: v <- μ v + g, θ <- θ - η v.
        decay: λ: λ θ is added to the gradient.
        beta1, beta2, epsilon: of adam.

    Raises:
        ArgumentError: a number is out of range.
        UnknownNameError: no such descent.
    """

    name: str = "sgd"
    learning_rate: float = 0.05
    momentum: float = 0.0
    decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_name("descent.name", self.name, _REMEMBERED)
        check_range("descent.learning_rate", self.learning_rate, low=0, above=True)
        for argument in ("momentum", "beta1", "beta2"):
            check_range(f"descent.{argument}", getattr(self, argument), low=0, high=1)
        check_range("descent.decay", self.decay, low=0)
        check_range("descent.epsilon", self.epsilon, low=0, above=True)

    def begin(self, parameters: Tensors) -> Tensors:
        """What is remembered of parameters that have not learned yet: name.momentum and so on."""
        remembered = _REMEMBERED[self.name] if self.name == "adam" or self.momentum else ()
        return {
            f"{name}.{what}": tensor.new_zeros(len(tensor)) if what == "count" else torch.zeros_like(tensor)
            for name, tensor in parameters.items()
            for what in remembered
        }

    @torch.no_grad()
    def step(self, network: Subnetwork, gradients: Tensors) -> None:
        """One step of what is not frozen."""
        for name, gradient in gradients.items():
            free = network.free(name)
            if free is not None and not len(free):
                continue
            rows = slice(None) if free is None else free
            value = network.tensors[name]
            change = self._change(network.tensors, name, rows, gradient[rows], value[rows])
            if free is None:
                value -= change
            else:
                value[free] -= change

    def _change(self, tensors: Tensors, name: str, rows: Tensor | slice, gradient: Tensor, value: Tensor) -> Tensor:
        if self.decay:
            gradient = gradient + self.decay * value
        if self.name == "sgd":
            if self.momentum:
                memory = tensors[f"{name}.momentum"]
                memory[rows] = gradient = self.momentum * memory[rows] + gradient
            return self.learning_rate * gradient
        mean, square, count = (tensors[f"{name}.{what}"] for what in _REMEMBERED["adam"])
        mean[rows] = first = self.beta1 * mean[rows] + (1 - self.beta1) * gradient
        square[rows] = second = self.beta2 * square[rows] + (1 - self.beta2) * gradient**2
        count[rows] = steps = count[rows] + 1
        steps = steps.view(-1, *(1 for _ in gradient.shape[1:]))
        first, second = first / (1 - self.beta1**steps), second / (1 - self.beta2**steps)
        return self.learning_rate * first / (second.sqrt() + self.epsilon)
