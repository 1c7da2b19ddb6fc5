"""What every registered strategy keeps, and searchers of other libraries too. Registering one tests it."""

import inspect
import pickle
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from driving import rows_of, through_a_file
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neuroplastic.errors import ArgumentError, OrderError, ShapeError
from neuroplastic.search import Strategy, adapted, strategies

pytestmark = pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")

D = 7
seeds = st.integers(0, 2**63)
# Options beside the defaults, so that every part of a strategy's state is there to be lost.
VARIANTS = [
    *((name, {}) for name in strategies),
    ("openai-es", {"momentum": 0.9, "sigma_decay": 0.9, "sigma_min": 0.05, "learning_rate_decay": 0.9}),
    ("openai-es", {"optimizer": "adam", "weight_decay": 0.1, "penalty": 0.01, "shaping": "centered-rank+z-score"}),
    ("openai-es", {"optimizer": "adam", "shaping": "centered-rank+z-score"}),
    ("openai-es", {"shaping": "z-score", "learning_rate": 0.05}),
    ("pgpe", {"optimizer": "adam", "learning_rate": 0.1, "sigma_max_change": 0.05}),
    ("pgpe", {"shaping": "centered-rank+z-score"}),
    ("snes", {"lower": -1.0, "upper": 1.0}),
    ("cma-es", {"active": False, "lower": -1.0, "upper": 2.0}),
    ("ipop:cma-es", {"tol_fun": 10.0, "sigma": 0.001, "factor": 1}),
    ("genetic", {"selection": "truncation", "crossover": "uniform", "elites": 3}),
]
ADAPTED = [
    ("evotorch:SNES", {"stdev_init": 0.5}),
    ("evotorch:CMAES", {"stdev_init": 0.5}),
    ("evotorch:PGPE", {"stdev_init": 0.5, "center_learning_rate": 0.3, "stdev_learning_rate": 0.1}),
    ("cma:CMA", {}),
]


def named(name: str) -> Callable[..., Strategy]:
    make = strategies.get(name) or adapted(name)
    assert make is not None
    return make


def build(case: tuple[str, dict], center: Tensor | None = None, **more) -> Strategy:
    name, options = case
    return named(name)(torch.zeros(D) if center is None else center, **{"population": 20, **options, **more})


@pytest.fixture(scope="module", params=[*VARIANTS, *ADAPTED], ids=str)
def make(request) -> Callable[..., Strategy]:
    return partial(build, request.param)


def sphere(rows: Tensor) -> Tensor:
    return -(rows.double() - 0.5).square().sum(dim=1)


def generation(strategy: Strategy) -> Tensor:
    rows = rows_of(strategy)
    strategy.tell(sphere(rows))
    return rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_asks_for_finite_rows_in_the_precision_of_the_center(make, dtype):
    strategy = make(torch.zeros(D, dtype=dtype))
    for _ in range(3):
        rows = generation(strategy)
        assert rows.shape == (20, D)
        assert rows.dtype == strategy.center.dtype == dtype
        assert torch.isfinite(rows).all()
        assert len(rows.unique(dim=0)) == 20
        assert all(isinstance(value, float) for value in strategy.metrics().values())


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_the_seed_decides(make, seed):
    one, same, other = make(seed=seed), make(seed=seed), make(seed=seed + 1)
    for _ in range(3):
        rows = generation(one)
        assert torch.equal(rows, generation(same))
        assert not torch.equal(rows, generation(other))
    assert torch.equal(one.center, same.center)


def test_generations_differ(make):
    strategy = make()
    first, second = generation(strategy), generation(strategy)
    assert not torch.equal(first - first.mean(dim=0), second - second.mean(dim=0))


def test_asking_again_gives_the_same_population(make):
    strategy = make()
    assert torch.equal(rows_of(strategy), rows_of(strategy))


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(0, 4), st.integers(1, 4), st.booleans())
def test_saved_and_loaded_it_goes_on_bit_for_bit(make, seed, before, after, between_ask_and_tell):
    whole, first = make(seed=seed), make(seed=seed)
    for _ in range(before):
        generation(whole)
        generation(first)
    if between_ask_and_tell:
        first.ask()
    second = make(seed=0)
    second.ask()  # a population of the state that is given up
    second.load_state_dict(through_a_file(first.state_dict()))
    for _ in range(after):
        assert torch.equal(generation(second), generation(whole))
    assert torch.equal(second.center, whole.center)
    assert second.metrics() == whole.metrics()


