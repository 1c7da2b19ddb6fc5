"""Kinds of modules: many of one kind lie in one tensor and are applied at once.

U modules, R rows of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt
from typing import Protocol

import torch
from torch import Tensor, nn

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.genome import Layout
from neuroplastic.noise import normal, stream

Shape = tuple[int, ...]

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda activity: activity}


class Module(Protocol):
    """A kind of module: small, immutable and picklable."""

    def outputs(self, inputs: Shape) -> Shape:
        """The shape of what one module makes of one observation."""
        ...

    def layout(self, inputs: Shape) -> Layout:
        """The parameters of one module."""
        ...

    def birth(self, name: str, shape: Shape, stream: int) -> Tensor:
        """A newborn module's array of that name."""
        ...


class Differentiable(Module, Protocol):
    """A kind of module that learns by gradients."""

    def apply(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Every module on every row: parameters name -> [U, *shape], x [R, *inputs] -> [R, U, *outputs]."""
        ...


class _Weights:
    """Weights of He et al. 2015, "Delving Deep into Rectifiers", eq. 10, times a gain; biases 0."""

    gain: float

    def birth(self, name: str, shape: Shape, stream: int) -> Tensor:
        if name == "bias":
            return torch.zeros(shape)
        return self.gain * sqrt(2 / prod(shape[1:])) * normal(stream, prod(shape)).view(shape)


@dataclass(frozen=True)
class Linear(_Weights):
    """A layer of its own: activation(W x + b); what is no vector is flattened.

    Attributes:
        size: units.
        activation: one of `ACTIVATIONS`.
        gain: weights at birth are N(0, 2 gain² / fan-in). A readout of gain 0 has no opinion before it learns.

    Raises:
        ArgumentError: the size is below 1, or the gain below 0.
        UnknownNameError: no such activation.
    """

    size: int
    activation: str = "relu"
    gain: float = 1.0

    def __post_init__(self) -> None:
        check_range("size", self.size, low=1)
        check_range("gain", self.gain, low=0)
        check_name("activation", self.activation, ACTIVATIONS)

    def outputs(self, inputs: Shape) -> Shape:
        return (self.size,)

    def layout(self, inputs: Shape) -> Layout:
        return Layout((("weight", (self.size, prod(inputs))), ("bias", (self.size,))))

    def apply(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        weight, bias = parameters["weight"].flatten(0, 1), parameters["bias"].flatten()
        every = ACTIVATIONS[self.activation](nn.functional.linear(x.flatten(1), weight, bias))
        return every.view(len(x), -1, self.size)


@dataclass(frozen=True)
class Convolution(_Weights):
    """activation(kernels * x + b) of pictures [C, H, W].

    Attributes:
        channels: kernels.
        kernel: their height and width.
        stride: pixels from one place to the next.
        padding: zeros around the picture.
        activation: one of `ACTIVATIONS`.
        gain: as of `Linear`.

    Raises:
        ArgumentError: a number is out of range, or, once it is given pictures, they are none or too small ones.
        UnknownNameError: no such activation.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    activation: str = "relu"
    gain: float = 1.0

    def __post_init__(self) -> None:
        for name, low in {"channels": 1, "kernel": 1, "stride": 1, "padding": 0, "gain": 0}.items():
            check_range(name, getattr(self, name), low=low)
        check_name("activation", self.activation, ACTIVATIONS)

    def outputs(self, inputs: Shape) -> Shape:
        if len(inputs) != 3 or min(inputs[1:]) + 2 * self.padding < self.kernel:
            raise ArgumentError(
                f"inputs: expected pictures [C, H, W] of {self.kernel - 2 * self.padding} x "
                f"{self.kernel - 2 * self.padding} pixels or more for a convolution; got {[*inputs]}"
            )
        height, width = ((size + 2 * self.padding - self.kernel) // self.stride + 1 for size in inputs[1:])
        return self.channels, height, width

    def layout(self, inputs: Shape) -> Layout:
        self.outputs(inputs)
        return Layout((("weight", (self.channels, inputs[0], self.kernel, self.kernel)), ("bias", (self.channels,))))

    def apply(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        weight, bias = parameters["weight"].flatten(0, 1), parameters["bias"].flatten()
        every = nn.functional.conv2d(x, weight, bias, self.stride, self.padding)
        return ACTIVATIONS[self.activation](every).unflatten(1, (-1, self.channels))


@dataclass(frozen=True)
class Identity:
    """What came goes on as it is; there is nothing to learn. Several of them on a path are summed like all modules."""

    def outputs(self, inputs: Shape) -> Shape:
        return inputs

    def layout(self, inputs: Shape) -> Layout:
        return Layout((("present", (0,)),))  # no numbers, but a row for each module

    def birth(self, name: str, shape: Shape, stream: int) -> Tensor:
        return torch.zeros(shape)

    def apply(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return x[:, None].expand(-1, len(parameters["present"]), *x.shape[1:])


def births(module: Module, inputs: Shape, count: int, source: int) -> dict[str, Tensor]:
    """Newborn modules, each from a stream of its own: name -> [count, *shape]."""
    return {
        name: torch.stack([module.birth(name, shape, stream(source, number, name)) for number in range(count)])
        for name, shape in module.layout(inputs).shapes
    }
