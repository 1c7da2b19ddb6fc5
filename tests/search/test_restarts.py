"""Restarts: what they add to the strategy inside, which is tested by itself."""

import inspect
import math
import warnings

import numpy as np
import pytest
import torch
from driving import rows_of, through_a_file
from torch import Tensor

from neuroplastic.errors import ArgumentError, RecipeError, SearchWarning
from neuroplastic.experiment.options import constructor_options
from neuroplastic.search.cma_es import CMAES, SeparableCMAES
from neuroplastic.search.restarts import ipop
from neuroplastic.search.xnes import XNES

IPOP = ipop(CMAES)
HASTY = {"population": 6, "sigma": 1.0, "tol_fun": 1e9}  # stops after 10 + 30 D/6 generations


def rastrigin(rows: Tensor) -> Tensor:
    x = rows.double()
    return -(10 + x.square() - 10 * torch.cos(2 * math.pi * x)).sum(dim=1)


def sphere(rows: Tensor) -> Tensor:
    return -rows.double().square().sum(dim=1)


def test_each_start_has_a_population_that_is_larger_by_the_factor():
    for factor, sizes in ((2.0, [6, 12, 24, 48]), (1.5, [6, 9, 14, 20]), (1.0, [6, 6, 6, 6])):
        strategy, seen, begun = IPOP(torch.zeros(2), factor=factor, restarts=3, **HASTY), [], []
        while strategy.stopped is None:
            rows = rows_of(strategy)
            seen.append(len(rows))
            begun.append(strategy.metrics()["restarts"])
            assert strategy.metrics()["population"] == len(rows)
            strategy.tell(sphere(rows))
        firsts = [begun.index(restart) for restart in range(4)]
        assert [seen[first] for first in firsts] == sizes
        lengths = np.diff([*firsts, len(seen)])
        assert [*lengths] == [10 + math.ceil(30 * 2 / size) for size in sizes]
        assert strategy.stopped.startswith("after 3 restarts fitness differs by")


def test_starts_are_fresh_points_around_the_first_center():
    center = torch.tensor([5.0, -100.0]).double()
    strategy, starts = IPOP(center, factor=1.0, restarts=200, **{**HASTY, "sigma": 2.0, "population": 50}), []
    while strategy.stopped is None:
        if strategy.inner.generation == 0:
            starts.append(strategy.inner.center)
        strategy.tell(rows_of(strategy)[:, 0])
    assert torch.equal(starts[0], center)
    z = (torch.stack(starts[1:]) - center) / 2
    assert len(z.unique(dim=0)) == 200
    assert (z.mean(dim=0) * 200**0.5).abs().max() < 4
    assert ((z.std(dim=0) - 1) * 400**0.5).abs().max() < 4


@pytest.mark.parametrize("inner", [CMAES, SeparableCMAES, XNES])
def test_until_the_first_restart_it_is_the_strategy_inside(inner):
    plain, wrapped = inner(torch.ones(4), sigma=0.3, seed=5), ipop(inner)(torch.ones(4), sigma=0.3, seed=5)
    while plain.stopped is None:
        rows = rows_of(plain)
        assert torch.equal(rows_of(wrapped), rows)
        plain.tell(sphere(rows))
        wrapped.tell(sphere(rows))
    assert wrapped.metrics()["restarts"] == 1
    assert len(wrapped.ask()) == 2 * plain.population


