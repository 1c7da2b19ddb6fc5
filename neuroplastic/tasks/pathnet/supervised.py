"""Classes to be told apart: fitness is the accuracy over all minibatches of a trial, each met before it is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.noise import stream, uniform
from neuroplastic.pathnet.network import Subnetwork, Tensors
from neuroplastic.tasks.pathnet.base import Predict

Exam = Callable[[int], tuple[Tensor, Tensor]]
"""stream -> test examples, none of which is ever learned: x [n, *inputs], y int64 [n]."""
Draw = Callable[[int, int, int], tuple[Tensor, Tensor]]
"""(stream, n, start) -> examples start..start+n of the stream: x [n, *inputs], y int64 [n]."""


@dataclass
class SupervisedTask:
    """Minibatches, each of fresh examples.

    Attributes:
        name: of the task.
        inputs: shape of an example.
        outputs: classes.
        draw: makes examples.
        batch: B, examples of one path in a step.
        shared: all paths of a trial are shown the same minibatches.
        exam: makes test examples; None: there are none.

    Raises:
        ArgumentError: batch is below 1.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: int
    draw: Draw
    batch: int = 16
    shared: bool = False
    exam: Exam | None = None

    def __post_init__(self) -> None:
        check_range("batch", self.batch, low=1)

    def trial(self, paths: int, stream: int) -> SupervisedTrial:
        return SupervisedTrial(self, paths, stream)

    def score(self, predict: Predict, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Accuracy on the test examples of each seed: [E].

        Raises:
            ArgumentError: the task has none.
        """
        if self.exam is None:
            raise ArgumentError(f"task {self.name!r}: expected one with test examples; got one without")
        return np.array([accuracy(predict(x), y) for x, y in map(self.exam, seeds)], np.float64)


class SupervisedTrial:
    """A `Trial` of P paths."""

    def __init__(self, task: SupervisedTask, paths: int, stream: int) -> None:
        self.task, self.stream, self.step = task, stream, 0
        self._sets = 1 if task.shared else paths
        self._right = torch.zeros(paths, dtype=torch.int64)

    def minibatch(self) -> tuple[Tensor, Tensor]:
        """The present step's x [P, B, *inputs] and y [P, B]; P = 1 if all paths share it."""
        count = self._sets * self.task.batch
        x, y = self.task.draw(self.stream, count, self.step * count)
        return x.unflatten(0, (self._sets, self.task.batch)), y.view(self._sets, self.task.batch)

    def gradients(self, network: Subnetwork) -> Tensors:
        x, y = self.minibatch()
        outputs, y = network.forward(x), y.expand(network.paths, -1)
        losses = nn.functional.cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="none").view_as(y).mean(1)
        self._right += (outputs.detach().argmax(2) == y).sum(1)
        self._right[~losses.detach().isfinite()] = -(2**62)  # what has diverged stays failed
        self.step += 1
        return network.gradients(losses)

    def fitness(self) -> NDArray[np.float64]:
        accuracy = self._right.double() / max(1, self.step * self.task.batch)
        return torch.where(self._right < 0, torch.nan, accuracy).numpy()

    @property
    def examples(self) -> int:
        return len(self._right) * self.step * self.task.batch


@dataclass
class Examples:
    """A `Draw` from a data set, evenly, with salt-and-pepper noise.

    Attributes:
        x: [N, *inputs].
        y: classes, int64 [N], 0 <= y.
        noise: the share of the numbers of x that are replaced, evenly by ``low`` or ``high``; anew each time.
        low, high: pepper and salt.

    Raises:
        ShapeError: x and y differ in length.
        ArgumentError: there are none, or noise is not in [0, 1].
    """

    x: Tensor
    y: Tensor
    noise: float = 0.0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_shape("y", self.y, [len(self.x)])
        check_range("examples", len(self.x), low=1)
        check_range("noise", self.noise, low=0, high=1)

    def __call__(self, source: int, count: int, start: int) -> tuple[Tensor, Tensor]:
        chosen = (uniform(stream(source, "examples"), count, start).double() * len(self.x)).long()
        return self._noisy(self.x[chosen], source, start), self.y[chosen]

    def every(self, source: int, copies: int = 1) -> tuple[Tensor, Tensor]:
        """All examples in their order, so many times, each with noise of its own: for tests."""
        x, y = self.x.repeat(copies, *(1 for _ in self.x.shape[1:])), self.y.repeat(copies)
        return self._noisy(x, source, 0), y

    def _noisy(self, x: Tensor, source: int, start: int) -> Tensor:
        return salted(x, self.noise, source, start, self.low, self.high)


def salted(x: Tensor, noise: float, source: int, start: int = 0, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Examples start..start+n of a stream, [n, *inputs], with ``noise`` of their numbers ``low`` or ``high``."""
    if not noise:
        return x
    drawn = uniform(stream(source, "noise"), x.numel(), start * x[0].numel()).view_as(x)
    return x.masked_fill(drawn < noise / 2, low).masked_fill(drawn > 1 - noise / 2, high)


def classes(
    name: str,
    x: Tensor,
    y: Tensor,
    labels: tuple[int, ...] | None = None,
    *,
    noise: float = 0.0,
    batch: int = 16,
    shared: bool = False,
) -> SupervisedTask:
    """Some classes of a data set, numbered from 0 in the order of ``labels``; None: all, in their own order.

    >>> digits = torch.rand(6, 64), torch.tensor([3, 1, 4, 1, 5, 9])
    >>> classes("1 or 5", *digits, labels=(1, 5)).outputs
    2

    Raises:
        ArgumentError: fewer than two labels, one twice, or one that is not in the data.
    """
    there = sorted(set(y.tolist()))
    labels = tuple(there) if labels is None else labels
    if len(labels) < 2 or len(set(labels)) < len(labels) or not set(labels) <= set(there):
        raise ArgumentError(f"labels: expected two or more distinct ones of {there}; got {[*labels]}")
    kept = torch.isin(y, torch.tensor(labels))
    number = torch.zeros(max(there) + 1, dtype=torch.int64)
    number[list(labels)] = torch.arange(len(labels))
    draw = Examples(x[kept], number[y[kept]], noise)
    return SupervisedTask(name, tuple(x.shape[1:]), len(labels), draw, batch, shared)


def accuracy(outputs: Tensor, y: Tensor) -> float:
    """The share of outputs [B, O] whose largest one is the class y [B]."""
    return float((outputs.argmax(1) == y).double().mean())


def unseen(draw: Draw, count: int, source: int) -> tuple[Tensor, Tensor]:
    """Test examples of what never runs out of examples: those of a stream that no trial has."""
    return draw(stream(source, "exam"), count, 0)
