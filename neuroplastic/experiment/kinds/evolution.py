"""From a recipe of lives in environments to what it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from neuroplastic.errors import RecipeError, check_range
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.cost import Searching, lives_left, search_cost
from neuroplastic.experiment.kinds.job import Job
from neuroplastic.experiment.kinds.workers import body_megabytes, build_evaluator
from neuroplastic.experiment.models import EvolutionRecipe, PolicySection, SearchSection, StartedSearchSection
from neuroplastic.experiment.options import constructor_options, named, resolve
from neuroplastic.genome import Codec, Identity, Layout
from neuroplastic.learned import LearnedPolicy, Scaled, UpdateRule
from neuroplastic.learned import rules as learned_rules
from neuroplastic.learners.evolution import Evolution, Selection
from neuroplastic.learners.merging import Merge, Merging
from neuroplastic.noise import normal, stream
from neuroplastic.plastic import ConvolutionalFront, rules
from neuroplastic.plastic.controls import Controls, controlled
from neuroplastic.plastic.device import named_device
from neuroplastic.plastic.network import PlasticNetwork
from neuroplastic.plastic.rules import Rule
from neuroplastic.plastic.sharing import Synapses, restored
from neuroplastic.search import adapted, strategies
from neuroplastic.search.base import Strategy
from neuroplastic.tasks.bodies import step_limit
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.rollout import PolicyFactory, RolloutTask
from neuroplastic.tasks.statistics import Statistics

PROBE = 100
"""Steps of a life by which the machine's speed is told."""


def strategy_of(search: SearchSection | StartedSearchSection) -> tuple[Callable, dict[str, Any]]:
    """What makes a recipe's strategy, and the options for it."""
    make = adapted(search.name) or resolve(search.name, strategies, Strategy, "search.name")
    return make, constructor_options(make, search.options, "search", ours=("center", "seed"))


def rule_of(recipe: EvolutionRecipe) -> tuple[Callable, dict[str, Any]]:
    """What makes the recipe's rule, and the options for it."""
    learned = recipe.policy.learned is not None
    known, base = (learned_rules, UpdateRule) if learned else (rules, Rule)
    make = resolve(recipe.rule.name, known, base, "rule.name")
    return make, constructor_options(make, recipe.rule.options, "rule")


def build_rule(recipe: EvolutionRecipe) -> Any:
    """The recipe's rule: a `Rule`, or an `UpdateRule` where ``policy.learned`` says so."""
    make, options = rule_of(recipe)
    return named("rule", make, **options)


def build_task(recipe: EvolutionRecipe) -> RolloutTask:
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
        crews=crews_of(recipe),
        measures=section.measures,
        normalise=section.normalise,
        fresh=section.fresh,
    )
    task.check()
    check_range("genome length", task.layout.size, low=1)
    return task


def crews_of(recipe: EvolutionRecipe) -> int:
    """Parts of the batch that take turns."""
    section = recipe.task
    if section.crews != "auto":
        return section.crews
    return min(2, section.batch) if named_device(recipe.device).type == "cuda" and not recipe.policy.learned else 1


def policy_of(recipe: EvolutionRecipe, controls: Sequence[str] = ()) -> PolicyFactory:
    """What makes the recipe's policy, under its own controls and some more."""
    section = recipe.policy
    words = [*section.controls, *controls]
    if section.learned:
        plain = PolicySection(hidden=section.hidden, learned=section.learned, controls=section.controls)
        for key, value in section.model_dump(exclude={"hidden", "learned", "controls"}).items():
            if value != getattr(plain, key):
                raise RecipeError(f"policy.{key}: expected none beside policy.learned; got {value!r}")
        if recipe.device not in ("cpu", "auto"):
            raise RecipeError(f"device: expected 'cpu', where policy.learned is computed; got {recipe.device!r}")
        learned = section.learned.model_dump()
        make = partial(LearnedPolicy, rule=build_rule(recipe), hidden=section.hidden, seed=recipe.seed, **learned)
    else:
        policy = section.model_dump(exclude_none=True, exclude={"controls"})
        device = named_device(recipe.device)
        policy["device"] = str(device)
        if device.type == "cuda" and section.backend == "cpu":
            policy["backend"] = "gpu"
        if section.front:
            policy["front"] = named("policy.front", ConvolutionalFront, **policy["front"])
        make = partial(PlasticNetwork, rule=build_rule(recipe), **policy)
    return partial(controlled, make, Controls.parse(words)) if words else make


