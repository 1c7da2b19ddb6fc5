"""Members of a population side by side: what tasks of learning try in one go, and what they say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import check_shape
from neuroplastic.genome import Layout
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation

DIVERGED = "diverged"


class Batched(Protocol):
    """What the tasks that are tried so have."""

    batch: int
    dtype: torch.dtype
    device: str

    @property
    def layout(self) -> Layout: ...


def batches(
    task: Batched, population: Population, index: Sequence[int], seeds: NDArray[np.int64]
) -> Iterator[tuple[tuple[slice, int], Tensor, NDArray[np.int64]]]:
    """Members of one episode after the other, always ``task.batch`` of them: rows that are missing are made up.

    Yields:
        (where they belong in [p, E], genomes [batch, D], seeds [batch], or [1] if they are all the same)

    Raises:
        ShapeError: seeds are not [p, E], or genomes not as long as the task's.
    """
    check_shape("seeds", seeds, [len(index), "E"])
    rows = population.rows(index).to(task.device, task.dtype)
    check_shape("genomes", rows, [len(index), task.layout.size])
    for episode in range(seeds.shape[1]):
        for start in range(0, len(index), task.batch):
            here = slice(start, min(start + task.batch, len(index)))
            own, members = seeds[here, episode], rows[here]
            own = own[:1] if (own == own[0]).all() else np.resize(own, task.batch)
            missing = task.batch - len(members)
            yield (here, episode), torch.cat((members, members[-1:].expand(missing, -1))), own


def evaluation(
    fitness: NDArray[np.float64], steps: int, measures: Mapping[str, NDArray[np.float64]] | None = None
) -> Evaluation:
    """Of fitness [p, E], NaN where a network's numbers ran away; so many steps in each trial."""
    failed = int(np.isnan(fitness).sum())
    return Evaluation(
        fitness, np.full(fitness.shape, steps, np.int64), measures or {}, {DIVERGED: failed} if failed else {}
    )
