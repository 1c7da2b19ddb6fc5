"""Our tasks as problems of EvoTorch, for people who bring their own searcher and loggers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, TrialError, check_shape, require
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.kinds.workers import build_evaluator
from neuroplastic.experiment.models import EvolutionRecipe, Recipe
from neuroplastic.experiment.recipe import load_recipe, of_kind
from neuroplastic.learners.evolution import Decoded
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation
from neuroplastic.search.shaping import raw
from neuroplastic.tasks.statistics import Statistics

evotorch = require("evotorch", "evotorch")


class RecipeProblem(evotorch.Problem):
    """The task of a recipe; its search section is not used, but for ``center_std``.

    Each batch that a searcher evaluates lives in fresh episodes, the same for all of it. Our own evaluators try it:
    workers, their faults and the numbers are those of ``neuroplastic evolve``, and EvoTorch's actors are not needed.
    Members that fail count as the worst of their batch. A context manager that frees the workers.

        with RecipeProblem("cartpole-hebbian") as problem:
            searcher = evotorch.algorithms.SNES(problem, stdev_init=0.5, popsize=40)
            evotorch.logging.StdOutLogger(searcher)
            searcher.run(50)
            problem.agent(searcher.status["center"]).save(Path("cartpole.safetensors"))

    Args:
        recipe: a recipe's name or file, or a `Recipe`.
        overrides: ``key=value`` words.

    Attributes:
        recipe: as resolved.
        evaluations, steps: done so far: lives, and steps of their environments.
        statistics: of observations so far, by which the next batch is normalised; None if the recipe does not.

    Raises:
        RecipeError, ArgumentError, SpaceError, MissingExtraError: the recipe cannot be tried.
        TrialError: by an evaluation, more than the recipe's ``max_failed`` of a batch failed.
    """

    def __init__(self, recipe: Recipe | str | Path, overrides: Iterable[str] = ()) -> None:
        if isinstance(recipe, Recipe) and list(overrides):
            raise ArgumentError("overrides: expected none with a recipe that is made already; got some")
        loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
        self.recipe = checked(of_kind(loaded, EvolutionRecipe))
        if self.recipe.merge:
            raise ArgumentError("merge: expected none, as another library's searcher knows of no merges; got some")
        self._task = build_task(self.recipe)
        self._codec = self._task.codec
        self._evaluator = build_evaluator(self.recipe, self._task)
        self.evaluations = self.steps = self._batches = 0
        self.statistics = Statistics.nothing(self._task.inputs) if self._task.normalise else None
        reach = self.recipe.search.center_std
        super().__init__(
            "max",
            solution_length=self._codec.layout.size,
            initial_bounds=(-reach, reach),
            dtype=torch.float32,
            eval_dtype=torch.float64,
            seed=self.recipe.seed,
        )

    def _fill(self, values: Tensor) -> None:
        """First members, where the searcher does not make them itself: as the recipe's search draws its center."""
        self.make_gaussian(out=values, center=0.0, stdev=self.recipe.search.center_std)

    def _evaluate_batch(self, batch: Any) -> None:
        seeds = episode_seeds(self.recipe.seed, "train", self._batches, self.recipe.task.episodes)
        members = Decoded(DensePopulation(batch.values.detach().as_subclass(Tensor).cpu()), self._codec)
        tried = self._evaluator.evaluate(members, seeds, self.statistics)
        fitness = tried.fitness.mean(axis=1)
        failed = np.isnan(fitness).mean()
        if failed > self.recipe.max_failed:
            raise TrialError(f"batch {self._batches}: {failed:.0%} of the members failed: {dict(tried.failures)}")
        batch.set_evals(torch.from_numpy(raw(fitness)))
        self._batches += 1
        self.evaluations += tried.fitness.size
        self.steps += int(tried.steps.sum())
        if self.statistics is not None and tried.statistics is not None:
            self.statistics = self.statistics.merge(tried.statistics.total())

    def agent(self, values: Any) -> Agent:
        """A member, as its numbers [D'] or as a ``Solution``, as an agent: to be saved, evaluated and replayed.

        Raises:
            ShapeError: it has another length.
        """
        numbers = torch.as_tensor(values.values if isinstance(values, evotorch.Solution) else values)
        vector = numbers.as_subclass(Tensor).detach().to("cpu", torch.float32, copy=True)
        check_shape("values", vector, [self._codec.layout.size])
        return Agent(vector, self.recipe, self._task.layout, self._batches, self.statistics, self._codec)

    def close(self) -> None:
        """Frees the workers and environments."""
        self._evaluator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
