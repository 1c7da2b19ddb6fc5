"""A source of samples to learn, and what networks are told of labels."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape


class Source(Protocol):
    """Where lessons and exams come from. Small, picklable, and the same samples for the same stream."""

    @property
    def inputs(self) -> int:
        """I, numbers in a sample."""
        ...

    @property
    def classes(self) -> int: ...

    def draw(self, stream: int, count: int, *, exam: bool) -> tuple[Tensor, Tensor]:
        """Samples x float32 [count, I] and labels y int64 [count] in 0..classes - 1, by a stream of `noise`.

        What is drawn for an exam is never drawn for a lesson, be it by the same stream.
        """
        ...


def outputs(classes: int) -> int:
    """O, units that tell so many classes: one each, or a single one whose sign tells two."""
    check_range("classes", classes, low=2)
    return 1 if classes == 2 else classes


def targets(labels: Tensor, classes: int) -> Tensor:
    """Labels [...] -> what each output should be [..., O]: 1 for its class, else -1. float32.

    Raises:
        ArgumentError: a label is not in 0..classes - 1.
    """
    units = outputs(classes)
    if labels.is_floating_point() or bool(((labels < 0) | (labels >= classes)).any()):
        found = sorted(set(labels.ravel().tolist()))
        raise ArgumentError(f"labels: expected integers from 0 to {classes - 1}; got {found}")
    if units == 1:
        return (2 * labels - 1).unsqueeze(-1).float()
    return 2 * torch.nn.functional.one_hot(labels, classes).float() - 1


def check_samples(x: Tensor, y: Tensor) -> None:
    """Raises `ShapeError` unless there is a label [N] for each sample [N, I]."""
    check_shape("x", x, ["N", "I"])
    check_shape("y", y, [len(x)])
