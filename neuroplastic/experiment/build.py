"""From a recipe to what it names."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from typing import Any

from neuroplastic.errors import ArgumentError, check_range
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.evaluate.processes import ProcessEvaluator, cores
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
from neuroplastic.tasks.bodies import env_metadata, step_limit
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


def worker_count(recipe: Recipe) -> int:
    """Processes that try members."""
    workers = recipe.evaluate.workers
    return cores() if workers == "auto" else workers


def build_evaluator(recipe: Recipe, task: RolloutTask) -> Evaluator:
    """This process, or workers.

    Raises:
        ArgumentError: the bodies would take more memory than the recipe allows.
        WorkerError: no process can be started.
    """
    workers, chosen = worker_count(recipe), recipe.evaluate
    needed = workers * body_megabytes(task)
    if needed > chosen.megabytes:
        raise ArgumentError(
            f"evaluate.megabytes: expected enough for {workers} workers x {len(task.variations)} variations x "
            f"{task.batch} bodies, which take {needed:,.0f} MB; got {chosen.megabytes:,} "
            "(raise it, or lower evaluate.workers or task.batch)"
        )
    if workers == 1:
        return SerialEvaluator(task)
    return ProcessEvaluator(task, workers, limit=chosen.limit, tries=chosen.tries)


def body_megabytes(task: RolloutTask) -> float:
    """Memory that the bodies of one process take; 0 where the environment does not say."""
    return len(task.variations) * task.batch * env_metadata(task.env).get("megabytes_per_env", 0)


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
        rate: steps a second of one process, measured on this machine.
        workers: processes.
        megabytes: that the bodies of all of them take, as far as it is known.
    """

    trials: int
    steps: int | None
    rate: float
    workers: int = 1
    megabytes: float = 0.0

    def __str__(self) -> str:
        workers = f"{self.workers} workers" if self.workers > 1 else "one process"
        where = f"{workers}, {self.rate:,.0f} steps/s each as measured here"
        if self.megabytes:
            where += f", bodies of {self.megabytes:,.0f} MB"
        if self.steps is None:
            return f"{self.trials} lives a generation, without a bound on their steps; {where}"
        seconds = self.steps / self.rate / self.workers
        return f"at most {self.steps:,} steps ({self.trials} lives a generation); {where}: at most {duration(seconds)}"


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
    seeds, everybody = episode_seeds(recipe.seed, "train", 0, task.batch)[:, None], range(len(members))
    try:
        probe.evaluate(members, everybody, seeds)
        started = time.perf_counter()
        tried = probe.evaluate(members, everybody, seeds)
        seconds = time.perf_counter() - started
    finally:
        probe.close()
    bound = task.steps_at_most
    workers = worker_count(recipe)
    rate = float(tried.steps.sum()) / seconds
    return Cost(trials, None if bound is None else bound * lives, rate, workers, workers * body_megabytes(task))


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(187), duration(7250), duration(200_000)
    ('42 s', '3 min 7 s', '2 h 0 min', '2 days 7 h')
    """
    for size, unit, part, small in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // part)} {small}"
    return f"{seconds:.0f} s"
