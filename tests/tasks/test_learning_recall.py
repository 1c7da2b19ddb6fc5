"""The task of remembering snippets."""

import numpy as np
import pytest
import torch

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.learned.recall import Recall, hopfield
from neuroplastic.noise import episode_seeds, stream
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.data import Snippets
from neuroplastic.tasks.recall import RecallTask

RULE = Recall(types=(0,) * 10)


def task(**options) -> RecallTask:
    return RecallTask(RULE, Snippets(10, missing=0.4), **({"length": 3, "batch": 4} | options))


def test_a_trial_depends_on_genome_and_seed_alone() -> None:
    seed = int(np.random.default_rng().integers(10**6))
    members = DensePopulation(torch.stack([RULE.random(seed + n) for n in range(6)]).float())
    seeds = episode_seeds(seed, "train", 0, 2)
    together = task().evaluate(members, range(6), np.broadcast_to(seeds, (6, 2))).fitness
    assert (task().evaluate(members, [5], seeds[None, ::-1]).fitness[0] == together[5, ::-1]).all(), f"seed {seed}"


def test_fitness_is_the_share_of_missing_numbers_that_are_said_rightly() -> None:
    """Of a Hopfield net, whose recall is known."""
    seed, number = int(np.random.default_rng().integers(10**6)), 3
    rule, genome = hopfield(10, settle=1)
    tried = RecallTask(rule, Snippets(10, missing=0.4), length=number, dtype=torch.float64)
    fitness = tried.evaluate(DensePopulation(genome[None]), [0], np.array([[seed]])).fitness.item()
    snippets, cues = Snippets(10, missing=0.4).draw(stream(seed, "recall"), number)
    stored = snippets.T @ snippets
    stored.fill_diagonal_(0)
    said = torch.sign(snippets[-1] @ stored)
    missing = cues == 0
    right = (said == snippets) & missing
    assert fitness == pytest.approx(float(right.sum() / missing.sum())), f"seed {seed}"


def test_a_life_in_parts_is_a_life_in_one() -> None:
    genomes, seeds = torch.stack([RULE.random(n) for n in range(2)]), np.array([4, 7])
    whole = task().advance(task().begin(genomes, seeds), genomes, seeds, 0, 3, every=True)
    first, early = task().advance(task().begin(genomes, seeds), genomes, seeds, 0, 2, every=True)
    second, late = task().advance(first, genomes, seeds, 2, 1)
    torch.testing.assert_close(torch.cat((early, late), 1), whole[1], rtol=1e-12, atol=1e-12)
    for name, array in whole[0].items():
        torch.testing.assert_close(second[name], array, rtol=1e-12, atol=1e-12)


def test_a_diverging_genome_fails() -> None:
    genomes = torch.stack([RULE.random(n) for n in range(2)]).float()
    genomes[0] = torch.nan
    found = task().evaluate(DensePopulation(genomes), [0, 1], np.array([[1], [1]]))
    assert np.isnan(found.fitness[0, 0])
    assert 0 <= found.fitness[1, 0] <= 1
    assert found.failures == {"diverged": 1}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match="snippets: expected as many numbers as the rule has neurons, 10; got 8"):
        RecallTask(RULE, Snippets(8))
    with pytest.raises(ArgumentError, match="snippets: expected something to be missing"):
        RecallTask(RULE, Snippets(10, missing=0.05))
    with pytest.raises(ArgumentError, match="task.length"):
        task(length=0)
    with pytest.raises(ShapeError, match="genomes"):
        task().evaluate(DensePopulation(torch.zeros(1, 3)), [0], np.array([[1]]))
