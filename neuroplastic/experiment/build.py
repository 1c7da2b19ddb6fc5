"""From a recipe to what it names."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from typing import Any

from neuroplastic.errors import ArgumentError, RecipeError, check_range
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.evaluate.cluster import ClusterEvaluator
from neuroplastic.evaluate.processes import ProcessEvaluator, cores
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.options import constructor_options, resolve
from neuroplastic.experiment.recipe import Recipe
from neuroplastic.learners.evolution import Evolution, Selection
from neuroplastic.learners.merging import Merge, Merging
from neuroplastic.noise import normal, stream
from neuroplastic.plastic import ConvolutionalFront, rules
from neuroplastic.plastic.controls import Controls, controlled
from neuroplastic.plastic.kernels import NUMERICS
from neuroplastic.plastic.network import PlasticNetwork
from neuroplastic.plastic.rules import Rule
from neuroplastic.plastic.sharing import Synapses
from neuroplastic.search import adapted, strategies
from neuroplastic.search.base import Strategy
from neuroplastic.tasks.bodies import env_metadata
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.rollout import PolicyFactory, RolloutTask
from neuroplastic.tasks.statistics import Statistics


def resolved(recipe: Recipe) -> Recipe:
    """The recipe with every option written out and the versions of what will compute its numbers.

    Raises:
        RecipeError, UnknownNameError: a name or option of the search or of the rule is refused.
    """
    (_, search), (_, rule) = strategy_of(recipe), rule_of(recipe)
    return recipe.model_copy(
        update={
            "search": recipe.search.model_copy(update=search),
            "rule": recipe.rule.model_copy(update=rule),
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
    build_learner(complete, task, SerialEvaluator(task))
    return complete


def versions() -> dict[str, str]:
    """What the numbers of a run depend on."""
    import llvmlite.binding

    found = {
        "numerics": str(NUMERICS),
        "python": platform.python_version(),
        "cpu": llvmlite.binding.get_host_cpu_name(),
    }
    for name in ("neuroplastic", "numpy", "torch", "numba", "gymnasium", "pybullet", "box2d", "scikit-learn"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def strategy_of(recipe: Recipe) -> tuple[Callable, dict[str, Any]]:
    """What makes the recipe's strategy, and the options for it."""
    make = adapted(recipe.search.name) or resolve(recipe.search.name, strategies, Strategy, "search.name")
    return make, constructor_options(make, recipe.search.options, "search", ours=("center", "seed"))


def rule_of(recipe: Recipe) -> tuple[Callable, dict[str, Any]]:
    """What makes the recipe's rule, and the options for it."""
    make = resolve(recipe.rule.name, rules, Rule, "rule.name")
    return make, constructor_options(make, recipe.rule.options, "rule")


def build_rule(recipe: Recipe) -> Rule:
    """The recipe's rule."""
    make, options = rule_of(recipe)
    return _named("rule", make, **options)


def build_task(recipe: Recipe) -> RolloutTask:
    """The task, with everything about it checked: its environments can be made, and the network fits them."""
    section = recipe.task
    task = RolloutTask(
        env=section.env,
        policy=policy_of(recipe),
        env_options=section.env_options,
        variations=section.variations,
        rules=LifeRules(section.horizon, section.idle, section.grace, section.patience),
        squash=section.squash,
        batch=section.batch,
        measures=section.measures,
        normalise=section.normalise,
        fresh=section.fresh,
    )
    task.check()
    check_range("genome length", task.layout.size, low=1)
    return task


def policy_of(recipe: Recipe, controls: Sequence[str] = ()) -> PolicyFactory:
    """What makes the recipe's policy, under its own controls and some more."""
    policy = recipe.policy.model_dump(exclude_none=True, exclude={"controls"})
    if recipe.policy.front:
        policy["front"] = _named("policy.front", ConvolutionalFront, **policy["front"])
    make = partial(PlasticNetwork, rule=build_rule(recipe), **policy)
    words = [*recipe.policy.controls, *controls]
    return partial(controlled, make, Controls.parse(words)) if words else make


def _named(section: str, make: Callable, *args: Any, **options: Any) -> Any:
    """``make``, its complaints about an argument named as the recipe names it."""
    try:
        return make(*args, **options)
    except ArgumentError as error:
        raise RecipeError(f"{section}.{error}") from error


def build_evaluator(
    recipe: Recipe, task: RolloutTask, cluster: str | None = None, note: Callable[[str], None] = print
) -> Evaluator:
    """This process, workers, or actors of a Ray cluster.

    Args:
        recipe: says how many, and what each may take.
        task: what they try.
        cluster: "auto" or the cluster's address; None = this machine.
        note: told what a person wants to know about the cluster.

    Raises:
        ArgumentError: the bodies would take more memory than the recipe allows.
        WorkerError: no process can be started, or there is no such cluster.
        MissingExtraError: a cluster is asked for, and Ray is not installed.
    """
    chosen = recipe.evaluate
    if cluster is not None:
        return ClusterEvaluator(
            task,
            cluster,
            workers=None if chosen.workers == "auto" else chosen.workers,
            cpus=chosen.cpus,
            gpus=chosen.gpus,
            limit=chosen.limit,
            tries=chosen.tries,
            note=note,
        )
    workers = cores() if chosen.workers == "auto" else chosen.workers
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
    make, options = strategy_of(recipe)
    codec, merging = _named("rule", lambda: task.codec), None
    if recipe.merge:
        synapses = _named("rule", Synapses, task.layout, build_rule(recipe).shared)
        merges = [Merge(each.generation, each.groups) for each in recipe.merge]
        merging = Merging(synapses, codec, merges, recipe.seed)
    center = recipe.search.center_std * normal(stream(recipe.seed, "center"), codec.layout.size)
    return Evolution(
        _named("search", make, center, seed=recipe.seed, **options),
        evaluator,
        seed=recipe.seed,
        episodes=recipe.task.episodes,
        selection=Selection(**recipe.selection.model_dump()),
        max_failed=recipe.max_failed,
        progress=progress,
        statistics=Statistics.nothing(task.inputs) if task.normalise else None,
        codec=codec,
        merging=merging,
    )
