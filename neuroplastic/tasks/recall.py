"""A genome of the recall rule is tried by how many snippets its networks remember."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range
from neuroplastic.genome import Layout
from neuroplastic.learned.base import State
from neuroplastic.learned.recall import Recall
from neuroplastic.noise import stream
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.batches import batches, evaluation
from neuroplastic.tasks.data import Snippets
from neuroplastic.tasks.statistics import Statistics


@dataclass
class RecallTask:
    """A life is ``length`` snippets, one after the other; then the network is given a cue of each.

    Fitness is the share of the missing numbers that it says rightly, by their sign. The loss is the mean of (said -
    snippet)² over the missing numbers.

    Attributes:
        rule: whose genomes are tried.
        snippets: as long as the rule has neurons.
        length: S.
        batch: members side by side.
        dtype, device: of everything.

    Raises:
        ArgumentError: a number is out of its range, or snippets do not fit the rule.
    """

    rule: Recall
    snippets: Snippets
    length: int = 8
    batch: int = 8
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_range("task.length", self.length, low=1)
        check_range("task.batch", self.batch, low=1)
        if self.snippets.length != len(self.rule.types):
            raise ArgumentError(
                f"snippets: expected as many numbers as the rule has neurons, {len(self.rule.types)}; "
                f"got {self.snippets.length}"
            )
        if not int(self.snippets.missing * self.snippets.length):
            raise ArgumentError(f"snippets: expected something to be missing in cues; got {self.snippets}")

    @property
    def layout(self) -> Layout:
        return self.rule.layout

    def begin(self, genomes: Tensor, seeds: NDArray[np.int64]) -> State:
        """Networks that have seen nothing, one for each of genomes [p, D]; what they will see is drawn when they do."""
        return self.rule.birth(genomes, 1)

    def advance(
        self, state: State, genomes: Tensor, seeds: NDArray[np.int64], start: int, updates: int, *, every: bool = False
    ) -> tuple[State, Tensor]:
        """The networks some snippets later, and their loss over all seen so far [p, 1], or after each [p, updates]."""
        marks = range(start + 1, start + updates + 1) if every else [start + updates]
        state, loss, _ = self._live(state, genomes, seeds, start, marks)
        return state, loss

    def report(self, genomes: Tensor, seeds: NDArray[np.int64], marks: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Loss and accuracy [p, M] over all seen after so many snippets, ascending. Seeds [p], or [1]."""
        genomes = genomes.to(self.device, self.dtype)
        return self._live(self.begin(genomes, seeds), genomes, seeds, 0, marks)[1:]

    def evaluate(
        self,
        population: Population,
        index: Sequence[int],
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
    ) -> Evaluation:
        fitness = np.full(seeds.shape, np.nan)
        for (here, episode), genomes, own in batches(self, population, index, seeds):
            with torch.inference_mode():
                loss, accuracy = self.report(genomes, own, [self.length])
            good = torch.where(loss.isfinite(), accuracy, torch.nan)[:, 0]
            fitness[here, episode] = good[: here.stop - here.start].double().cpu()
        return evaluation(fitness, self.length)

    def close(self) -> None: ...

    def _live(
        self, state: State, genomes: Tensor, seeds: NDArray[np.int64], start: int, marks: Sequence[int]
    ) -> tuple[State, Tensor, Tensor]:
        drawn = [self.snippets.draw(stream(int(seed), "recall"), max(marks)) for seed in seeds]
        seen, cues = (torch.stack(part).unsqueeze(1).to(genomes) for part in zip(*drawn, strict=True))
        losses, accuracies = [], []
        for mark in marks:
            state = self.rule.observe(genomes, state, seen[:, :, start:mark])
            said, known = self.rule.recall(genomes, state, cues[:, :, :mark]), seen[:, :, :mark]
            missing = (cues[:, :, :mark] == 0).to(said)
            total = missing.sum((1, 2, 3))
            losses.append(((said - known).square() * missing).sum((1, 2, 3)) / total)
            accuracies.append(((said.detach() * known > 0).to(said) * missing).sum((1, 2, 3)) / total)
            start = mark
        return state, torch.stack(losses, 1), torch.stack(accuracies, 1)
