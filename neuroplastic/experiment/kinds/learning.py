"""From a recipe of update rules, and of what networks learn or remember by them, to what it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from neuroplastic.errors import RecipeError, check_name
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.cost import learner_cost, lives_left, search_cost
from neuroplastic.experiment.kinds.evolution import searching, strategy_of
from neuroplastic.experiment.kinds.job import Job
from neuroplastic.experiment.kinds.workers import build_evaluator
from neuroplastic.experiment.models import GradientSection, LearningRecipe, RecallRecipe, SelectionSection
from neuroplastic.experiment.options import constructor_options, named, resolve
from neuroplastic.genome import Codec, Identity, Layout
from neuroplastic.learned import Recall, Scaled, UpdateRule, rules
from neuroplastic.learners.estimators import estimators
from neuroplastic.learners.evolution import Evolution
from neuroplastic.learners.meta import Curriculum, MetaGradient
from neuroplastic.noise import normal, stream
from neuroplastic.tasks.data import Snippets, Source, sources
from neuroplastic.tasks.families import Family, families
from neuroplastic.tasks.learning import LearningTask
from neuroplastic.tasks.recall import RecallTask

FoundRule = LearningRecipe | RecallRecipe


def rule_of(recipe: FoundRule) -> tuple[Callable, dict[str, Any]]:
    """What makes the recipe's rule, and the options for it."""
    if isinstance(recipe, RecallRecipe):
        check_name("rule.name", recipe.rule.name, ["recall"])
        return Recall, constructor_options(Recall, recipe.rule.options, "rule", ours=("types",))
    make = resolve(recipe.rule.name, rules, UpdateRule, "rule.name")
    return make, constructor_options(make, recipe.rule.options, "rule")


def estimator_of(gradient: GradientSection) -> tuple[Callable, dict[str, Any]]:
    """What makes the recipe's estimator, and the options for it."""
    check_name("gradient.name", gradient.name, estimators)
    make = estimators[gradient.name]
    return make, constructor_options(make, gradient.options, "gradient", ours=("task", "seed"))


def build_family(recipe: LearningRecipe) -> Family:
    """What there is to learn."""
    section = recipe.task
    parts = {part: getattr(section, part) for part in ("train", "validation", "held_out")}
    if bool(section.family) == any(parts.values()):
        raise RecipeError(
            "task: expected a family, or sources of its own for train, validation and held_out; got both or none"
        )
    shapes: dict[str, Any] = {"held_out_hidden": [tuple(hidden) for hidden in section.held_out_hidden]}
    if section.hidden is not None:
        shapes["hidden"] = [tuple(hidden) for hidden in section.hidden]
    if not section.family:
        own = {part: _sources(f"task.{part}", given) for part, given in parts.items()}
        return named("task", Family, **own, **shapes)
    check_name("task.family", section.family, families)
    return named("task", families[section.family], **shapes)


def _sources(key: str, given: Mapping[str, Mapping[str, Any]]) -> dict[str, Source]:
    made = {}
    for name, options in given.items():
        kind = options.get("source", name)
        check_name(f"{key}.{name}.source", kind, sources)
        rest = {option: value for option, value in options.items() if option != "source"}
        checked = constructor_options(sources[kind], rest, f"{key}.{name}")
        made[name] = named(f"{key}.{name}", sources[kind], **checked)
    return made


def build_task(recipe: FoundRule, part: str = "train") -> LearningTask | RecallTask:
    """What genomes are tried on; of what networks learn, a part of the family."""
    make, options = rule_of(recipe)
    if isinstance(recipe, RecallRecipe):
        section = recipe.task
        rule = named("rule", make, types=(0,) * section.numbers, **options)
        snippets = named("task", Snippets, section.numbers, section.missing)
        return named("task", RecallTask, rule, snippets, length=section.length, batch=section.batch)
    rule, section = named("rule", make, **options), recipe.task
    return LearningTask(
        rule,
        build_family(recipe),
        part,
        updates=section.updates,
        samples=section.samples,
        exam=section.exam,
        fitness=section.fitness,
        batch=section.batch,
    )


def codec_of(task: LearningTask | RecallTask) -> Codec:
    """What makes genomes of what evolves: numbers of like size, where the rule says of what size they are."""
    return Scaled(task.rule) if isinstance(task, LearningTask) else Identity(task.layout)


def start(task: LearningTask | RecallTask, seed: int) -> Tensor:
    """A genome [D], float64, to start from."""
    return task.rule.drawn(seed) if isinstance(task, LearningTask) else task.rule.random(seed)


