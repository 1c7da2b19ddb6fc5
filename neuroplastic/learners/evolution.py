"""Evolution: ask a strategy for a population, try it, tell the strategy how it did."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import TrialError, check_range, check_shape
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.genome import Codec, Identity, Layout, Sample
from neuroplastic.learners.base import Found, State
from neuroplastic.learners.merging import Merge, Merging, projection
from neuroplastic.noise import episode_seeds
from neuroplastic.plastic.sharing import Groups
from neuroplastic.search.base import DensePopulation, Index, Population, Strategy
from neuroplastic.search.projection import Projection
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

    def sample(self, index: Index) -> Sample | None:
        size = len(self.population)
        found = self.population.sample([i % size for i in index])  # of the center, whose noise counts for nothing, any
        if found is None or (found.center is not self.center and not torch.equal(found.center, self.center)):
            return None
        return replace(found, signs=np.where(np.asarray(index) < size, found.signs, 0).astype(np.int8))


@dataclass(frozen=True, eq=False)
class Decoded(Population):
    """The genomes that a population's vectors stand for; as small to send as the vectors."""

    population: Population
    codec: Codec

    def __len__(self) -> int:
        return len(self.population)

    def rows(self, index: Index) -> Tensor:
        return self.codec.decode(self.population.rows(index))

    def sample(self, index: Index) -> Sample | None:
        return self.population.sample(index) if isinstance(self.codec, Identity) else None


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
        codec: what makes genomes of the strategy's vectors; None: they are genomes.
        merging: when rules are merged; it brings the codec that the search begins with.

    Raises:
        ArgumentError: a number out of its range, or a strategy that cannot go on after a merge.
        ShapeError: the strategy's vectors are not those of the codec.
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
        codec: Codec | None = None,
        merging: Merging | None = None,
    ) -> None:
        check_range("task.episodes", episodes, low=1)
        check_range("max_failed", max_failed, low=0, high=1)
        size = len(strategy.center)
        codec = merging.start if merging else codec or Identity(Layout((("genome", (size,)),)))
        check_shape("strategy.center", strategy.center, [codec.layout.size])
        if merging:
            strategy.project(Projection(torch.arange(size)))  # what cannot be projected says so now
        self.strategy, self.evaluator, self.codec, self.merging = strategy, evaluator, codec, merging
        self._first = strategy
        self.seed, self.episodes = seed, episodes
        self.selection = selection or Selection()
        self.max_failed, self.progress = max_failed, progress
        self.generation = 0
        self.evaluations = 0
        self.steps = 0
        self.best = Found(strategy.center.clone(), statistics, codec)
        self.statistics = statistics

    def step(self) -> dict[str, float]:
        """One generation; if a merge is due, it begins with it.

        A merge acts on ``best`` too, and that generation has a selection: ``best`` is always something that was tried.

        Raises:
            TrialError: more than ``max_failed`` of the members failed.
            DivergenceError: the center would not be finite.
        """
        started, faults = time.perf_counter(), dict(self.evaluator.faults)
        codec, strategy, best = self.codec, self.strategy, self.best
        merge = self.merging.due(self.generation) if self.merging else None
        if self.merging and merge:
            codec, strategy, best = self._merged(self.merging, merge)
        population = strategy.ask()
        seeds = episode_seeds(self.seed, "train", self.generation, self.episodes)
        everybody = Decoded(WithCenter(population, strategy.center), codec)
        tried = self.evaluator.evaluate(everybody, seeds, self.statistics, self.progress)
        fitness = tried.fitness.mean(axis=1)
        members, center = fitness[:-1], fitness[-1]
        failed = np.isnan(members).mean()
        if failed > self.max_failed:
            raise TrialError(
                f"generation {self.generation}: {failed:.0%} of the members failed (max_failed allows "
                f"{self.max_failed:.0%}); most often: {_most_often(tried)}"
            )
        selected = None
        if merge or self.selection.due(self.generation):
            best, selected = self._select(codec, best, strategy.center, population, members)

        metrics: dict[str, float] = {
            "generation": self.generation,
            "best": float(np.nanmax(members, initial=-np.inf)),
            "mean": float(np.nanmean(members)),
            "center": float(center),
        }
        metrics |= {f"center_{name}": float(np.mean(values[-1])) for name, values in tried.measures.items()}
        if selected is not None:
            metrics["selected"] = float(np.nanmax(selected.fitness.mean(axis=1), initial=-np.inf))
        if merge:
            metrics["groups"] = merge.groups
        metrics |= {"failures": sum(tried.failures.values())} | strategy.metrics()

        # From here on the learner changes, and nothing is evaluated.
        strategy.tell(torch.from_numpy(members))
        self.strategy, self.codec, self.best = strategy, codec, best
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

    def _merged(self, merging: Merging, merge: Merge) -> tuple[Codec, Strategy, Found]:
        """What a merge makes of codec, strategy and best; none of them changes."""
        codec = merging.merged(self.codec, self.strategy.center, merge)
        onto = projection(self.codec, codec)
        best = replace(self.best, vector=onto.mean(self.best.vector), codec=codec)
        return codec, self.strategy.project(onto), best

    def _select(
        self, codec: Codec, best: Found, center: Tensor, population: Population, fitness: np.ndarray
    ) -> tuple[Found, Evaluation]:
        ranked = np.argsort(np.where(np.isnan(fitness), -np.inf, fitness), kind="stable")[::-1]
        top = population.rows(ranked[: self.selection.top].tolist())
        candidates = torch.cat([torch.stack([best.vector, center]), top])
        seeds = episode_seeds(self.seed, "selection", self.generation, self.selection.episodes)
        everybody = Decoded(DensePopulation(candidates), codec)
        tried = self.evaluator.evaluate(everybody, seeds, self.statistics, self.progress)
        means = np.nan_to_num(tried.fitness.mean(axis=1), nan=-np.inf)
        winner = candidates[int(means.argmax())].clone()  # on a tie the best so far
        return replace(best, vector=winner, statistics=self.statistics), tried

    @property
    def stopped(self) -> str | None:
        return self.strategy.stopped

    def found(self) -> dict[str, Found]:
        return {"center": Found(self.strategy.center, self.statistics, self.codec), "best": self.best}

    def state_dict(self) -> dict[str, Tensor | int | float | str]:
        state: dict[str, Tensor | int | float | str] = {
            "generation": self.generation,
            "evaluations": self.evaluations,
            "steps": self.steps,
            "best": self.best.vector,
        }
        if self.merging:
            state |= self.merging.state_dict(self.codec)
        for prefix, statistics in (("statistics.", self.statistics), ("best.statistics.", self.best.statistics)):
            if statistics is not None:
                state |= {prefix + name: value for name, value in statistics.state_dict().items()}
        return state | {f"strategy.{name}": value for name, value in self.strategy.state_dict().items()}

    def load_state_dict(self, state: State) -> None:
        generation, evaluations, steps = (int(state[name]) for name in ("generation", "evaluations", "steps"))
        codec, strategy = self.codec, self.strategy
        if self.merging:
            codec, strategy = self.merging.restored(state, generation), self._first
            if isinstance(codec, Groups) and codec is not self.merging.start:
                strategy = strategy.project(projection(self.merging.start, codec))
        best = torch.as_tensor(state["best"])
        check_shape("best", best, [codec.layout.size])
        statistics = [None, None]
        if self.statistics is not None:
            statistics = [Statistics.from_state(state, prefix) for prefix in ("statistics.", "best.statistics.")]
            for each in statistics:
                check_shape("statistics.mean", each.mean, list(self.statistics.mean.shape))
        prefix = "strategy."
        strategy.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        self.generation, self.evaluations, self.steps = generation, evaluations, steps
        self.codec, self.strategy = codec, strategy
        self.statistics, self.best = statistics[0], Found(best.clone(), statistics[1], codec)


def _most_often(tried: Evaluation) -> str:
    return max(tried.failures.items(), key=lambda reason: reason[1], default=("fitness is NaN", 0))[0]