def test_the_center_is_the_one_around_which_the_median_was_highest():
    rng = np.random.default_rng(3)
    strategy = IPOP(torch.ones(2), **HASTY)
    found, medians = [], []
    for generation in range(120):
        found.append(strategy.inner.center)
        fitness = rng.standard_normal(len(strategy.ask())) * 3 + 10 * math.sin(generation / 9)
        fitness[rng.random(len(fitness)) < 0.2] = math.nan
        strategy.tell(fitness)
        failed_last = sorted(fitness, key=lambda f: -math.inf if math.isnan(f) else f)
        medians.append(failed_last[(len(fitness) - 1) // 2])
        best = int(np.nanargmax(medians))
        assert torch.equal(strategy.center, found[best])
        assert strategy.best == medians[best]
    assert strategy.restarts > 1


def test_it_finds_the_top_of_many_where_one_start_does_not():
    """At most 40,000 evaluations each, from the same places."""
    alone, restarted = 0, 0
    for seed in range(8):
        start = torch.from_numpy(np.random.default_rng(seed).uniform(1, 5, 5))
        for make in (CMAES, IPOP):
            strategy, count, best = make(start, sigma=2.0, tol_fun=1e-8, seed=seed), 0, -math.inf
            while count < 40_000 and best < -1e-6 and (make is IPOP or strategy.stopped is None):
                rows = rows_of(strategy)
                best = max(best, float(rastrigin(rows).max()))
                strategy.tell(rastrigin(rows))
                count += len(rows)
            if make is CMAES:
                alone += best > -1e-6
            else:
                restarted += best > -1e-6
                if best > -1e-6:  # and what it would return is there too, once the population has gathered
                    for _ in range(60):
                        strategy.tell(rastrigin(rows_of(strategy)))
                    assert rastrigin(strategy.center[None]) > -1e-3
    assert restarted == 8
    assert alone <= 3


@pytest.mark.parametrize("inner", [CMAES, SeparableCMAES, XNES])
@pytest.mark.parametrize("generations", [0, 5, 40, 75])
def test_resumed_it_goes_on_bit_for_bit_through_restarts(inner, generations):
    whole, second = (ipop(inner)(torch.zeros(2).double(), seed=seed, **HASTY) for seed in (7, 0))
    for _ in range(generations):
        whole.tell(rastrigin(rows_of(whole)))
    second.load_state_dict(through_a_file(whole.state_dict()))
    for _ in range(40):
        rows = rows_of(whole)
        assert torch.equal(rows_of(second), rows)
        whole.tell(rastrigin(rows))
        second.tell(rastrigin(rows))
        assert torch.equal(second.center, whole.center)
        assert second.metrics() == whole.metrics()
    assert whole.metrics()["restarts"] >= 1


def test_bounds_hold_in_every_start():
    strategy = IPOP(torch.tensor([0.9, 0.1]), lower=0.0, upper=1.0, **HASTY)
    for _ in range(80):
        rows = rows_of(strategy)
        assert rows.min() >= 0
        assert rows.max() <= 1
        strategy.tell(rows.sum(dim=1))
    assert strategy.restarts > 1


def test_a_start_that_would_take_too_much_memory_ends_the_search_and_says_so():
    options = {**HASTY, "population": 1_000, "max_megabytes": 1}
    strategy = ipop(CMAES)(torch.zeros(40), **options)
    while strategy.inner.generation < strategy.inner.history.short - 1:
        strategy.tell(sphere(rows_of(strategy)))
    assert strategy.stopped is None
    fitness = sphere(rows_of(strategy))
    with pytest.warns(SearchWarning, match="IPOPCMAES: cannot start again: max_megabytes"):
        strategy.tell(fitness)
    assert strategy.stopped.startswith("after 0 restarts fitness differs by")
    strategy.tell(sphere(rows_of(strategy)))
    assert strategy.restarts == 0


def test_failures_are_warned_of_once_for_all_starts():
    strategy = IPOP(torch.zeros(2), **HASTY)

    def fail() -> None:
        strategy.tell([math.nan] * len(strategy.ask()))

    with pytest.warns(SearchWarning, match="IPOPCMAES: all of a generation failed") as caught:
        fail()
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while strategy.restarts < 3:
            fail()
    assert torch.equal(strategy.center, torch.zeros(2))


def test_recipes_see_the_options_of_both():
    make = ipop(SeparableCMAES)
    own, inner = inspect.signature(make).parameters, inspect.signature(SeparableCMAES).parameters
    assert set(own) == {*inner, "factor", "restarts"}
    options = constructor_options(make, {"factor": 3, "sigma": 0.5}, "search", ours=("center", "seed"))
    assert options["factor"] == 3
    assert options["population"] == 0
    assert make(torch.zeros(3), seed=1, **options).metrics()["population"] == 7
    with pytest.raises(RecipeError, match=r"search.sigma: expected a valid number; got 'wide'"):
        constructor_options(make, {"sigma": "wide"}, "search", ours=("center", "seed"))
    with pytest.raises(RecipeError, match="did you mean 'factor'"):
        constructor_options(make, {"facto": 2}, "search", ours=("center", "seed"))
    assert make.megabytes(100, 0) == SeparableCMAES.megabytes(100, 0)


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="factor: expected"):
        IPOP(torch.zeros(2), factor=0.5)
    with pytest.raises(ArgumentError, match="restarts: expected"):
        IPOP(torch.zeros(2), restarts=-1)
    with pytest.raises(ArgumentError, match="sigma: expected"):
        IPOP(torch.zeros(2), sigma=-1.0)

    class NoSize(CMAES):
        def __init__(self, center: Tensor, *, sigma: float = 0.1, seed: int = 0) -> None:
            super().__init__(center, sigma=sigma, seed=seed)

    with pytest.raises(
        ArgumentError, match=r"inner: expected a strategy with the options \['population'\]; got NoSize"
    ):
        ipop(NoSize)
