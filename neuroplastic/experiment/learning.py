"""How good an evolved update rule is: what fresh networks learn with it, of things that no evolution has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import ceil
from typing import Any

from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.evaluate.base import Progress
from neuroplastic.experiment.curves import Curve
from neuroplastic.experiment.grid import TOGETHER, Choice, Grid, choose, right_answers
from neuroplastic.noise import episode_seeds
from neuroplastic.tasks.families import Family
from neuroplastic.tasks.learning import LearningTask

MARKS = (1, 2, 5, 10, 20, 50, 100)
EXAM = 1024
"""Samples in an exam: so many that networks differ, not their exams."""

PARTS = ("train", "held-out", "held-out-sizes")


@dataclass(frozen=True, eq=False)
class LearningScores:
    """What learners reach in E episodes: networks, samples and exams are fresh in each, samples the same for all.

    A network whose numbers ran away says nothing that is right.

    Attributes:
        updates: that the agent was evolved for.
        curves: part -> lesson -> learner -> accuracy [E, M]. Parts are "train"; "held-out": tasks that nothing was
            evolved on; and "held-out-sizes", where the family has some: both in networks of other sizes. Learners are
            "agent" and, unless they were not asked for, "SGD" and "Adam".
        failed: part -> episodes in which a network of the agent ran away.
        chosen: baseline -> what was chosen for each mark.
    """

    updates: int
    curves: Mapping[str, Mapping[str, Mapping[str, Curve]]]
    failed: Mapping[str, int]
    chosen: Mapping[str, Sequence[Choice]]

    @property
    def marks(self) -> tuple[int, ...]:
        first, *_ = self.curves.values()
        return next(iter(first.values()))["agent"].marks

    @property
    def learners(self) -> list[str]:
        return ["agent", *self.chosen]

    def mean(self, part: str, learner: str) -> Curve:
        """Over the lessons of a part."""
        return Curve.mean_of([learners[learner] for learners in self.curves[part].values()])

    def tables(self, part: str, learner: str) -> dict[str, dict[str, list[float]]]:
        """Lesson -> updates -> mean, low, high."""
        return {lesson: learners[learner].summary() for lesson, learners in self.curves[part].items()}

    def summary(self) -> dict[str, Any]:
        """Plain values; accuracy is part -> learner -> lesson -> updates -> mean, low, high."""
        return {
            "updates": self.updates,
            "accuracy": {
                part: {learner: self.tables(part, learner) for learner in self.learners} for part in self.curves
            },
            "failed": dict(self.failed),
            "chosen": {
                name: {str(mark): str(choice) for mark, choice in zip(self.marks, choices, strict=True)}
                for name, choices in self.chosen.items()
            },
        }


def score_learning(
    task: LearningTask,
    genome: Tensor,
    *,
    episodes: int,
    seed: int = 0,
    progress: Progress | None = None,
    baselines: bool = True,
    grid: Grid | None = None,
    parts: Sequence[str] = PARTS,
    marks: Sequence[int] = MARKS,
) -> LearningScores:
    """An update rule on what it was evolved on and on what not, beside SGD and Adam at the best of a grid.

    Args:
        task: that the rule was evolved in: its family, samples in an update, precision and device.
        genome: [D].
        episodes: E, of each part.
        seed: chooses them.
        progress: told how many steps are done, and of how many.
        baselines: whether SGD and Adam are tried; they take nearly all the time.
        grid: what SGD and Adam are chosen from, for each mark by what is right on meta-validation; by default the 360
            forms of `Grid` in 4 episodes.
        parts: what is tried, of `PARTS`; other sizes only where the family has some.
        marks: numbers of updates, ascending, after which there is an exam.

    Raises:
        ArgumentError: a number is out of its range, or the family has none of the parts.
        ShapeError: the genome has another length than the rule's.
    """
    check_range("episodes", episodes, low=1)
    check_shape("genome", genome, [task.layout.size])
    marks = tuple(marks)
    judged, grid = _judged(task.family, parts), grid or Grid()
    if not judged:
        raise ArgumentError(f"parts: expected some of {', '.join(PARTS)} that the family has; got {list(parts)}")
    kinds = 1 + (len(grid.forms()) if baselines else 0)
    total = ceil(episodes / TOGETHER) * kinds * sum(map(len, judged.values())) + (grid.steps if baselines else 0)
    done = count(1)

    def tick() -> None:
        if progress:
            progress(next(done), total)

    long = replace(task, updates=max(marks), exam=max(EXAM, task.exam))
    chosen = choose(replace(long, part="validation"), grid, marks, seed, tick) if baselines else {}
    learners = {"agent": [Choice(task.rule, tuple(genome.tolist()))] * len(marks), **chosen}
    seeds = episode_seeds(seed, "test", 0, episodes)
    curves: dict[str, dict[str, dict[str, Curve]]] = {}
    failed = {}
    for part, places in judged.items():
        own, sound = curves.setdefault(part, {}), seeds >= 0
        for family, of in places:
            tried = replace(long, family=family, part=of)
            for learner, choices in learners.items():
                right, finite = right_answers(tried, choices, marks, seeds, tick)
                for number, lesson in enumerate(tried.lessons):
                    own.setdefault(lesson.name, {})[learner] = Curve(marks, right[:, number])
                if learner == "agent":
                    sound = sound & finite
        failed[part] = int((~sound).sum())
    return LearningScores(task.updates, curves, failed, chosen)


def _judged(family: Family, parts: Sequence[str]) -> dict[str, list[tuple[Family, str]]]:
    """Part -> the families, and their parts, that it is made of: each of them has sizes of one kind only."""
    usual = replace(family, held_out_hidden=())
    judged = {"train": [(usual, "train")], "held-out": [(usual, "held-out")]}
    if family.held_out_hidden:
        other = replace(usual, hidden=family.held_out_hidden)
        judged["held-out-sizes"] = [(other, "train"), (other, "held-out")]
    return {part: judged[part] for part in PARTS if part in parts and part in judged}
