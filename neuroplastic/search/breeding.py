"""Selection, crossover and mutation: fitness [N] or genomes [..., D] and a stream of `neuroplastic.noise` -> new ones.

Nothing is changed in place, and one stream always gives the same. NaN fitness ranks last. Integers and bits travel as
floats with whole values.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic import noise
from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.search.shaping import centered_rank

# ---------------------------------------------------------------- selection


def fittest(fitness: npt.ArrayLike | Tensor) -> Tensor:
    """All N members, the fittest first and the earlier first among equals: int64 [N]."""
    return torch.from_numpy(np.argsort(-_standing(fitness), kind="stable"))


def winners(fitness: npt.ArrayLike | Tensor, entrants: Tensor) -> Tensor:
    """The fittest of each tournament, the first one among equals.

    Args:
        fitness: [N].
        entrants: members, int64 [..., size].

    Returns:
        Members, int64 [...].
    """
    places = _standing(fitness)[entrants.numpy()].argmax(axis=-1)
    return entrants.gather(-1, torch.from_numpy(places)[..., None])[..., 0]


def tournament(fitness: npt.ArrayLike | Tensor, count: int, size: int, stream: int) -> Tensor:
    """Winners of ``count`` tournaments, each of ``size`` members drawn with replacement: int64 [count].

    The r-th worst of N is chosen with probability (r/N)^size - ((r - 1)/N)^size.

    Raises:
        ArgumentError: there is no member, or size is below 1.
    """
    check_range("size", size, low=1)
    return winners(fitness, _members(len(_standing(fitness)), count * size, stream).reshape(count, size))


def truncation(fitness: npt.ArrayLike | Tensor, count: int, share: float, stream: int) -> Tensor:
    """``count`` of the ⌈share · N⌉ fittest, drawn evenly with replacement: int64 [count].

    Raises:
        ArgumentError: there is no member, or share is not in (0, 1].
    """
    check_range("share", share, low=0, high=1, above=True)
    best = fittest(fitness)
    return best[_members(math.ceil(share * len(best)), count, stream)]


# ---------------------------------------------------------------- crossover and mutation


def uniform_crossover(one: Tensor, other: Tensor, stream: int) -> Tensor:
    """Each gene from either of two parents, evenly: [..., D]."""
    return torch.where(_draw(noise.uniform, one, stream) < 0.5, one, other)


def mutate_gaussian(genomes: Tensor, rate: float, sigma: float, stream: int) -> Tensor:
    """Each gene plus N(0, σ²), with probability ``rate``."""
    values = noise.stream(stream, "value")
    return _mutated(genomes, rate, stream, lambda genes: genes + sigma * _draw(noise.normal, genes, values))


def mutate_integer(
    genomes: Tensor, rate: float, lower: int, upper: int, stream: int, step: int | None = None
) -> Tensor:
    """Each gene set to another one of the integers lower..upper, with probability ``rate``.

    Args:
        step: the other ones are at most so far away; None: as far as there are any. All are equally probable.

    Raises:
        ArgumentError: lower is not below upper, they are too far apart to be drawn evenly, or step is below 1.
    """
    if not 0 < upper - lower <= 2**22:
        raise ArgumentError(f"lower, upper: expected lower < upper <= lower + 4194304; got {lower} and {upper}")
    reach = upper - lower if step is None else step
    check_range("step", reach, low=1)

    def another(genes: Tensor) -> Tensor:
        old = genes.double().clamp(lower, upper)
        low, high = (old - reach).clamp(min=lower), (old + reach).clamp(max=upper)
        new = low + (_draw(noise.uniform, old, noise.stream(stream, "value")) * (high - low)).floor()
        return (new + (new >= old)).to(genes.dtype)  # the old one is left out

    return _mutated(genomes, rate, stream, another)


def mutate_bits(genomes: Tensor, rate: float, stream: int) -> Tensor:
    """Each gene h becomes 1 - h, with probability ``rate``."""
    return _mutated(genomes, rate, stream, lambda genes: 1 - genes)


def _mutated(genomes: Tensor, rate: float, stream: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """``change`` of each gene [n] that is chosen: random numbers are drawn for these alone."""
    check_range("rate", rate, low=0, high=1)
    if rate == 1:
        return change(genomes)
    chosen = _draw(noise.uniform, genomes, noise.stream(stream, "which")) < rate
    mutated = genomes.clone()
    mutated[chosen] = change(genomes[chosen])
    return mutated


def _standing(fitness: npt.ArrayLike | Tensor) -> npt.NDArray[np.float64]:
    """Higher is fitter, equal for equals, never NaN: [N]."""
    numbers = np.asarray(fitness, np.float64)
    check_shape("fitness", numbers, ["N"])
    return centered_rank(numbers)


def _members(population: int, count: int, stream: int) -> Tensor:
    """Members 0 <= i < population, evenly: int64 [count]."""
    check_range("members", population, low=1)
    return (noise.uniform(stream, count).double() * population).long()


def _draw(what: Callable[[int, int], Tensor], genomes: Tensor, stream: int) -> Tensor:
    """A number for each gene: [..., D]."""
    return what(stream, genomes.numel()).to(genomes).reshape(genomes.shape)
