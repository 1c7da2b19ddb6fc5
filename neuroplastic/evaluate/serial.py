"""Trials run in this process."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroplastic.evaluate.base import Evaluator, Progress, seeds_of_all
from neuroplastic.evaluate.trials import block_size
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation, Task
from neuroplastic.tasks.statistics import Statistics


class SerialEvaluator(Evaluator):
    """One block of members after the other, here."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def evaluate(
        self,
        population: Population,
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        seeds, parts = seeds_of_all(population, seeds), []
        total, size = len(population), block_size(len(population), self.task.batch)
        for start in range(0, total, size):
            block = range(start, min(start + size, total))
            parts.append(self.task.evaluate(population, block, seeds[block.start : block.stop], shared))
            if progress is not None:
                progress(block.stop, total)
        return Evaluation.concatenate(parts)

    def close(self) -> None:
        self.task.close()
