"""Weights at birth: each row's from its own seed and the layer's name alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, sqrt

import torch
from torch import Tensor

from neuroplastic.errors import check_name
from neuroplastic.noise import normal, stream, uniform

SPARSITY = 0.8  # share of the weights from each unit that are 0


def _uniform(bound: Callable[[int, int], float]) -> Callable[[int, int, int], Tensor]:
    """U(-bound, bound), the bound a function of (I, O)."""

    def draw(source: int, inputs: int, outputs: int) -> Tensor:
        return bound(inputs, outputs) * (2 * uniform(source, outputs * inputs).view(outputs, inputs) - 1)

    return draw


def _normal(source: int, inputs: int, outputs: int) -> Tensor:
    return 0.024 * normal(source, outputs * inputs).view(outputs, inputs)


def _sparse(source: int, inputs: int, outputs: int) -> Tensor:
    """N(0, 0.01²), but of the weights from each unit a share is 0, chosen evenly (Martens 2010), as torch has it."""
    weights = 0.01 * normal(source, outputs * inputs).view(outputs, inputs)
    order = uniform(stream(source, "zeros"), outputs * inputs).view(outputs, inputs).argsort(dim=0)
    return weights.scatter(0, order[: ceil(SPARSITY * outputs)], 0.0)


# name -> (stream, I, O) -> weights [O, I]
DISTRIBUTIONS: dict[str, Callable[[int, int, int], Tensor]] = {
    "uniform": _uniform(lambda inputs, outputs: 0.1),
    "uniform-1": _uniform(lambda inputs, outputs: 1.0),
    "normal": _normal,
    "xavier-uniform": _uniform(lambda inputs, outputs: sqrt(6 / (inputs + outputs))),
    "kaiming-uniform": _uniform(lambda inputs, outputs: sqrt(6 / inputs)),
    "sparse": _sparse,
    "ones": lambda source, inputs, outputs: torch.ones(outputs, inputs),
    "zeros": lambda source, inputs, outputs: torch.zeros(outputs, inputs),
}
EVOLVED = "evolved"  # no distribution: the weights at birth are part of the genome
EVOLVED_NORMAL = "evolved-normal"  # a normal distribution whose mean and log-spread are part of the genome


def draw(distribution: str, layer: str, inputs: int, outputs: int, seeds: Sequence[int]) -> Tensor:
    """Weights at birth, float32 [B, O, I].

    Args:
        distribution: one of `DISTRIBUTIONS`.
        layer: its name; two layers of one row draw from different streams.
        seeds: one for each row [B].

    Raises:
        UnknownNameError: no such distribution.
    """
    check_name("initial", distribution, DISTRIBUTIONS)
    weights = torch.empty(len(seeds), outputs, inputs)
    for row, seed in enumerate(seeds):
        weights[row] = DISTRIBUTIONS[distribution](stream(seed, "birth", layer), inputs, outputs)
    return weights


def draw_normal(
    mean: Tensor, log_spread: Tensor, layer: str, inputs: int, outputs: int, seeds: Sequence[int]
) -> Tensor:
    """Weights at birth by an evolved normal distribution: w_ij = μ + exp(s) ε_ij, ε ~ N(0, 1) float32, [B, O, I].

    Args:
        mean: μ of the layer of each row [B].
        log_spread: s [B].
        layer, seeds: as of `draw`.
    """
    noise = [normal(stream(seed, "birth", layer), outputs * inputs).view(outputs, inputs) for seed in seeds]
    noise = torch.stack(noise) if noise else torch.empty(0, outputs, inputs)
    return mean[:, None, None] + log_spread.exp()[:, None, None] * noise
