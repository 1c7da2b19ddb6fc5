"""What a run will take, said before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from neuroplastic.errors import ArgumentError
from neuroplastic.experiment.build import body_megabytes, strategy_of
from neuroplastic.experiment.recipe import Recipe
from neuroplastic.learners.evolution import Evolution, Selection
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.bodies import step_limit
from neuroplastic.tasks.rollout import RolloutTask


@dataclass(frozen=True)
class Cost:
    """What is left of a run takes at most this.

    Attributes:
        lives: in one generation, each of them in all variations.
        steps: environment steps at most; infinite if nothing bounds a life.
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


def run_cost(recipe: Recipe, population: int, done: int = 0) -> tuple[int, float]:
    """(lives in a generation, environment steps at most in all generations from ``done`` on), nothing measured."""
    chosen, task = recipe.selection, recipe.task
    lives = (population + 1) * task.episodes
    merges = {merge.generation for merge in recipe.merge or ()}
    due = Selection(chosen.every).due
    selections = sum(due(generation) or generation in merges for generation in range(done, recipe.generations))
    tried = (recipe.generations - done) * lives + selections * (chosen.top + 2) * chosen.episodes
    limits = [step_limit(task.env, {**task.env_options, **variation}, task.horizon) for variation in task.variations]
    return lives, float(tried * sum(float("inf") if limit is None else limit for limit in limits))


def nominal_steps(recipe: Recipe) -> float:
    """Environment steps of a whole run at most; NaN for a strategy that does not say its population in the recipe."""
    population = strategy_of(recipe)[1].get("population")
    return run_cost(recipe, population)[1] if population else float("nan")


def measure_cost(recipe: Recipe, task: RolloutTask, learner: Evolution, steps: int = 100) -> Cost:
    """Runs one short batch twice (the first compiles) to tell how fast this machine is.

    Raises:
        ArgumentError: a measure is in no ``info`` of the environment.
    """
    probe = replace(task, rules=replace(task.rules, horizon=task.rules.idle + steps))
    members = DensePopulation(learner.found()["center"].genome.expand(task.batch, -1))
    seeds, everybody = episode_seeds(recipe.seed, "train", 0, task.batch)[:, None], range(len(members))
    try:
        probe.evaluate(members, everybody, seeds, learner.statistics)
        started = time.perf_counter()
        tried = probe.evaluate(members, everybody, seeds, learner.statistics)
        seconds = time.perf_counter() - started
    finally:
        probe.close()
    for name, values in tried.measures.items():
        if not tried.failures and np.isnan(values).all():
            raise ArgumentError(f"task.measures: expected names of numbers in the environment's info; got {name!r}")
    lives, left = run_cost(recipe, len(learner.strategy.ask()), learner.generation)
    rate = float(tried.steps.sum()) / seconds or float("nan")
    workers = learner.evaluator.size
    return Cost(lives, left, rate, workers, workers * body_megabytes(task))


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(187), duration(7250), duration(200_000)
    ('42 s', '3 min 7 s', '2 h 0 min', '2 days 7 h')
    """
    for size, unit, part, small in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // part)} {small}"
    return f"{seconds:.0f} s"
