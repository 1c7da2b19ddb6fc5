"""Two classes in the plane, x in about [-1, 1]²: Boolean functions, moons, circles, spirals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import normal, stream, uniform


def _uniforms(seed: int, exam: bool, *shape: int) -> Tensor:
    return uniform(stream(seed, "exam" if exam else "lesson", "uniform"), math.prod(shape)).view(shape)


def _normals(seed: int, exam: bool, *shape: int) -> Tensor:
    return normal(stream(seed, "exam" if exam else "lesson", "normal"), math.prod(shape)).view(shape)


@dataclass(frozen=True)
class Boolean:
    """A Boolean function of the signs of uniform numbers in [-1, 1].

    Attributes:
        table: bit n is its value where n is the sum of 2^i over the positive x_i.
        inputs: how many numbers.

    Raises:
        ArgumentError: the table has bits beyond 2^inputs.
    """

    table: int
    inputs: int = 2
    classes = 2

    def __post_init__(self) -> None:
        check_range("inputs", self.inputs, low=1, high=16)
        check_range("table", self.table, low=0, high=2**2**self.inputs - 1)

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        x = 2 * _uniforms(stream, exam, count, self.inputs) - 1
        row = ((x > 0) * 2 ** torch.arange(self.inputs)).sum(1)
        values = torch.tensor([self.table >> n & 1 for n in range(2**self.inputs)])
        return x, values[row]


BOOLEAN = {  # of x₀, x₁; bits: neither, x₀ alone, x₁ alone, both
    "and": 0b1000,
    "or": 0b1110,
    "xor": 0b0110,
    "nand": 0b0111,
    "nor": 0b0001,
    "nxor": 0b1001,
    "qand": 0b0100,  # x₁ alone, as in the BLUR paper
    "implies": 0b1101,
}


@dataclass(frozen=True)
class Moons:
    """Two half circles that reach into each other, turned by ``turn`` radians.

    Attributes:
        noise: standard deviation of both numbers, of a half circle of radius 1 before all is scaled by 1/1.5.
    """

    noise: float = 0.1
    turn: float = 0.0
    inputs = 2
    classes = 2

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        angle, side = _uniforms(stream, exam, 2, count)
        y = (side > 0.5).long()
        angle = math.pi * angle
        upper = torch.stack((angle.cos() - 0.5, angle.sin() - 0.25), 1)
        lower = torch.stack((0.5 - angle.cos(), 0.25 - angle.sin()), 1)
        x = torch.where(y[:, None] == 0, upper, lower) + self.noise * _normals(stream, exam, count, 2)
        return _turned(x / 1.5, self.turn), y


@dataclass(frozen=True)
class Circles:
    """A circle of radius 1/2 inside one of radius 1; class 1 is the inner one."""

    noise: float = 0.1
    inputs = 2
    classes = 2

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        angle, side = _uniforms(stream, exam, 2, count)
        y = (side > 0.5).long()
        angle, radius = 2 * math.pi * angle, 1 - 0.5 * y
        x = torch.stack((radius * angle.cos(), radius * angle.sin()), 1)
        return x + self.noise * _normals(stream, exam, count, 2), y


@dataclass(frozen=True)
class Disc:
    """Whether uniform numbers in [-1, 1]² lie in the disc around 0 that has half of that area."""

    inputs = 2
    classes = 2

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        x = 2 * _uniforms(stream, exam, count, 2) - 1
        return x, (x.square().sum(1) < 2 / math.pi).long()


@dataclass(frozen=True)
class Spirals:
    """Two spirals around 0, of ``turns`` turns each."""

    noise: float = 0.03
    turns: float = 1.0
    inputs = 2
    classes = 2

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        along, side = _uniforms(stream, exam, 2, count)
        y = (side > 0.5).long()
        radius = 0.1 + 0.9 * along.sqrt()
        angle = 2 * math.pi * self.turns * radius + math.pi * y
        x = torch.stack((radius * angle.cos(), radius * angle.sin()), 1)
        return x + self.noise * _normals(stream, exam, count, 2), y


def _turned(x: Tensor, angle: float) -> Tensor:
    cosine, sine = math.cos(angle), math.sin(angle)
    return x @ torch.tensor([[cosine, sine], [-sine, cosine]])