def test_what_is_saved_does_not_change_and_what_is_loaded_is_copied(make):
    strategy, other = make(), make()
    generation(strategy)
    state = strategy.state_dict()
    kept = {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}
    other.load_state_dict(kept)
    for value in kept.values():
        if isinstance(value, Tensor):
            value.fill_(7)
    generation(strategy)
    strategy.load_state_dict(state)
    assert torch.equal(generation(strategy), generation(other))
    assert torch.equal(strategy.center, other.center)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(make):
    strategy, state = make(), make().state_dict()
    rows = rows_of(strategy)
    with pytest.raises(ArgumentError, match="state: expected the entries"):
        strategy.load_state_dict({name: value for name, value in state.items() if name != "center"})
    with pytest.raises(ArgumentError, match="state: expected the entries"):
        strategy.load_state_dict(state | {"other": 1})
    with pytest.raises(ArgumentError, match="center"):
        strategy.load_state_dict(state | {"center": 1})
    with pytest.raises(ShapeError, match="center"):
        strategy.load_state_dict(make(torch.zeros(D + 1)).state_dict())
    assert torch.equal(rows_of(strategy), rows)


def test_the_population_survives_a_pickle_and_what_comes_after(make):
    strategy = make()
    population = strategy.ask()
    rows, sent = rows_of(strategy), pickle.dumps(population)
    strategy.tell(sphere(rows))
    assert torch.equal(population.rows(range(20)), rows)
    assert torch.equal(pickle.loads(sent).rows(range(20)), rows)


def test_tell_without_ask_is_refused(make):
    strategy = make()
    with pytest.raises(OrderError, match="ask"):
        strategy.tell(torch.zeros(20))
    generation(strategy)
    with pytest.raises(OrderError, match="ask"):
        strategy.tell(torch.zeros(20))


@pytest.mark.parametrize("shape", [(19,), (21,), (20, 1), ()])
def test_fitness_of_another_shape_is_refused_and_can_be_told_again(make, shape):
    strategy, same = make(), make()
    rows = rows_of(strategy)
    with pytest.raises(ShapeError, match=r"fitness: expected shape \[20\]"):
        strategy.tell(torch.zeros(shape))
    strategy.tell(sphere(rows))
    generation(same)
    assert torch.equal(strategy.center, same.center)


@pytest.mark.parametrize("form", [list, tuple, np.asarray, torch.tensor, lambda fitness: torch.tensor(fitness).float()])
def test_fitness_may_come_as_anything_that_holds_numbers(make, form):
    fitness = np.arange(20.0)
    strategy, same = make(), make()
    strategy.ask()
    same.ask()
    strategy.tell(form(fitness))
    same.tell(fitness)
    assert torch.equal(strategy.center, same.center)


odd = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308, 5e-324])
any_fitness = st.one_of(
    st.lists(st.one_of(odd, st.floats()), min_size=20, max_size=20),
    st.one_of(odd, st.floats()).map(lambda number: [number] * 20),
)


@settings(deadline=None, max_examples=60)
@given(seeds, st.lists(any_fitness, min_size=1, max_size=3))
def test_no_fitness_breaks_it(make, seed, generations):
    strategy = make(seed=seed)
    for fitness in generations:
        strategy.ask()
        strategy.tell(fitness)
        assert torch.isfinite(strategy.center).all()
    assert torch.isfinite(rows_of(strategy)).all()


INCREASING = [np.exp, np.cbrt, lambda f: 3 * f - 100, lambda f: f + 100 * np.floor(f)]


