"""What a run will take, said before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from neuroplastic.errors import ArgumentError
from neuroplastic.experiment.models import EvolutionRecipe, LearningRecipe, RecallRecipe
from neuroplastic.learners.base import Learner
from neuroplastic.learners.evolution import Evolution, Selection
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.base import Task


@dataclass(frozen=True)
class Cost:
    """What is left of a run takes at most this.

    Attributes:
        lives: in one generation, each of them in all variations.
        steps: of environments, updates of networks, or examples, at most; infinite if nothing bounds a life.
        rate: steps a second of one process, measured on this machine; NaN if that could not be told.
        workers: processes.
        megabytes: that the bodies of all of them take, as far as it is known.
    """

    lives: int
    steps: float
    rate: float
    workers: int = 1
    megabytes: float = 0.0

    def __str__(self) -> str:
        steps = (
            f"at most {self.steps:,.0f} steps" if np.isfinite(self.steps) else "lives without a bound on their steps"
        )
        parts = [f"{steps} ({self.lives} lives a generation)"]
        parts.append(f"{self.workers} workers" if self.workers > 1 else "one process")
        if self.megabytes:
            parts.append(f"bodies of {self.megabytes:,.0f} MB")
        if np.isfinite(self.rate):
            parts.append(f"{self.rate:,.0f} steps/s each as measured here")
            seconds = self.steps / self.rate / self.workers
            parts.append(f"at most {duration(seconds)}" if np.isfinite(seconds) else "no end known")
        return ", ".join(parts)


Searching = EvolutionRecipe | LearningRecipe | RecallRecipe
"""A recipe whose genomes a strategy may search for."""


def lives_left(recipe: Searching, population: int, done: int = 0) -> tuple[int, int]:
    """(lives in a generation, lives in all generations from ``done`` on, those of selections among them)."""
    chosen = recipe.selection
    lives = (population + 1) * recipe.task.episodes
    merges = {merge.generation for merge in (recipe.merge or () if isinstance(recipe, EvolutionRecipe) else ())}
    due = Selection(chosen.every).due
    selections = sum(due(generation) or generation in merges for generation in range(done, recipe.generations))
    return lives, (recipe.generations - done) * lives + selections * (chosen.top + 2) * chosen.episodes


def search_cost(
    recipe: Searching,
    learner: Evolution,
    task: Task,
    steps: float,
    megabytes: float = 0.0,
) -> Cost:
    """Of a search that goes on: two short batches are tried (the first compiles) to tell how fast this machine is.

    Args:
        recipe: of the search.
        learner: that searches.
        task: what one process tries; it is closed.
        steps: of a life at most.
        megabytes: that the bodies of one process take.

    Raises:
        ArgumentError: a measure is in no ``info`` of the environment.
    """
    members = DensePopulation(learner.found()["center"].genome.expand(task.batch, -1))
    seeds, everybody = episode_seeds(recipe.seed, "train", 0, task.batch)[:, None], range(len(members))
    try:
        task.evaluate(members, everybody, seeds, learner.statistics)
        started = time.perf_counter()
        tried = task.evaluate(members, everybody, seeds, learner.statistics)
        seconds = time.perf_counter() - started
    finally:
        task.close()
    for name, values in tried.measures.items():
        if not tried.failures and np.isnan(values).all():
            raise ArgumentError(f"task.measures: expected names of numbers in the environment's info; got {name!r}")
    lives, left = lives_left(recipe, len(learner.strategy.ask()), learner.generation)
    rate = float(tried.steps.sum()) / seconds or float("nan")
    workers = learner.evaluator.size
    return Cost(lives, left * steps, rate, workers, workers * megabytes)


def learner_cost(learner: Learner, generations: int) -> Cost:
    """Of a learner of which a step costs what its first one does: it makes one, and is of no use after that."""
    metrics = learner.step()
    steps = metrics["steps"]
    rate = steps / metrics["seconds"] or float("nan")
    return Cost(int(metrics["evaluations"]), steps * generations, rate)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(187), duration(7250), duration(90_000), duration(200_000)
    ('42 s', '3 min 7 s', '2 h 0 min', '1 day 1 h', '2 days 7 h')
    """
    for size, unit, part, small in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {'day' if (number, unit) == (1, 'days') else unit} {int(seconds % size // part)} {small}"
    return f"{seconds:.0f} s"
