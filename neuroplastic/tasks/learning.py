"""A genome of an update rule is tried by what fresh networks learn with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import check_name, check_range
from neuroplastic.genome import Layout
from neuroplastic.learned.base import State, UpdateRule, is_right
from neuroplastic.noise import stream
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.batches import batches, evaluation
from neuroplastic.tasks.data import targets
from neuroplastic.tasks.families import Family, Lesson
from neuroplastic.tasks.statistics import Statistics

FITNESS = ("accuracy", "loss", "area")


@dataclass(frozen=True)
class Report:
    """What p genomes' networks reach in L lessons after M numbers of updates.

    Attributes:
        accuracy: [p, L, M], share of the exam that is right.
        loss: [p, L, M], mean of (output - target)², differentiable if genomes are.
        finite: [p], whether all synapses and outputs are.
    """

    accuracy: Tensor
    loss: Tensor
    finite: Tensor


@dataclass
class LearningTask:
    """Lessons of one part of a family; an episode's seed gives fresh networks, fresh samples and a fresh exam for each.

    Fitness is the mean over lessons. A member is tried beside others, always ``batch`` of them (rows that are missing
    are made up), and one episode after the other: so its numbers depend on nothing else.

    Attributes:
        rule: whose genomes are tried.
        family: what there is to learn.
        part: "train", "validation", "held-out" or "held-out-sizes".
        updates: T, how often a network learns.
        samples: B, samples in each update.
        exam: samples in an exam.
        fitness: "accuracy" after T updates, "loss": minus the loss after T updates, or "area": minus the mean of the
            loss after each.
        batch: members side by side.
        dtype: of everything in `evaluate` and `report`; `begin` and `advance` go by the genomes they get.
        device: where everything happens.

    Raises:
        ArgumentError: a number is out of its range.
        UnknownNameError: no such part or fitness.
    """

    rule: UpdateRule
    family: Family
    part: str = "train"
    updates: int = 10
    samples: int = 128
    exam: int = 256
    fitness: str = "accuracy"
    batch: int = 8
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("updates", "samples", "exam", "batch"):
            check_range(f"task.{name}", getattr(self, name), low=1)
        check_name("fitness", self.fitness, FITNESS)
        self.lessons = self.family.lessons(self.part)
        sizes = list(dict.fromkeys(lesson.sizes for lesson in self.lessons))
        self._groups = [[lesson for lesson in self.lessons if lesson.sizes == own] for own in sizes]
        self.lessons = [lesson for group in self._groups for lesson in group]
        self._drawn: dict[tuple[int, int | str], tuple[Tensor, Tensor]] = {}
        self._drawn_for = b""

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_drawn": {}, "_drawn_for": b""}

    @property
    def layout(self) -> Layout:
        return self.rule.layout

    @property
    def length(self) -> int:
        """Updates in a life: what `advance` may go on to."""
        return self.updates

    def begin(self, genomes: Tensor, seeds: NDArray[np.int64]) -> State:
        """Newborn networks for each lesson: genomes [p, D], seeds [p], or [1] for all the same."""
        state: State = {}
        for n, group in enumerate(self._groups):
            births = np.array(
                [[stream(int(seed), "birth", own.name) >> 1 for own in group] for seed in seeds], np.int64
            )
            newborn = self.rule.birth(genomes, group[0].sizes, births[0] if len(births) == 1 else births)
            state |= {f"{n}.{name}": array for name, array in newborn.items()}
        return state

    def advance(
        self, state: State, genomes: Tensor, seeds: NDArray[np.int64], start: int, updates: int, *, every: bool = False
    ) -> tuple[State, Tensor]:
        """The networks some updates later, and their mean loss in the exam then: [p, 1], or after each: [p, updates].

        Gradients flow from it to genomes and state.
        """
        marks = range(start + 1, start + updates + 1) if every else [start + updates]
        state, report = self._learn(state, genomes, seeds, start, marks)
        return state, report.loss.mean(1)

    def report(self, genomes: Tensor, seeds: NDArray[np.int64], marks: Sequence[int]) -> Report:
        """What genomes [p, D] reach after so many updates, ascending; 0: before the first. Seeds [p], or [1].

        Raises:
            ShapeError: genomes or seeds have another shape.
            ArgumentError: labels are out of range.
        """
        genomes = genomes.to(self.device, self.dtype)
        return self._learn(self.begin(genomes, seeds), genomes, seeds, 0, marks)[1]

    def evaluate(
        self,
        population: Population,
        index: Sequence[int],
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
    ) -> Evaluation:
        marks = range(1, self.updates + 1) if self.fitness == "area" else [self.updates]
        names = [f"accuracy_{lesson.name}" for lesson in self.lessons]
        fitness = np.full(seeds.shape, np.nan)
        accuracy = np.full((len(names), *seeds.shape), np.nan)
        for (here, episode), genomes, own in batches(self, population, index, seeds):
            with torch.inference_mode():
                report = self.report(genomes, own, marks)
            right = report.accuracy.mean(1)[:, -1] if self.fitness == "accuracy" else -report.loss.mean((1, 2))
            good = torch.where(report.finite & right.isfinite(), right, torch.nan)
            number = here.stop - here.start
            fitness[here, episode] = good[:number].double().cpu()
            accuracy[:, here, episode] = report.accuracy[:number, :, -1].T.double().cpu()
        return evaluation(fitness, self.updates * len(self.lessons), dict(zip(names, accuracy, strict=True)))

    def close(self) -> None:
        self._drawn.clear()

    def _learn(
        self, state: State, genomes: Tensor, seeds: NDArray[np.int64], start: int, marks: Sequence[int]
    ) -> tuple[State, Report]:
        """From update ``start`` on to the last of the marks."""
        parts = [self._learn_group(n, _own(state, n), genomes, seeds, start, marks) for n, _ in enumerate(self._groups)]
        states = {f"{n}.{name}": array for n, (own, _) in enumerate(parts) for name, array in own.items()}
        accuracy, loss, finite = zip(*((own.accuracy, own.loss, own.finite) for _, own in parts), strict=True)
        return states, Report(torch.cat(accuracy, 1), torch.cat(loss, 1), torch.stack(finite).all(0))

    def _learn_group(
        self, group: int, state: State, genomes: Tensor, seeds: NDArray[np.int64], start: int, marks: Sequence[int]
    ) -> tuple[State, Report]:
        accuracy, loss, finite = [], [], torch.ones(len(genomes), dtype=torch.bool, device=genomes.device)
        wanted = set(marks)
        for update in range(start, max(marks) + 1):
            if update in wanted:
                x, y = self._samples(group, seeds, "exam", genomes)
                outputs = self.rule.predict(genomes, state, x)
                loss.append((outputs - y).square().mean((-2, -1)))
                accuracy.append(is_right(outputs.detach(), y).to(genomes.dtype).mean(-1))
                finite = finite & outputs.isfinite().all(-1).all(-1).all(-1)
            if update < max(marks):
                state = self.rule.learn(genomes, state, *self._samples(group, seeds, update, genomes))
        for array in state.values():
            finite = finite & array.detach().flatten(1).isfinite().all(1)
        return state, Report(torch.stack(accuracy, -1), torch.stack(loss, -1), finite)

    def _samples(self, group: int, seeds: NDArray[np.int64], which: int | str, like: Tensor) -> tuple[Tensor, Tensor]:
        """x [q, lessons, B, I] and targets [q, lessons, B, O] of an update or the exam; kept for these seeds."""
        if self._drawn_for != seeds.tobytes():
            self._drawn.clear()
            self._drawn_for = seeds.tobytes()
        if (group, which) not in self._drawn:
            exam = which == "exam"
            count, own = self.exam if exam else self.samples, self._groups[group]
            x, y = zip(*_draws(own, seeds, which, count, exam), strict=True)
            lead = len(seeds), len(own)
            self._drawn[group, which] = (
                torch.stack(x).unflatten(0, lead).to(self.device),
                torch.stack(y).unflatten(0, lead).to(self.device),
            )
        kept = self._drawn[group, which]
        return kept[0].to(like), kept[1].to(like)


def _draws(
    lessons: list[Lesson], seeds: NDArray[np.int64], which: int | str, count: int, exam: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    for seed in seeds:
        for lesson in lessons:
            x, labels = lesson.source.draw(stream(int(seed), "samples", lesson.name, which), count, exam=exam)
            yield x, targets(labels, lesson.source.classes)


def _own(state: State, group: int) -> State:
    prefix = f"{group}."
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
