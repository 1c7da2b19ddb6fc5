"""Handwritten digits as the paper has its own: some classes of them, with salt-and-pepper noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neuroplastic.noise import stream, uniform
from neuroplastic.tasks.data.digits import digits
from neuroplastic.tasks.pathnet.supervised import Examples, SupervisedTask, classes

TEST = 4  # every fourth digit is for tests


def digit_tasks(
    *labels: Sequence[int] | None, noise: float = 0.5, batch: int = 16, shared: bool = False
) -> list[SupervisedTask]:
    """A task for each group of digits, such as ``(0, 1), (2, 3)``; None: all ten. Test digits never occur.

    Raises:
        ArgumentError: a group has fewer than two digits, one twice, or what is none; noise is not in [0, 1].
        MissingExtraError: scikit-learn is not installed.
    """
    x, y = _half(test=False)
    names = ["digits " + ("all" if group is None else " ".join(map(str, group))) for group in labels]
    return [
        classes(name, x, y, None if group is None else tuple(group), noise=noise, batch=batch, shared=shared)
        for name, group in zip(names, labels, strict=True)
    ]


def digit_test(labels: Sequence[int] | None, noise: float, source: int, copies: int = 4) -> tuple[Tensor, Tensor]:
    """Test digits of a group, each ``copies`` times with noise of its own: x [N, 64], y [N]."""
    task = classes("test", *_half(test=True), None if labels is None else tuple(labels), noise=noise)
    assert isinstance(task.draw, Examples)
    return task.draw.every(source, copies)


def digit_pairs(seed: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two pairs of digits drawn from a seed, of four different ones."""
    a, b, c, d = uniform(stream(seed, "digits"), 10).argsort(stable=True)[:4].tolist()
    return (a, b), (c, d)


def _half(test: bool) -> tuple[Tensor, Tensor]:
    x, y = digits()
    chosen = (torch.arange(len(y)) % TEST == 0) == test
    return x[chosen], y[chosen]
