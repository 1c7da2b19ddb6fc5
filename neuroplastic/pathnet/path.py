"""A path: in each layer, up to N of the M modules. Its genes are integers [L, N]; one that comes twice counts once."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import uniform


def random_paths(count: int, layers: int, genes: int, modules: int, stream: int) -> Tensor:
    """Paths whose genes are drawn evenly from 0..M-1: int64 [count, L, N].

    Raises:
        ArgumentError: N is not in 1..M, or another number is below 1.
    """
    for name, number in {"count": count, "layers": layers, "modules": modules}.items():
        check_range(name, number, low=1)
    check_range("genes", genes, low=1, high=modules)
    drawn = uniform(stream, count * layers * genes).double().view(count, layers, genes)
    return (drawn * modules).long()


def active(paths: Tensor, modules: int) -> Tensor:
    """Which modules are on each path: int64 [..., L, N] -> bool [..., L, M]."""
    return torch.zeros(*paths.shape[:-1], modules, dtype=torch.bool).scatter(-1, paths, True)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """How many modules two paths [..., L, M] have in common in each layer: int64 [..., L]."""
    return (one & other).sum(-1)
