"""How good an agent is: many episodes on seeds that no evolution has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import check_range
from neuroplastic.evaluate.base import Progress
from neuroplastic.evaluate.processes import ProcessEvaluator
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.agent import Agent
from neuroplastic.genome import Layout
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation, Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.bodies import env_metadata
from neuroplastic.tasks.rollout import RolloutTask
from neuroplastic.tasks.statistics import Statistics

RESAMPLES = 10_000


def bootstrap_interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values [E] (Efron 1979), the same at every call."""
    means = resampled(values, lambda samples: samples.mean(axis=1))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled(
    values: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """A statistic, [n, E] -> [n], of `RESAMPLES` samples drawn with replacement from values [E]; always the same."""
    rng = np.random.default_rng(0)
    found = np.empty(RESAMPLES)
    for part in np.array_split(np.arange(RESAMPLES), 20):  # never more than RESAMPLES / 20 x E numbers at once
        found[part] = statistic(values[rng.integers(len(values), size=(len(part), len(values)))])
    return found


@dataclass(frozen=True)
class Score:
    """An agent in one variation of its task.

    Attributes:
        variation: keyword arguments of the environment.
        evolved_on: whether evolution tried its members in it.
        returns: [E] float64, NaN where the episode failed.
        steps: [E] int64, that the episodes lasted.
        measures: name -> [E].
        knows_damage: whether the body could be damaged.
    """

    variation: Mapping[str, Any]
    evolved_on: bool
    returns: NDArray[np.float64]
    steps: NDArray[np.int64]
    measures: Mapping[str, NDArray[np.float64]]
    knows_damage: bool = False

    @property
    def label(self) -> str:
        return ", ".join(str(v) if k == "damage" else f"{k}={v}" for k, v in self.variation.items()) or (
            "undamaged" if self.knows_damage else "as it is"
        )

    def summary(self) -> dict[str, Any]:
        """Plain values for a table or a JSON file; failed episodes are counted apart from the mean."""
        sound = self.returns[~np.isnan(self.returns)]
        low, high = bootstrap_interval(sound) if len(sound) else (None, None)
        return {
            "variation": self.label,
            "evolved_on": self.evolved_on,
            "episodes": len(self.returns),
            "failed": len(self.returns) - len(sound),
            "mean": float(sound.mean()) if len(sound) else None,
            "std": float(sound.std(ddof=1)) if len(sound) > 1 else 0.0,
            "low": low,
            "high": high,
            **{name: float(np.nanmean(v)) if len(sound) else None for name, v in self.measures.items()},
        }


def default_variations(agent: Agent) -> list[Mapping[str, Any]]:
    """What an agent is evaluated in unless asked otherwise: undamaged and each damage that its body knows,
    and, but for these, the variations that it was evolved on."""
    damages = [{"damage": damage} for damage in env_metadata(agent.life.task.env).get("damages", [])]
    known = [{}, *damages] if damages else []
    return [*known, *(variation for variation in agent.life.task.variations if variation not in known)]


def usual_life(agent: Agent, scores: Sequence[Score]) -> float:
    """Steps of its network in an agent's median life; 1 if no life was sound."""
    steps = np.concatenate([score.steps[~np.isnan(score.returns)] for score in scores])
    return max(1.0, float(np.median(steps)) - agent.life.task.idle) if len(steps) else 1.0


@dataclass
class Battery:
    """A `Task` of many: members come in rows of ``episodes``, and each row is tried on a task of its own."""

    tasks: Sequence[RolloutTask]
    episodes: int

    @property
    def layout(self) -> Layout:
        return self.tasks[0].layout

    @property
    def batch(self) -> int:
        return self.tasks[0].batch

    def evaluate(
        self,
        population: Population,
        index: Sequence[int],
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
    ) -> Evaluation:
        parts = []
        for number, task in enumerate(self.tasks):
            own = [n for n, member in enumerate(index) if member // self.episodes == number]
            if not own:
                task.close()  # members come in order, so one task's bodies are enough at a time
            else:
                parts.append(task.evaluate(population, [index[n] for n in own], seeds[own], shared))
        return Evaluation.concatenate(parts)

    def try_agent(self, agent: Agent, seed: int, workers: int, progress: Progress | None = None) -> Evaluation:
        """An agent on every task, all over the same test episodes: the rows of one task after those of the other."""
        seeds = np.tile(episode_seeds(seed, "test", 0, self.episodes), len(self.tasks))[:, None]
        evaluator = SerialEvaluator(self) if workers == 1 else ProcessEvaluator(self, workers)
        with evaluator:
            copies = DensePopulation(agent.genome.expand(len(seeds), -1))
            return evaluator.evaluate(copies, seeds, agent.statistics, progress)

    def close(self) -> None:
        for task in self.tasks:
            task.close()


def score(
    agent: Agent,
    variations: Sequence[Mapping[str, Any]],
    episodes: int,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[list[Score], dict[str, int]]:
    """The agent in each of the variations, all over the same test episodes.

    Args:
        agent: who is tried.
        variations: keyword arguments of its environment.
        episodes: in each variation.
        seed: chooses the episodes.
        workers: processes that try it; the figures do not depend on them.
        progress: told how many episodes are done.

    Returns:
        (a score for each variation, reason of failure -> episodes that failed so)

    Raises:
        ArgumentError: a variation is refused by the environment; before any episode.
    """
    check_range("episodes", episodes, low=1)
    task = agent.task()
    task.close()
    battery = Battery([replace(task, variations=[variation]) for variation in variations], episodes)
    for each in battery.tasks:
        each.check()
    tried = battery.try_agent(agent, seed, workers, progress)
    scores, knows_damage = [], "damages" in env_metadata(task.env)
    for number, variation in enumerate(variations):
        own = slice(number * episodes, (number + 1) * episodes)
        measures = {name: values[own, 0] for name, values in tried.measures.items()}
        evolved_on = variation in agent.life.task.variations
        scores.append(Score(variation, evolved_on, tried.fitness[own, 0], tried.steps[own, 0], measures, knows_damage))
    return scores, dict(tried.failures)