def build_learner(
    recipe: EvolutionRecipe, task: RolloutTask, evaluator: Evaluator, progress: Progress | None = None
) -> Evolution:
    """The learner at its generation 0."""
    codec, merging = named("rule", lambda: task.codec), None
    if recipe.merge:
        if recipe.policy.learned:
            raise RecipeError("merge: expected none with policy.learned, where all synapses share a rule; got some")
        synapses = named("rule", Synapses, task.layout, build_rule(recipe).shared)
        merges = [Merge(each.generation, each.groups) for each in recipe.merge]
        merging = Merging(synapses, codec, merges, recipe.seed)
    center = recipe.search.center_std * normal(stream(recipe.seed, "center"), codec.layout.size)
    if isinstance(codec, Scaled):
        center = center + codec.random(recipe.seed).to(center)
    statistics = Statistics.nothing(task.inputs) if task.normalise else None
    more = {"progress": progress, "statistics": statistics, "codec": codec, "merging": merging}
    learner = searching(recipe, recipe.search, center, evaluator, **more)
    if recipe.policy.coefficients == "made":
        _check_sampled(learner)
    return learner


def _check_sampled(learner: Evolution) -> None:
    """Refuses coefficients that are to be made by kernels where members are not drawn around a center."""
    population = deepcopy(learner.strategy).ask()
    if not isinstance(learner.codec, Identity) or population.sample([0]) is None:
        raise RecipeError(
            "policy.coefficients: expected 'float32' or 'bfloat16', as 'made' is for searches that draw members around "
            "a center (openai-es, pgpe, snes without bounds) and rules without sharing; got 'made'"
        )


def searching(
    recipe: Searching, search: SearchSection | StartedSearchSection, center: Tensor, evaluator: Evaluator, **more: Any
) -> Evolution:
    """The learner around a recipe's strategy, which starts at ``center``; ``more`` is for `Evolution`."""
    make, options = strategy_of(search)
    return Evolution(
        named("search", make, center, seed=recipe.seed, **options),
        evaluator,
        seed=recipe.seed,
        episodes=recipe.task.episodes,
        selection=Selection(**recipe.selection.model_dump()),
        max_failed=recipe.max_failed,
        **more,
    )


class EvolutionKind:
    """Lives in environments, and the genomes that they are of."""

    def resolved(self, recipe: EvolutionRecipe) -> EvolutionRecipe:
        (_, search), (_, rule) = strategy_of(recipe.search), rule_of(recipe)
        return recipe.model_copy(
            update={
                "search": recipe.search.model_copy(update=search),
                "rule": recipe.rule.model_copy(update=rule),
            }
        )

    def check(self, recipe: EvolutionRecipe) -> None:
        task = build_task(recipe)
        build_learner(recipe, task, SerialEvaluator(task))

    @contextmanager
    def job(
        self, recipe: EvolutionRecipe, cluster: str | None, progress: Progress, note: Callable[[str], None]
    ) -> Iterator[Job]:
        task = build_task(recipe)
        with build_evaluator(recipe, task, cluster, note) as evaluator:
            learner = build_learner(recipe, task, evaluator, progress)
            short = replace(task, rules=replace(task.rules, horizon=task.rules.idle + PROBE))
            if cluster is not None:  # its driver may have no GPU; how long a step takes is up to the environment
                short = replace(short, policy=policy_of(recipe.model_copy(update={"device": "cpu"})), crews=1)
            yield Job(
                learner,
                task.layout,
                lambda: search_cost(recipe, learner, short, life_steps(recipe), body_megabytes(task)),
            )

    def layout(self, recipe: EvolutionRecipe) -> Layout:
        return build_task(recipe).layout

    def codec(self, recipe: EvolutionRecipe, layout: Layout, state: Mapping[str, Tensor]) -> Codec:
        rule = build_rule(recipe)
        if recipe.policy.learned:
            return Scaled(rule)
        return restored(rule, layout, state, [merge.groups for merge in recipe.merge or ()])

    def nominal_steps(self, recipe: EvolutionRecipe) -> float:
        population = strategy_of(recipe.search)[1].get("population")
        return lives_left(recipe, population)[1] * life_steps(recipe) if population else float("nan")


def life_steps(recipe: EvolutionRecipe) -> float:
    """Environment steps of a life in all variations at most; infinite if nothing bounds it."""
    task = recipe.task
    limits = [step_limit(task.env, {**task.env_options, **variation}, task.horizon) for variation in task.variations]
    return float(sum(float("inf") if limit is None else limit for limit in limits))