def build_search(recipe: FoundRule, evaluator: Evaluator, progress: Progress | None = None) -> Evolution:
    """The learner that searches, at its generation 0."""
    assert recipe.search is not None
    task = build_task(recipe)
    codec, center = codec_of(task), start(task, recipe.seed)
    center = (codec.encode(center) if isinstance(codec, Scaled) else center).float()
    center = center + recipe.search.center_std * normal(stream(recipe.seed, "center"), len(center))
    return searching(recipe, recipe.search, center, evaluator, progress=progress, codec=codec)


def build_descent(recipe: FoundRule) -> MetaGradient:
    """The learner that follows a gradient, at its generation 0."""
    gradient, task = recipe.gradient, build_task(recipe)
    assert gradient is not None
    make, options = estimator_of(gradient)
    genomes = [start(task, recipe.seed * gradient.genomes + number).float() for number in range(gradient.genomes)]
    return MetaGradient(
        named("gradient", make, task, seed=recipe.seed, **options),
        task if isinstance(recipe, RecallRecipe) else build_task(recipe, "validation"),
        torch.stack(genomes),
        curriculum=named("gradient", Curriculum, gradient.first, task.length, gradient.growing),
        optimizer=gradient.optimizer,
        learning_rate=gradient.learning_rate,
        clip=gradient.clip,
        every=gradient.validate_every,
        episodes=gradient.validation_episodes,
        seed=recipe.seed,
    )


class LearningKind:
    """Update rules, found by what networks learn or remember with them."""

    def resolved(self, recipe: FoundRule) -> FoundRule:
        if (recipe.search is None) == (recipe.gradient is None):
            raise RecipeError("recipe: expected a section [search] or a section [gradient]; got both or none")
        changed: dict[str, Any] = {"rule": recipe.rule.model_copy(update=rule_of(recipe)[1])}
        if recipe.search:
            changed["search"] = recipe.search.model_copy(update=strategy_of(recipe.search)[1])
        if recipe.gradient:
            changed["gradient"] = recipe.gradient.model_copy(update=estimator_of(recipe.gradient)[1])
            if recipe.selection != SelectionSection() or recipe.task.episodes != 1:
                raise RecipeError(
                    "selection, task.episodes: expected none with a gradient, which has gradient.validate_every and "
                    "episodes of its own; got some"
                )
        return recipe.model_copy(update=changed)

    def check(self, recipe: FoundRule) -> None:
        if recipe.search:
            build_search(recipe, SerialEvaluator(build_task(recipe)))
        else:
            build_descent(recipe)

    @contextmanager
    def job(
        self, recipe: FoundRule, cluster: str | None, progress: Progress, note: Callable[[str], None]
    ) -> Iterator[Job]:
        task = build_task(recipe)
        if recipe.gradient:
            if cluster is not None:
                raise RecipeError("--cluster: expected none, as a gradient is followed in one process")
            whole = recipe.model_copy(update={"gradient": recipe.gradient.model_copy(update={"first": task.length})})
            learner = build_descent(recipe)
            left = recipe.generations
            yield Job(learner, task.layout, lambda: learner_cost(build_descent(whole), left - learner.generation))
            return
        with build_evaluator(recipe, task, cluster, note) as evaluator:
            search = build_search(recipe, evaluator, progress)
            yield Job(search, task.layout, lambda: search_cost(recipe, search, build_task(recipe), life_steps(recipe)))

    def layout(self, recipe: FoundRule) -> Layout:
        return build_task(recipe).layout

    def codec(self, recipe: FoundRule, layout: Layout, state: Mapping[str, Tensor]) -> Codec:
        return codec_of(build_task(recipe))

    def nominal_steps(self, recipe: FoundRule) -> float:
        if recipe.gradient:
            make, options = estimator_of(recipe.gradient)
            task = build_task(recipe)
            estimator = make(task, **options)
            each = recipe.gradient.genomes * estimator.lives * estimator.updates(task.length)
            return float(recipe.generations * each)
        assert recipe.search is not None
        population = strategy_of(recipe.search)[1].get("population")
        return lives_left(recipe, population)[1] * life_steps(recipe) if population else float("nan")


def life_steps(recipe: FoundRule) -> float:
    """Updates of networks in a life, or snippets that are observed."""
    task = build_task(recipe)
    return float(task.updates * len(task.lessons) if isinstance(task, LearningTask) else task.length)
