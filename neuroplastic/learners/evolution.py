"""Evolution: ask a strategy for a population, try it, tell the strategy how it did."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import TrialError, check_range, check_shape
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.learners.base import Found, State
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation, Index, Population, Strategy
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics

FAULT = "fault_"
"""Metrics that begin so count what went wrong with workers and was made good: no other number knows of it."""


@dataclass(frozen=True)
class Selection:
    """How ``best`` is chosen: the best of one noisy episode is luck, so the few best are tried again.

    Attributes:
        every: generations from one selection to the next; there is one more in the first generation.
        top: members of the generation that are tried again, beside the center and the best so far.
        episodes: fresh episodes of each of them, the same for all.
    """

    every: int = 10
    top: int = 3
    episodes: int = 4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_range(f"selection.{name}", value, low=1)

    def due(self, generation: int) -> bool:
        """Whether a generation, counted from 0, has a selection: so has the last of a run of whole ``every``."""
        return generation == 0 or (generation + 1) % self.every == 0


@dataclass(frozen=True, eq=False)
class WithCenter(Population):
    """A population, and the center as its last row: how good the center is, on the same episodes."""

    population: Population
    center: Tensor

    def __len__(self) -> int:
        return len(self.population) + 1

    def rows(self, index: Index) -> Tensor:
        members = [int(i) for i in index if i < len(self.population)]
        rows = iter(self.population.rows(members))
        return torch.stack([next(rows) if i < len(self.population) else self.center for i in index])


class Evolution:
    """The learner around a `Strategy`.

    Args:
        strategy: proposes populations and learns from their fitness.
        evaluator: tries them.
        seed: of the episodes.
        episodes: E, a generation's fresh episodes, the same for all members (common random numbers).
        selection: how ``best`` is chosen.
        max_failed: the run stops when a larger share of a generation's members failed.
        progress: called while a generation is tried.
        statistics: of observations before the first generation, if the task normalises by them; None if it does not.
    """

    def __init__(
        self,
        strategy: Strategy,
        evaluator: Evaluator,
        *,
        seed: int = 0,
        episodes: int = 1,
        selection: Selection | None = None,
        max_failed: float = 0.5,
        progress: Progress | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        check_range("task.episodes", episodes, low=1)
        check_range("max_failed", max_failed, low=0, high=1)
        self.strategy, self.evaluator = strategy, evaluator
        self.seed, self.episodes = seed, episodes
        self.selection = selection or Selection()
        self.max_failed, self.progress = max_failed, progress
        self.generation = 0
        self.evaluations = 0
        self.steps = 0
        self.best = Found(strategy.center.clone(), statistics)
        self.statistics = statistics

    def step(self) -> dict[str, float]:
        """One generation.

        Raises:
            TrialError: more than ``max_failed`` of the members failed.
            DivergenceError: the center would not be finite.
        """
        started, faults = time.perf_counter(), dict(self.evaluator.faults)
        population = self.strategy.ask()
        seeds = episode_seeds(self.seed, "train", self.generation, self.episodes)
        everybody = WithCenter(population, self.strategy.center)
        tried = self.evaluator.evaluate(everybody, seeds, self.statistics, self.progress)
        fitness = tried.fitness.mean(axis=1)
        members, center = fitness[:-1], fitness[-1]
        failed = np.isnan(members).mean()
        if failed > self.max_failed:
            raise TrialError(
                f"generation {self.generation}: {failed:.0%} of the members failed (max_failed allows "
                f"{self.max_failed:.0%}); most often: {_most_often(tried)}"
            )
        best, selected = self.best, None
        if self.selection.due(self.generation):
            best, selected = self._select(population, members)

        metrics: dict[str, float] = {
            "generation": self.generation,
            "best": float(np.nanmax(members, initial=-np.inf)),
            "mean": float(np.nanmean(members)),
            "center": float(center),
        }
        metrics |= {f"center_{name}": float(np.mean(values[-1])) for name, values in tried.measures.items()}
        if selected is not None:
            metrics["selected"] = float(selected.fitness.mean(axis=1).max())
        metrics |= {"failures": sum(tried.failures.values())} | self.strategy.metrics()

        # From here on the learner changes, and nothing is evaluated.
        self.strategy.tell(torch.from_numpy(members))
        self.best = best
        for evaluation in filter(None, [tried, selected]):
            self.evaluations += evaluation.fitness.size
            self.steps += int(evaluation.steps.sum())
        if self.statistics is not None and tried.statistics is not None:
            self.statistics = self.statistics.merge(tried.statistics.total())
        self.generation += 1
        for name, count in self.evaluator.faults.items():
            if count > faults.get(name, 0):
                metrics[f"{FAULT}{name}"] = count - faults.get(name, 0)
        metrics |= {"evaluations": self.evaluations, "steps": self.steps, "seconds": time.perf_counter() - started}
        return metrics

    def _select(self, population: Population, fitness: np.ndarray) -> tuple[Found, Evaluation]:
        ranked = np.argsort(np.where(np.isnan(fitness), -np.inf, fitness), kind="stable")[::-1]
        top = population.rows(ranked[: self.selection.top].tolist())
        candidates = torch.cat([torch.stack([self.best.genome, self.strategy.center]), top])
        seeds = episode_seeds(self.seed, "selection", self.generation, self.selection.episodes)
        tried = self.evaluator.evaluate(DensePopulation(candidates), seeds, self.statistics, self.progress)
        means = np.nan_to_num(tried.fitness.mean(axis=1), nan=-np.inf)
        winner = candidates[int(means.argmax())].clone()  # on a tie the best so far
        return Found(winner, self.statistics), tried

    @property
    def stopped(self) -> str | None:
        return self.strategy.stopped

    def found(self) -> dict[str, Found]:
        return {"center": Found(self.strategy.center, self.statistics), "best": self.best}

    def state_dict(self) -> dict[str, Tensor | int | float | str]:
        state: dict[str, Tensor | int | float | str] = {
            "generation": self.generation,
            "evaluations": self.evaluations,
            "steps": self.steps,
            "best": self.best.genome,
        }
        for prefix, statistics in (("statistics.", self.statistics), ("best.statistics.", self.best.statistics)):
            if statistics is not None:
                state |= {prefix + name: value for name, value in statistics.state_dict().items()}
        return state | {f"strategy.{name}": value for name, value in self.strategy.state_dict().items()}

    def load_state_dict(self, state: State) -> None:
        best = torch.as_tensor(state["best"])
        check_shape("best", best, list(self.best.genome.shape))
        statistics = [None, None]
        if self.statistics is not None:
            statistics = [Statistics.from_state(state, prefix) for prefix in ("statistics.", "best.statistics.")]
            for each in statistics:
                check_shape("statistics.mean", each.mean, list(self.statistics.mean.shape))
        self.generation, self.evaluations, self.steps = (
            int(state[name]) for name in ("generation", "evaluations", "steps")
        )
        self.statistics, self.best = statistics[0], Found(best.clone(), statistics[1])
        prefix = "strategy."
        self.strategy.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )


def _most_often(tried: Evaluation) -> str:
    return max(tried.failures.items(), key=lambda reason: reason[1], default=("fitness is NaN", 0))[0]
