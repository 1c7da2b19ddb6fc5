"""Data sets of torchvision, read where they lie: nothing is downloaded."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, require


def vision(name: str, root: str, **options: Any) -> tuple[Tensor, Tensor]:
    """All pictures of a data set: x float32 [N, I] in [-1, 1], y int64 [N].

    Args:
        name: of a class in `torchvision.datasets`, such as "MNIST".
        root: folder in which torchvision finds its files.
        options: its other keyword arguments, such as ``train=False`` or ``split="letters"``.

    Raises:
        MissingExtraError: torchvision is not installed.
        ArgumentError: it has no such data set, or its files are not there.
    """
    datasets = require("torchvision.datasets", "torchvision")
    kind = getattr(datasets, name, None)
    if not isinstance(kind, type):
        raise ArgumentError(f"name: expected a data set of torchvision, such as 'MNIST'; got {name!r}")
    if "download" in signature(kind).parameters:
        options = {**options, "download": False}
    try:
        samples = kind(root=root, **options)
    except (RuntimeError, FileNotFoundError) as error:
        raise ArgumentError(
            f"root: expected a folder with the files of {name}; there are none in {root!r}, and nothing is downloaded "
            f"unasked. To fetch them once: torchvision.datasets.{name}({root!r}, download=True) ({error})"
        ) from error
    pictures = [np.asarray(picture, np.float32).ravel() / 127.5 - 1 for picture, _ in samples]
    return torch.from_numpy(np.stack(pictures)), torch.tensor([int(label) for _, label in samples])
