"""Activations by name, each with its derivative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True)
class Activation:
    """σ and σ′, both of the neuron's input."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


def _relu_tanh(z: Tensor) -> Tensor:
    value = torch.tanh(z)
    return value.relu() if value.requires_grad else value.relu_()


def _relu_tanh_slope(z: Tensor) -> Tensor:
    return torch.where(z > 0, 1 - torch.tanh(z).square(), torch.zeros_like(z))


def _sigmoid_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s)


ACTIVATIONS = {
    "linear": Activation(lambda z: z, torch.ones_like),
    "relu": Activation(torch.relu, lambda z: (z > 0).to(z.dtype)),
    "tanh": Activation(torch.tanh, lambda z: 1 - torch.tanh(z).square()),
    "sigmoid": Activation(torch.sigmoid, _sigmoid_slope),
    "softplus": Activation(softplus, torch.sigmoid),
    "relu-tanh": Activation(_relu_tanh, _relu_tanh_slope),
}
