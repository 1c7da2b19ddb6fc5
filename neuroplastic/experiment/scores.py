"""How good an agent is: many episodes on seeds that no evolution has seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium.envs.registration import load_env_creator
from numpy.typing import NDArray

from neuroplastic.errors import check_range
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.agent import Agent
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.bodies import find_spec

RESAMPLES = 10_000


def bootstrap_interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values [E] (Efron 1979), the same at every call."""
    rng = np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    for part in np.array_split(np.arange(RESAMPLES), 20):  # never more than RESAMPLES / 20 x E numbers at once
        means[part] = values[rng.integers(len(values), size=(len(part), len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Score:
    """An agent in one variation of its task.

    Attributes:
        variation: keyword arguments of the environment.
        evolved_on: whether evolution tried its members in it.
        returns: [E] float64, NaN where the episode failed.
        measures: name -> [E].
        failures: reason -> episodes.
    """

    variation: Mapping[str, Any]
    evolved_on: bool
    returns: NDArray[np.float64]
    measures: Mapping[str, NDArray[np.float64]]
    failures: Mapping[str, int]

    @property
    def label(self) -> str:
        return ", ".join(str(v) if k == "damage" else f"{k}={v}" for k, v in self.variation.items()) or "as it is"

    def summary(self) -> dict[str, Any]:
        """Plain values for a table or a JSON file; failed episodes are counted apart from the mean."""
        sound = self.returns[~np.isnan(self.returns)]
        low, high = bootstrap_interval(sound) if len(sound) else (np.nan, np.nan)
        return {
            "variation": self.label,
            "evolved_on": self.evolved_on,
            "episodes": len(self.returns),
            "failed": len(self.returns) - len(sound),
            "mean": float(sound.mean()) if len(sound) else np.nan,
            "std": float(sound.std(ddof=1)) if len(sound) > 1 else 0.0,
            "low": low,
            "high": high,
            **{name: float(np.nanmean(v)) if len(sound) else np.nan for name, v in self.measures.items()},
        }


def default_variations(agent: Agent) -> list[Mapping[str, Any]]:
    """What an agent is evaluated in unless asked otherwise: undamaged and each damage that its body knows,
    or, for a body that knows none, the variations that it was evolved on."""
    entry = find_spec(agent.recipe.task.env).entry_point
    metadata = getattr(load_env_creator(entry) if isinstance(entry, str) else entry, "metadata", {})
    damages = [{"damage": damage} for damage in metadata.get("damages", [])]
    return [{}, *damages] if damages else list(agent.recipe.task.variations)


def score(agent: Agent, variations: Sequence[Mapping[str, Any]], episodes: int, seed: int = 0) -> Iterator[Score]:
    """The agent in one variation after the other, each over the same test episodes.

    Raises:
        ArgumentError: a variation is refused by the environment; before any episode.
    """
    check_range("episodes", episodes, low=1)
    seeds = episode_seeds(seed, "test", 0, episodes)
    task = agent.task()
    task.close()
    tasks = [replace(task, variations=[variation]) for variation in variations]
    for each in tasks:
        each.check()

    def live() -> Iterator[Score]:
        for each in tasks:
            with SerialEvaluator(each) as evaluator:
                tried = evaluator.evaluate(DensePopulation(agent.genome[None]), seeds, agent.statistics)
            evolved_on = each.variations[0] in agent.recipe.task.variations
            measures = {name: values[0] for name, values in tried.measures.items()}
            yield Score(each.variations[0], evolved_on, tried.fitness[0], measures, tried.failures)

    return live()
