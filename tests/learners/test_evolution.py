"""What the learner asks of its evaluator, and what it does with the answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from neuroplastic.errors import TrialError
from neuroplastic.evaluate.base import Evaluator, Progress, seeds_of_all
from neuroplastic.learners.evolution import Evolution, Selection, WithCenter
from neuroplastic.search import OpenAIES, RandomSearch
from neuroplastic.search.base import DensePopulation, Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics

PURPOSES = {"train": 1, "selection": 2}


@dataclass
class Script(Evaluator):
    """Scores genomes by a function of (genome, seeds), and remembers what it was asked."""

    score: Callable[[np.ndarray, np.ndarray], np.ndarray]
    asked: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def evaluate(
        self,
        population: Population,
        seeds: np.ndarray,
        shared: Statistics | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        rows = population.rows(range(len(population))).numpy()
        seeds = seeds_of_all(population, seeds)
        self.asked.append((rows, seeds))
        fitness = np.stack([self.score(row, own) for row, own in zip(rows, seeds, strict=True)])
        return Evaluation(fitness.astype(float), np.full(fitness.shape, 10))

    def close(self) -> None: ...


def sphere(genome: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    return np.full(len(seeds), -float(np.square(genome - 1).sum()))


def learner(evaluator: Evaluator, **options) -> Evolution:
    strategy = OpenAIES(torch.randn(6), population=10, sigma=0.1, learning_rate=0.1)
    return Evolution(strategy, evaluator, seed=5, **options)


def test_every_generation_has_fresh_seeds_that_all_members_share() -> None:
    script = Script(sphere)
    evolution = learner(script, episodes=3, selection=Selection(every=100))
    for _ in range(4):
        evolution.step()
    seen = [seeds for rows, seeds in script.asked if len(rows) == 11]
    for seeds in seen:
        assert seeds.shape == (11, 3)
        assert (seeds == seeds[0]).all()
        assert (seeds & 3 == PURPOSES["train"]).all()
    assert len(np.unique([seeds[0] for seeds in seen])) == 4 * 3


def test_the_center_is_tried_beside_the_members() -> None:
    script = Script(sphere)
    evolution = learner(script)
    center = evolution.strategy.center.numpy().copy()
    members = evolution.strategy.ask()
    metrics = evolution.step()
    rows, _ = script.asked[0]
    np.testing.assert_array_equal(rows[-1], center)
    np.testing.assert_array_equal(rows[:-1], members.rows(range(10)).numpy())
    fitness = -np.square(rows - 1).sum(axis=1)
    np.testing.assert_allclose(
        [metrics["best"], metrics["mean"], metrics["center"]],
        [fitness[:-1].max(), fitness[:-1].mean(), fitness[-1]],
        rtol=1e-5,
    )


def test_the_strategy_is_told_the_members_in_their_order() -> None:
    script = Script(lambda genome, seeds: genome[: len(seeds)])
    evolution = learner(script, episodes=2)
    told = []
    evolution.strategy._learn = lambda population, fitness: told.append(fitness)  # pyright: ignore
    evolution.step()
    np.testing.assert_allclose(told[0], script.asked[0][0][:-1, :2].mean(axis=1), rtol=1e-6)


def test_best_is_chosen_on_fresh_seeds_among_the_top_the_center_and_the_best_so_far() -> None:
    luck = np.random.default_rng()

    def noisy_in_training(genome: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        noise = 50 * luck.normal(size=len(seeds)) if seeds[0] & 3 == PURPOSES["train"] else 0
        return sphere(genome, seeds) + noise

    script = Script(noisy_in_training)
    evolution = learner(script, selection=Selection(every=2, top=4, episodes=5))
    for generation in range(6):
        before = evolution.best.genome.numpy().copy()
        metrics = evolution.step()
        assert ("selected" in metrics) == (generation in (0, 1, 3, 5))
        if "selected" not in metrics:
            np.testing.assert_array_equal(evolution.best.genome, before)
            continue
        (members, _), (candidates, seeds) = script.asked[-2:]
        assert seeds.shape == (6, 5)
        assert (seeds & 3 == PURPOSES["selection"]).all()
        np.testing.assert_array_equal(candidates[0], before)
        np.testing.assert_array_equal(candidates[1], members[-1])
        assert all(any((row == member).all() for member in members[:-1]) for row in candidates[2:])
        true = -np.square(candidates - 1).sum(axis=1)
        np.testing.assert_array_equal(evolution.best.genome, candidates[true.argmax()])
        np.testing.assert_allclose(metrics["selected"], true.max(), rtol=1e-5)


def test_an_evaluation_that_is_interrupted_leaves_the_learner_as_it_was() -> None:
    class Interrupted(Exception): ...

    def interrupted(genome: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        if seeds[0] & 3 == PURPOSES["selection"]:
            raise Interrupted
        return sphere(genome, seeds)

    evolution = learner(Script(interrupted), selection=Selection(every=1))
    before = evolution.state_dict()
    with pytest.raises(Interrupted):
        evolution.step()
    after = evolution.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(after[name])), name


def test_failed_members_rank_last_and_too_many_stop_the_run() -> None:
    def fails(share: float) -> Script:
        count = iter(range(10**6))
        return Script(
            lambda genome, seeds: (
                np.full(len(seeds), np.nan) if next(count) % 11 < 10 * share else sphere(genome, seeds)
            )
        )

    tolerant = learner(fails(0.4), selection=Selection(every=9))
    assert np.isfinite(tolerant.step()["mean"])
    with pytest.raises(TrialError, match="70% of the members failed.*50%"):
        learner(fails(0.7), selection=Selection(every=9)).step()


def test_state_is_complete() -> None:
    whole, half = learner(Script(sphere)), learner(Script(sphere))
    half.load_state_dict(whole.state_dict())
    for _ in range(3):
        whole.step(), half.step()
    again = learner(Script(sphere))
    again.load_state_dict(half.state_dict())
    for _ in range(3):
        whole.step(), again.step()
    assert torch.equal(whole.strategy.center, again.strategy.center)
    assert torch.equal(whole.best.genome, again.best.genome)
    assert (whole.generation, whole.steps, whole.evaluations) == (again.generation, again.steps, again.evaluations)


def test_random_search_keeps_its_best() -> None:
    evolution = Evolution(RandomSearch(torch.zeros(6), population=20), Script(sphere), seed=1)
    for _ in range(5):
        evolution.step()
    rows = np.concatenate([rows[:-1] for rows, seeds in evolution.evaluator.asked if len(rows) == 21])  # pyright: ignore
    best = rows[(-np.square(rows - 1).sum(axis=1)).argmax()]
    np.testing.assert_allclose(evolution.found()["center"].genome, best, rtol=1e-6)


def test_with_center_gives_rows_in_any_order() -> None:
    members, center = torch.randn(5, 3), torch.randn(3)
    rows = WithCenter(DensePopulation(members), center).rows([5, 2, 0])
    assert torch.equal(rows, torch.stack([center, members[2], members[0]]))
