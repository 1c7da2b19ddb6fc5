"""A recipe as a problem of EvoTorch: its members get the fitness that our own evaluators give them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evotorch.algorithms import SNES

from neuroplastic.errors import ArgumentError, ShapeError, TrialError
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.problem import RecipeProblem
from neuroplastic.experiment.recipe import parse_recipe
from neuroplastic.experiment.scores import score
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation


def test_batches_live_in_fresh_episodes_of_our_own(tiny: dict[str, Any]) -> None:
    tiny["task"]["episodes"] = 2
    recipe = checked(parse_recipe(tiny))
    with RecipeProblem(recipe) as problem:
        for number in range(2):
            batch = problem.generate_batch(5)
            problem.evaluate(batch)
            rows = batch.values.as_subclass(torch.Tensor).clone()
            seeds = np.broadcast_to(episode_seeds(recipe.seed, "train", number, 2), (5, 2))
            expected = build_task(recipe).evaluate(DensePopulation(rows), range(5), seeds)
            np.testing.assert_array_equal(batch.evals[:, 0].numpy(), expected.fitness.mean(axis=1))
        assert problem.evaluations == 20


def test_a_searcher_of_theirs_runs_and_what_it_finds_is_an_agent(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["task"]["normalise"] = True
    with RecipeProblem(parse_recipe(tiny)) as problem:
        searcher = SNES(problem, stdev_init=0.5, popsize=10)
        searcher.run(3)
        agent = problem.agent(searcher.status["center"])
        with pytest.raises(ShapeError, match="values"):
            problem.agent([1.0, 2.0])
        assert torch.equal(problem.agent(searcher.status["best"]).genome, searcher.status["best"].values)
    agent.save(tmp_path / "agent.safetensors")
    found = Agent.load(tmp_path / "agent.safetensors")
    assert torch.equal(found.genome, torch.as_tensor(searcher.status["center"]).as_subclass(torch.Tensor))
    assert found.statistics is not None
    assert found.statistics.count > 0
    (scored,), failures = score(found, [{}], episodes=2)
    assert not failures
    assert np.isfinite(scored.returns).all()


def test_failures_end_it_only_when_there_are_too_many(tiny: dict[str, Any]) -> None:
    with RecipeProblem(parse_recipe(tiny)) as problem:
        values = torch.zeros(4, problem.solution_length)
        values[0] = float("nan")
        batch = problem.generate_batch(4)
        batch.set_values(values)
        problem.evaluate(batch)
        evals = batch.evals[:, 0].numpy()
        assert evals[0] == evals[1:].min()
        batch.set_values(torch.full_like(values, float("nan")))
        with pytest.raises(TrialError, match="100% of the members failed"):
            problem.evaluate(batch)


def test_words_need_a_recipe_that_is_not_made() -> None:
    with RecipeProblem("cartpole-hebbian", ["evaluate.workers=1", "search.center_std=0.25"]) as problem:
        assert problem.recipe.search.center_std == 0.25
        first = problem.generate_batch(400).values.as_subclass(torch.Tensor)
        assert float(first.std()) == pytest.approx(0.25, rel=0.05)
        with pytest.raises(ArgumentError, match="overrides"):
            RecipeProblem(problem.recipe, ["seed=2"])
