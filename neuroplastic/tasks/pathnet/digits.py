"""Handwritten digits as the paper has its own: some classes of them, with salt-and-pepper noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import stream, uniform
from neuroplastic.tasks.data.digits import digits
from neuroplastic.tasks.pathnet.supervised import Examples, SupervisedTask, classes

TEST = 4  # every fourth digit is for tests


def digit_tasks(
    *labels: Sequence[int] | None, noise: float = 0.5, batch: int = 16, shared: bool = False
) -> list[SupervisedTask]:
    """A task for each group of digits, such as ``(0, 1), (2, 3)``; None: all ten. Test digits occur in its exam alone.

    Raises:
        ArgumentError: a group has fewer than two digits, one twice, or what is none; noise is not in [0, 1].
        MissingExtraError: scikit-learn is not installed.
    """
    made = []
    for group in labels:
        name = "digits " + ("all" if group is None else " ".join(map(str, group)))
        chosen = None if group is None else tuple(group)
        task = classes(name, *_half(test=False), chosen, noise=noise, batch=batch, shared=shared)
        made.append(replace(task, exam=partial(digit_test, chosen, noise)))
    return made


def digit_test(labels: Sequence[int] | None, noise: float, source: int, copies: int = 4) -> tuple[Tensor, Tensor]:
    """Test digits of a group, each ``copies`` times with noise of its own: x [N, 64], y [N]."""
    task = classes("test", *_half(test=True), None if labels is None else tuple(labels), noise=noise)
    assert isinstance(task.draw, Examples)
    return task.draw.every(source, copies)


def digit_groups(seed: int, groups: int, digits: int) -> list[tuple[int, ...]]:
    """So many groups of so many digits drawn from a seed, no digit twice.

    Raises:
        ArgumentError: there are not so many digits.
    """
    check_range("groups", groups, low=1)
    check_range("digits", digits, low=2, high=10 // groups)
    drawn = uniform(stream(seed, "digits"), 10).argsort(stable=True).tolist()
    return [tuple(drawn[digits * number : digits * (number + 1)]) for number in range(groups)]


def digit_pairs(seed: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two pairs of digits drawn from a seed, of four different ones."""
    (a, b), (c, d) = digit_groups(seed, 2, 2)
    return (a, b), (c, d)


def _half(test: bool) -> tuple[Tensor, Tensor]:
    x, y = digits()
    chosen = (torch.arange(len(y)) % TEST == 0) == test
    return x[chosen], y[chosen]