@pytest.mark.parametrize("case", [case for case in VARIANTS if build(case).ordinal], ids=str)
def test_only_the_order_of_fitness_matters_where_it_says_so(case, fresh):
    one, *others = (build(case, seed=fresh) for _ in range(1 + len(INCREASING)))
    rng, start = np.random.default_rng(fresh), one.center
    for _ in range(10):
        rows = rows_of(one)
        fitness = np.round(sphere(rows).numpy() + rng.standard_normal(20), 1)  # so that ties happen, and stay
        one.tell(fitness)
        for other, increasing in zip(others, INCREASING, strict=True):
            assert torch.equal(rows_of(other), rows)
            other.tell(increasing(fitness))
            assert torch.equal(other.center, one.center)
    assert not torch.equal(one.center, start)


def test_the_center_given_is_copied(make):
    given_center = torch.zeros(D)
    strategy = make(given_center)
    given_center += 1
    assert torch.equal(strategy.center, torch.zeros(D))


@pytest.mark.parametrize("center", [torch.zeros(2, 2), torch.zeros(0), torch.tensor([0.0, float("nan")])])
def test_a_center_that_cannot_be_is_refused(make, center):
    with pytest.raises(ArgumentError, match="center: expected"):
        make(center)


@pytest.mark.parametrize("failing", [0, 3])
def test_it_goes_up_whoever_fails(make, failing):
    strategy, rng = make(), np.random.default_rng(1)
    for _ in range(60):
        fitness = sphere(rows_of(strategy))
        fitness[rng.permutation(20)[:failing]] = torch.nan
        strategy.tell(fitness)
    start = sphere(torch.zeros(1, D))
    assert sphere(strategy.center[None]) > 0.5 * start


@pytest.mark.parametrize("name", [*strategies, "cma:CMA"])
@pytest.mark.parametrize("options", [{"population": -1}, {"sigma": 0.0}, {"sigma": -1.0}, {"sigma": float("nan")}])
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(ArgumentError, match=f"{next(iter(options))}: expected"):
        named(name)(torch.zeros(D), **options)


@pytest.mark.parametrize("name", strategies)
def test_it_says_when_to_use_it_what_it_takes_and_where_it_is_from(name):
    strategy = strategies[name]
    assert strategy.summary
    assert strategy.paper
    assert 0 < strategy.megabytes(100, 20) <= strategy.megabytes(1000, 20)


# ---------------------------------------------------------------- bounds

BOUNDED = [name for name in strategies if "lower" in inspect.signature(strategies[name]).parameters]


@pytest.mark.parametrize("name", BOUNDED)
def test_members_stay_within_bounds(name):
    strategy = strategies[name](torch.zeros(D), population=20, lower=-0.25, upper=0.25)
    for _ in range(30):
        rows = generation(strategy)
        assert float(rows.abs().max()) <= 0.25
        assert float(strategy.center.abs().max()) <= 0.25


@pytest.mark.parametrize("name", BOUNDED)
def test_members_beyond_bounds_are_tried_within_and_learned_from_as_they_were_drawn(name, fresh):
    """But the genetic algorithm, which draws within them: what it learned from is what was tried."""
    bounds = {"lower": -0.25, "upper": 0.25}
    free, bounded = (strategies[name](torch.zeros(D), population=20, sigma=1.0, seed=fresh, **o) for o in ({}, bounds))
    drawn, tried = rows_of(free), rows_of(bounded)
    assert tried.abs().max() <= 0.25 < drawn.abs().max()
    fitness = np.random.default_rng(fresh).standard_normal(20)
    free.tell(fitness)
    bounded.tell(fitness)
    if name == "genetic":
        assert torch.equal(bounded.parents, tried)
    elif name in ("pgpe", "snes"):
        assert torch.equal(tried, drawn.clamp(-0.25, 0.25))
        assert torch.equal(bounded.center, free.center.clamp(-0.25, 0.25))
        assert torch.equal(bounded.sigma, free.sigma)
    else:  # folded: in the space where it searches, it has made the very same step
        a, b = free.state_dict(), bounded.state_dict()
        same = [key for key in a if isinstance(a[key], Tensor) and a[key].ndim and not key.endswith("center")]
        assert all(torch.equal(a[key], b[key]) for key in same)
        inner = getattr(bounded, "inner", bounded)
        torch.testing.assert_close(inner.center, inner.fold(inner.mean).float())
