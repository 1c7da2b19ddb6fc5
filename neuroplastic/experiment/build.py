"""From a recipe to what it names."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from typing import Any

from neuroplastic.errors import check_range
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.options import constructor_options, resolve
from neuroplastic.experiment.recipe import Recipe
from neuroplastic.learners.evolution import Evolution, Selection
from neuroplastic.noise import episode_seeds, normal, stream
from neuroplastic.plastic import rules
from neuroplastic.plastic.kernels import NUMERICS
from neuroplastic.plastic.network import PlasticNetwork
from neuroplastic.plastic.rules import Rule
from neuroplastic.search import strategies
from neuroplastic.search.base import DensePopulation, Strategy
from neuroplastic.tasks.bodies import step_limit
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.rollout import RolloutTask
from neuroplastic.tasks.statistics import Statistics


def resolved(recipe: Recipe) -> Recipe:
    """The recipe with every option written out and the versions of what will compute its numbers.

    Raises:
        RecipeError, UnknownNameError: a name or option of the search or of the rule is refused.
    """
    search, rule = _strategy(recipe), _rule(recipe)
    return recipe.model_copy(
        update={
            "search": recipe.search.model_copy(update=search[1]),
            "rule": recipe.rule.model_copy(update=rule[1]),
            "versions": versions(),
        }
    )


def checked(recipe: Recipe) -> Recipe:
    """`resolved`, after everything that it names was built once: what cannot work is refused before work starts.

    Raises:
        RecipeError, ArgumentError, SpaceError, MissingExtraError: what is wrong.
    """
    complete = resolved(recipe)
    task = build_task(complete)
    with SerialEvaluator(task) as evaluator:
        build_learner(complete, task, evaluator)
    return complete


def versions() -> dict[str, str]:
    """What the numbers of a run depend on."""
    import llvmlite.binding

    found = {
        "numerics": str(NUMERICS),
        "python": platform.python_version(),
        "cpu": llvmlite.binding.get_host_cpu_name(),
    }
    for name in ("neuroplastic", "numpy", "torch", "numba", "gymnasium", "pybullet", "box2d"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _strategy(recipe: Recipe) -> tuple[Callable, dict[str, Any]]:
    make = resolve(recipe.search.name, strategies, Strategy, "search.name")
    return make, constructor_options(make, recipe.search.options, "search", ours=("center", "seed"))


def _rule(recipe: Recipe) -> tuple[Callable, dict[str, Any]]:
    make = resolve(recipe.rule.name, rules, Rule, "rule.name")
    return make, constructor_options(make, recipe.rule.options, "rule")


def build_task(recipe: Recipe) -> RolloutTask:
    """The task, with everything about it checked: its environments can be made, and the network fits them."""
    make_rule, options = _rule(recipe)
    section, policy = recipe.task, recipe.policy
    task = RolloutTask(
        env=section.env,
        policy=partial(PlasticNetwork, rule=make_rule(**options), **policy.model_dump()),
        env_options=section.env_options,
        variations=section.variations,
        rules=LifeRules(section.horizon, section.idle, section.grace, section.patience),
        batch=section.batch,
        measures=section.measures,
        normalise=section.normalise,
    )
    check_range("genome length", task.layout.size, low=1)
    return task


def build_learner(
    recipe: Recipe, task: RolloutTask, evaluator: Evaluator, progress: Progress | None = None
) -> Evolution:
    """The learner at its generation 0."""
    make, options = _strategy(recipe)
    center = recipe.search.center_std * normal(stream(recipe.seed, "center"), task.layout.size)
    return Evolution(
        make(center, seed=recipe.seed, **options),
        evaluator,
        seed=recipe.seed,
        episodes=recipe.task.episodes,
        selection=Selection(**recipe.selection.model_dump()),
        max_failed=recipe.max_failed,
        progress=progress,
        statistics=Statistics.nothing(task.inputs) if task.normalise else None,
    )


@dataclass(frozen=True)
class Cost:
    """What a run takes at most.

    Attributes:
        trials: lives in one generation.
        steps: environment steps of the whole run at most; None if nothing bounds a life.
        rate: steps a second, measured on this machine.
    """

    trials: int
    steps: int | None
    rate: float

    def __str__(self) -> str:
        if self.steps is None:
            return f"{self.trials} lives a generation, without a bound on their steps; {self.rate:,.0f} steps/s here"
        return (
            f"at most {self.steps:,} steps ({self.trials} lives a generation); at {self.rate:,.0f} steps/s, "
            f"as measured here, at most {duration(self.steps / self.rate)}"
        )


def lives_per_run(recipe: Recipe) -> tuple[int, int]:
    """(lives in a generation, lives in a whole run), each of them in all the variations."""
    population = _strategy(recipe)[1].get("population", 0) + 1
    chosen = recipe.selection
    selections = -(-recipe.generations // chosen.every) * (chosen.top + 2) * chosen.episodes
    trials = population * recipe.task.episodes
    return trials, recipe.generations * trials + selections


def steps_per_run(recipe: Recipe) -> float:
    """Environment steps of a whole run at most, told without making an environment; infinite if nothing bounds them."""
    limit = step_limit(recipe.task.env, recipe.task.env_options, recipe.task.horizon)
    return lives_per_run(recipe)[1] * len(recipe.task.variations) * (limit or float("inf"))


def measure_cost(recipe: Recipe, task: RolloutTask, steps: int = 100) -> Cost:
    """Runs one short batch twice (the first compiles) to tell how fast this machine is."""
    trials, lives = lives_per_run(recipe)
    probe = replace(task, rules=replace(task.rules, horizon=task.rules.idle + steps))
    members = DensePopulation(
        recipe.search.center_std * normal(stream(recipe.seed, "center"), task.layout.size).expand(task.batch, -1)
    )
    seeds, everybody = episode_seeds(recipe.seed, "train", 0, 1), range(len(members))
    try:
        probe.evaluate(members, everybody, seeds)
        started = time.perf_counter()
        tried = probe.evaluate(members, everybody, seeds)
        seconds = time.perf_counter() - started
    finally:
        probe.close()
    bound = task.steps_at_most
    return Cost(trials, None if bound is None else bound * lives, float(tried.steps.sum()) / seconds)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(187), duration(7250), duration(200_000)
    ('42 s', '3 min 7 s', '2 h 0 min', '2 days 7 h')
    """
    for size, unit, part, small in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // part)} {small}"
    return f"{seconds:.0f} s"
