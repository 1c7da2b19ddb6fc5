"""From a recipe of paths through a super-network to what it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from math import inf
from typing import Any

from torch import Tensor

from neuroplastic.errors import ArgumentError, DamagedFileError, RecipeError, check_name, check_shape
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.experiment.cost import learner_cost
from neuroplastic.experiment.kinds.job import Job
from neuroplastic.experiment.kinds.workers import build_evaluator
from neuroplastic.experiment.models import PathNetRecipe
from neuroplastic.experiment.options import constructor_options, named
from neuroplastic.genome import Codec, Identity, Layout
from neuroplastic.learners.pathnet import Learned, PathNet, Stage, Tournament, recollect
from neuroplastic.pathnet import Convolution, Descent, Linear, Module, PathHistory, SuperNetwork, Tensors
from neuroplastic.pathnet import Identity as Same
from neuroplastic.tasks.pathnet.base import ScoredTask
from neuroplastic.tasks.pathnet.sequences import SEQUENCES

MODULES: dict[str, Callable[..., Module]] = {"linear": Linear, "convolution": Convolution, "identity": Same}
"""Kind of a module -> what makes it."""


def options_of(recipe: PathNetRecipe) -> dict[str, Any]:
    """The options of the recipe's sequence of tasks, every one."""
    check_name("task.name", recipe.task.name, SEQUENCES)
    return constructor_options(SEQUENCES[recipe.task.name], recipe.task.options, "task", ours=("seed",))


def build_tasks(recipe: PathNetRecipe) -> Sequence[ScoredTask]:
    """The tasks, in the order in which they are learned."""
    make = SEQUENCES[recipe.task.name]
    random = (
        {"seed": recipe.seed} if "seed" in signature(make).parameters else {}
    )  # of environments, trials have it all
    return named("task", make, **random, **options_of(recipe))


def build_network(recipe: PathNetRecipe, inputs: tuple[int, ...]) -> SuperNetwork:
    """The super-network, for observations of that shape."""
    section, modules = recipe.network, []
    for number, layer in enumerate(section.layers):
        key, given = f"network.layers.{number}", dict(layer)
        kind = given.pop("kind", "linear")
        check_name(f"{key}.kind", kind, MODULES)
        modules.append(named(key, MODULES[kind], **constructor_options(MODULES[kind], given, key)))
    if not modules:
        raise RecipeError("network.layers: expected one layer or more; got none")
    network = named("network", SuperNetwork.alike, inputs, modules, section.modules)
    readout = partial(Linear, activation="linear", gain=section.readout_gain)
    return named("network", SuperNetwork, network.inputs, network.layers, readout)


def tournament_of(recipe: PathNetRecipe) -> Tournament:
    """How the recipe's paths evolve."""
    return Tournament(**constructor_options(Tournament, recipe.tournament.options, "tournament"))


def build_learner(
    recipe: PathNetRecipe, evaluator: Evaluator | None = None, progress: Progress | None = None
) -> PathNet:
    """The learner at its first round."""
    tasks, section = build_tasks(recipe), recipe.task
    threshold = inf if section.threshold is None else section.threshold
    return PathNet(
        build_network(recipe, tasks[0].inputs),
        [Stage(task, section.rounds, threshold) for task in tasks],
        tournament=tournament_of(recipe),
        descent=Descent(**constructor_options(Descent, recipe.descent.options, "descent")),
        seed=recipe.seed,
        always_active=recipe.always_active,
        evaluator=evaluator,
        progress=progress,
    )


def rounds_of(recipe: PathNetRecipe) -> int:
    """Of all tasks at most."""
    return recipe.task.rounds * len(build_tasks(recipe))


def recalled(
    recipe: PathNetRecipe, parts: Mapping[str, Tensor]
) -> tuple[SuperNetwork, Tensors, list[Learned], PathHistory]:
    """The super-network, an agent's modules, what is kept of each learned task, and how it came to that.

    Raises:
        DamagedFileError: the agent has not what a path needs.
    """
    network = build_network(recipe, build_tasks(recipe)[0].inputs)
    try:
        tensors, learned, history = recollect(parts)
        born = network.birth(0)
        for name in network.parameters:
            check_shape(f"parts.tensors.{name}", tensors[name], list(born[name].shape))
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"agent: expected the modules of its path; {error!r}") from error
    return network, tensors, learned, history


class PathNetKind:
    """Paths through a super-network, on one task after the other."""

    def resolved(self, recipe: PathNetRecipe) -> PathNetRecipe:
        task = recipe.task.model_copy(update=options_of(recipe))
        tournament = constructor_options(Tournament, recipe.tournament.options, "tournament")
        descent = constructor_options(Descent, recipe.descent.options, "descent")
        return recipe.model_copy(
            update={
                "generations": recipe.generations or rounds_of(recipe),
                "task": task,
                "tournament": recipe.tournament.model_copy(update=tournament),
                "descent": recipe.descent.model_copy(update=descent),
            }
        )

    def check(self, recipe: PathNetRecipe) -> None:
        build_learner(recipe)

    @contextmanager
    def job(
        self, recipe: PathNetRecipe, cluster: str | None, progress: Progress, note: Callable[[str], None]
    ) -> Iterator[Job]:
        learner, left = build_learner(recipe, progress=progress), recipe.generations
        cost = lambda: learner_cost(build_learner(recipe), left - learner.generation)  # noqa: E731
        if tournament_of(recipe).exchange == "step":
            if cluster is not None:
                raise ArgumentError(
                    "--cluster: expected none for paths that share their gradients in every step; "
                    "it takes tournament.exchange=round"
                )
            yield Job(learner, self.layout(recipe), cost)
            return
        with build_evaluator(recipe, learner.trials, cluster, note) as evaluator:
            learner.evaluator = evaluator
            yield Job(learner, self.layout(recipe), cost)

    def layout(self, recipe: PathNetRecipe) -> Layout:
        return Layout((("path", (len(recipe.network.layers), tournament_of(recipe).genes)),))

    def codec(self, recipe: PathNetRecipe, layout: Layout, state: Mapping[str, Tensor]) -> Codec:
        return Identity(layout)

    def nominal_steps(self, recipe: PathNetRecipe) -> float:
        tournament = tournament_of(recipe)
        return float((recipe.generations or rounds_of(recipe)) * 2 * tournament.pairs * tournament.steps)
