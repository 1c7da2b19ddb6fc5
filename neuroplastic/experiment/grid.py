"""SGD and Adam at their best: what a grid holds, and which of it does best on meta-validation after each mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.learned.base import UpdateRule
from neuroplastic.learned.descent import SGD, Adam
from neuroplastic.noise import episode_seeds
from neuroplastic.tasks.learning import LearningTask, Report

Tick = Callable[[], None]
TOGETHER = 4
"""Episodes side by side: of more the samples of all updates would fill the memory."""

OUTPUTS = {"squared-error": "tanh", "cross-entropy": "linear"}
"""Loss -> activation of the last layer that goes with it."""


@dataclass(frozen=True)
class Choice:
    """An update rule with its genome [D]."""

    rule: UpdateRule
    genome: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.rule} [{', '.join(f'{number:g}' for number in self.genome)}]"


@dataclass(frozen=True)
class Grid:
    """Every combination of what it names: by default 240 forms of SGD and 120 of Adam.

    Attributes:
        log_rates: ln(learning rate), by default from e⁻⁶ to e in steps of √e.
        activations: of hidden units.
        gains: of the initial synapses.
        momenta: of SGD; Adam has its usual β₁ and β₂.
        losses: what is descended. Of ten classes the squared error is learned so slowly that who had nothing else would
            look good beside it.
        episodes: of meta-validation in which each is tried, those of all lessons together.

    Raises:
        ArgumentError: there is nothing to choose from, or no episode to choose by.
        UnknownNameError: no such loss.
    """

    log_rates: Sequence[float] = tuple(n / 2 for n in range(-12, 3))
    activations: Sequence[str] = ("relu", "tanh")
    gains: Sequence[float] = (1.0, 2.0)
    momenta: Sequence[float] = (0.0, 0.9)
    losses: Sequence[str] = ("squared-error", "cross-entropy")
    episodes: int = 4

    def __post_init__(self) -> None:
        check_range("grid.episodes", self.episodes, low=1)
        for name in ("log_rates", "activations", "gains", "momenta", "losses"):
            if not getattr(self, name):
                raise ArgumentError(f"grid.{name}: expected one at least; got none")
        for loss in self.losses:
            check_name("grid.losses", loss, OUTPUTS)

    def forms(self) -> dict[str, list[tuple[UpdateRule, Tensor]]]:
        """Baseline -> rules with their genomes [p, D]."""
        kinds = {"SGD": (SGD, self.momenta), "Adam": (Adam, (0.9,))}
        return {
            name: [
                (rule := kind(activation, OUTPUTS[loss], loss, gain), self._genomes(rule, momenta))
                for loss in self.losses
                for activation in self.activations
                for gain in self.gains
            ]
            for name, (kind, momenta) in kinds.items()
        }

    def _genomes(self, rule: UpdateRule, momenta: Sequence[float]) -> Tensor:
        """All rates with all momenta, which is what both rules have second."""
        rates, seconds = (torch.tensor(numbers, dtype=torch.float64) for numbers in (self.log_rates, momenta))
        tried = torch.cartesian_prod(rates, seconds)
        return torch.cat((tried, rule.start[2:].expand(len(tried), -1)), 1)

    @property
    def steps(self) -> int:
        """How often `choose` says that it has come further."""
        return self.episodes * sum(len(rules) for rules in self.forms().values())


def choose(
    task: LearningTask, grid: Grid, marks: Sequence[int], seed: int = 0, tick: Tick = lambda: None
) -> dict[str, list[Choice]]:
    """Baseline -> which of the grid is right most often, on average over the task's lessons, after each of the marks.

    Args:
        task: in whose lessons all are tried: those of part "validation", lest what is judged by is chosen by as well.
        grid: what there is.
        marks: numbers of updates, ascending.
        seed: chooses the episodes; none is one of a test.
        tick: called when an episode of some rules is over.
    """
    seeds, chosen = episode_seeds(seed, "selection", 0, grid.episodes), {}
    for name, rules in grid.forms().items():
        tried, means = [], []
        for rule, genomes in rules:
            own, total = replace(task, rule=rule), np.zeros((len(genomes), len(marks)))
            for episode in range(len(seeds)):
                total += _report(own, genomes, seeds[episode : episode + 1], marks).accuracy.mean(1).double().numpy()
                tick()
            tried += [Choice(rule, tuple(genome.tolist())) for genome in genomes]
            means.append(total)
        chosen[name] = [tried[best] for best in np.concatenate(means).argmax(axis=0)]
    return chosen


def right_answers(
    task: LearningTask,
    choices: Sequence[Choice],
    marks: Sequence[int],
    seeds: NDArray[np.int64],
    tick: Tick = lambda: None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What is right in the task's L lessons, of the choice that belongs to each of M marks, in episodes ``seeds`` [E].

    Returns:
        (accuracy [E, L, M], whether all networks of an episode stayed finite [E]). A network learns no longer than to
        the last mark that its rule and genome were chosen for.
    """
    right = np.empty((len(seeds), len(task.lessons), len(marks)))
    finite = np.ones(len(seeds), np.bool_)
    distinct = [choice for n, choice in enumerate(choices) if choice not in choices[:n]]
    for start in range(0, len(seeds), TOGETHER):
        here = slice(start, start + TOGETHER)
        for choice in distinct:
            at = [mark for mark, own in enumerate(choices) if own == choice]
            genomes = torch.tensor([choice.genome], dtype=torch.float64).expand(len(seeds[here]), -1)
            report = _report(replace(task, rule=choice.rule), genomes, seeds[here], [marks[mark] for mark in at])
            right[here][..., at] = report.accuracy.double().numpy()
            finite[here] &= report.finite.numpy()
        tick()
    return right, finite


def _report(task: LearningTask, genomes: Tensor, seeds: NDArray[np.int64], marks: Sequence[int]) -> Report:
    with torch.inference_mode():
        report = task.report(genomes, seeds, marks)
    return Report(report.accuracy.cpu(), report.loss.cpu(), report.finite.cpu())
