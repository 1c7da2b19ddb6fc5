"""Selection against counting all tournaments, mutation against its draws."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroplastic import noise
from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.search import breeding

seeds = st.integers(0, 2**63)
few = st.sampled_from([-np.inf, -1.5, 0.0, 2.0, np.inf, np.nan])  # so that ties happen
fitnesses = st.integers(1, 30).flatmap(lambda size: arrays(np.float64, size, elements=st.one_of(few, st.floats())))


def place(fitness: float) -> tuple[bool, float]:
    """Sorts as fitness does, NaN first."""
    return (False, 0.0) if np.isnan(fitness) else (True, fitness)


# ------------------------------------------------------------------------------------------- selection


@settings(deadline=None)
@given(seeds, st.integers(2, 7), st.integers(1, 4), st.booleans())
def test_over_all_tournaments_each_wins_as_often_as_its_closed_form_says(seed, N, size, one_failed):
    fitness = np.random.default_rng(seed).permutation(N) * 1.5
    order = fitness.argsort()
    fitness[order[0]] = np.nan if one_failed else fitness[order[0]]
    entrants = torch.tensor(list(itertools.product(range(N), repeat=size)))
    wins = breeding.winners(fitness, entrants).bincount(minlength=N)
    assert wins[order].tolist() == [r**size - (r - 1) ** size for r in range(1, N + 1)]


@settings(deadline=None)
@given(fitnesses, seeds, st.integers(1, 20), st.integers(1, 5))
def test_a_tournament_is_won_by_the_first_of_its_fittest(fitness, seed, count, size):
    drawn = (noise.uniform(seed, count * size).double().numpy() * len(fitness)).astype(int).reshape(count, size)
    expected = [max(entrants, key=lambda i: place(fitness[i])) for entrants in drawn]
    assert breeding.tournament(fitness, count, size, seed).tolist() == expected


@settings(deadline=None)
@given(fitnesses)
def test_the_fittest_come_first_and_the_earlier_of_equals(fitness):
    expected = sorted(range(len(fitness)), key=lambda i: place(fitness[i]), reverse=True)  # stable in reverse too
    assert breeding.fittest(fitness).tolist() == expected
    assert breeding.fittest(torch.from_numpy(fitness)).tolist() == expected


@settings(deadline=None)
@given(fitnesses, seeds, st.floats(0.01, 1))
def test_truncation_draws_evenly_from_the_best_share(fitness, seed, share):
    best = breeding.fittest(fitness)[: math.ceil(share * len(fitness))]
    drawn = (noise.uniform(seed, 50).double() * len(best)).long()
    assert torch.equal(breeding.truncation(fitness, 50, share, seed), best[drawn])


def test_what_cannot_be_selected_is_refused():
    with pytest.raises(ArgumentError, match="size: expected"):
        breeding.tournament([1.0], 3, 0, 1)
    with pytest.raises(ArgumentError, match="share: expected"):
        breeding.truncation([1.0], 3, 0.0, 1)
    with pytest.raises(ArgumentError, match="members: expected"):
        breeding.tournament([], 3, 2, 1)
    with pytest.raises(ShapeError, match="fitness: expected"):
        breeding.fittest([[1.0]])


# ------------------------------------------------------------------------------------------- crossover and mutation

genomes_of = st.sampled_from([(7,), (1,), (3, 50), (2, 3, 4)])
rates = st.sampled_from([0.0, 0.3, 1.0])
dtypes = st.sampled_from([torch.float32, torch.float64])


def genomes(seed: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def which(stream: int, like: torch.Tensor, rate: float) -> torch.Tensor:
    return noise.uniform(noise.stream(stream, "which"), like.numel()).reshape(like.shape) < rate


@settings(deadline=None)
@given(seeds, genomes_of, rates, dtypes)
def test_gaussian_mutation_adds_its_noise_where_it_chose(seed, shape, rate, dtype):
    before = genomes(seed, shape, dtype)
    kept = before.clone()
    after = breeding.mutate_gaussian(before, rate, 0.25, seed)
    chosen = which(seed, before, rate)
    drawn = noise.normal(noise.stream(seed, "value"), int(chosen.sum()))
    assert after.dtype == dtype
    assert torch.equal(after[chosen], before[chosen] + 0.25 * drawn.to(dtype))
    assert torch.equal(after[~chosen], before[~chosen])
    assert torch.equal(before, kept)


@settings(deadline=None)
@given(seeds, genomes_of, rates, dtypes)
def test_bits_flip_where_it_chose(seed, shape, rate, dtype):
    before = (genomes(seed, shape, dtype) > 0).to(dtype)
    after = breeding.mutate_bits(before, rate, seed)
    assert after.dtype == dtype
    assert torch.equal(after != before, which(seed, before, rate))
    assert set(after.unique().tolist()) <= {0, 1}


@settings(deadline=None)
@given(seeds, genomes_of, dtypes)
def test_a_child_has_each_gene_from_one_of_its_parents(seed, shape, dtype):
    one, other = genomes(seed, shape, dtype), genomes(seed + 1, shape, dtype)
    child = breeding.uniform_crossover(one, other, seed)
    first = noise.uniform(seed, one.numel()).reshape(shape) < 0.5
    assert torch.equal(child[first], one[first])
    assert torch.equal(child[~first], other[~first])


integers = st.tuples(st.integers(-(2**21), 2**21), st.integers(1, 2**22), st.one_of(st.none(), st.integers(1, 5)))


@settings(deadline=None)
@given(seeds, genomes_of, rates, dtypes, integers)
def test_integers_become_others_within_step_and_bounds(seed, shape, rate, dtype, integers):
    lower, width, step = integers
    upper = min(lower + width, 2**22)
    before = torch.from_numpy(np.random.default_rng(seed).integers(lower, upper, shape, endpoint=True)).to(dtype)
    after = breeding.mutate_integer(before, rate, lower, upper, seed, step)
    assert after.dtype == dtype
    assert torch.equal(after != before, which(seed, before, rate))
    assert torch.equal(after, after.round())
    assert after.min() >= lower
    assert after.max() <= upper
    assert step is None or (after - before).abs().max() <= step


@pytest.mark.parametrize("step", [None, 1, 2])
@pytest.mark.parametrize("gene", [3, 4, 6, 8])
def test_all_other_integers_are_equally_probable(monkeypatch, gene, step):
    low, high = (3, 8) if step is None else (max(3, gene - step), min(8, gene + step))
    others = [value for value in range(low, high + 1) if value != gene]
    count = 100 * len(others)
    evenly = (torch.arange(count) + 0.5) / count
    monkeypatch.setattr(breeding.noise, "uniform", lambda stream, count: evenly)
    after = breeding.mutate_integer(torch.full([count], float(gene)), 1.0, 3, 8, 1, step)
    assert after.unique(return_counts=True)[0].tolist() == others
    assert after.unique(return_counts=True)[1].tolist() == [100] * len(others)


def test_genes_beyond_the_bounds_count_as_the_nearest():
    after = breeding.mutate_integer(torch.tensor([-5.0, 99.0]), 1.0, 0, 3, 1, step=1)
    assert after.tolist() == [1, 2]


def test_what_cannot_be_mutated_is_refused():
    genes = torch.zeros(3)
    with pytest.raises(ArgumentError, match="rate: expected"):
        breeding.mutate_bits(genes, 1.5, 1)
    with pytest.raises(ArgumentError, match="rate: expected"):
        breeding.mutate_gaussian(genes, float("nan"), 1.0, 1)
    with pytest.raises(ArgumentError, match="lower, upper: expected"):
        breeding.mutate_integer(genes, 1.0, 3, 3, 1)
    with pytest.raises(ArgumentError, match="lower, upper: expected"):
        breeding.mutate_integer(genes, 1.0, 0, 2**22 + 1, 1)
    with pytest.raises(ArgumentError, match="step: expected"):
        breeding.mutate_integer(genes, 1.0, 0, 3, 1, step=0)
