"""xNES against the paper's equations in NumPy, and on the usual functions."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neuroplastic.errors import ArgumentError, SearchWarning
from neuroplastic.search.xnes import XNES

seeds = st.integers(0, 2**32 - 1)


def rows_of(strategy: XNES) -> Tensor:
    population = strategy.ask()
    return population.rows(range(len(population)))


def exponential(symmetric: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    return vectors @ np.diag(np.exp(values)) @ vectors.T


class Reference:
    """Algorithm 1 of the paper, a member at a time, from given samples."""

    def __init__(self, mean: np.ndarray, sigma: float, lam: int) -> None:
        d = len(mean)
        self.mean, self.sigma, self.B = mean.copy(), sigma, np.eye(d)
        self.eta = 3 / 5 * (3 + math.log(d)) / (d * math.sqrt(d))
        raw = [max(0, math.log(lam / 2 + 1) - math.log(k)) for k in range(1, lam + 1)]
        self.u = [x / sum(raw) - 1 / lam for x in raw]

    def tell(self, Z: np.ndarray, fitness: np.ndarray) -> None:
        d = len(self.mean)
        ranked = [np.linalg.solve(self.B, (Z[k] - self.mean) / self.sigma) for k in np.argsort(-fitness)]
        G_delta = sum(u * s for u, s in zip(self.u, ranked, strict=True))
        G_M = sum(u * (np.outer(s, s) - np.eye(d)) for u, s in zip(self.u, ranked, strict=True))
        G_sigma = np.trace(G_M) / d
        G_B = G_M - G_sigma * np.eye(d)
        self.mean = self.mean + self.sigma * self.B @ G_delta
        self.sigma *= math.exp(self.eta / 2 * G_sigma)
        self.B = self.B @ exponential(self.eta / 2 * G_B)


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(1, 12), st.integers(2, 20))
def test_updates_are_those_of_the_paper(seed, D, P):
    rng = np.random.default_rng(seed)
    start, sigma = rng.standard_normal(D), rng.uniform(0.1, 3)
    strategy = XNES(torch.from_numpy(start), population=P, sigma=sigma, seed=seed)
    reference = Reference(start, sigma, P)
    for _ in range(8):
        Z, fitness = rows_of(strategy).numpy(), rng.standard_normal(P)
        strategy.tell(fitness)
        reference.tell(Z, fitness)
        np.testing.assert_allclose(strategy.center.numpy(), reference.mean, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(strategy.sigma, reference.sigma, rtol=1e-8)
        np.testing.assert_allclose(strategy.shape.numpy(), reference.B, rtol=1e-8, atol=1e-9)


def sphere(X: np.ndarray) -> np.ndarray:
    return (X**2).sum(axis=1)


def ellipsoid(X: np.ndarray) -> np.ndarray:
    return X**2 @ 1e6 ** (np.arange(20) / 19)


@pytest.mark.parametrize(("function", "low", "high"), [(sphere, 21_000, 28_000), (ellipsoid, 30_000, 41_000)])
def test_it_takes_as_many_evaluations_as_its_peers(function, low, high):
    """Those of the package cmaes, 20 numbers and 12 members: about 24,600 and 35,200."""
    strategy = XNES(torch.ones(20).double(), population=12, sigma=0.5, seed=1)
    values = function(rows_of(strategy).numpy())
    while values.min() >= 1e-8 and strategy.stopped is None:
        strategy.tell(-values)
        values = function(rows_of(strategy).numpy())
    assert strategy.stopped is None
    assert low < 12 * (strategy.generation + 1) < high


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_only_the_order_of_fitness_matters(seed):
    rng = np.random.default_rng(seed)
    one, other = (XNES(torch.ones(6), sigma=0.3, seed=seed) for _ in range(2))
    for _ in range(10):
        fitness = -sphere(rows_of(one).numpy()) + rng.standard_normal(one.population)
        one.tell(fitness)
        other.ask()
        other.tell(np.exp(np.argsort(np.argsort(fitness)) - 3.0))
        assert torch.equal(one.center, other.center)
    assert torch.equal(one.shape, other.shape)
    assert one.sigma == other.sigma


@pytest.mark.parametrize("options", [{}, {"lower": -1.0, "upper": 2.0}])
def test_resumed_it_goes_on_bit_for_bit(options):
    whole, second = (XNES(torch.zeros(5).double(), sigma=0.5, seed=seed, **options) for seed in (7, 0))
    for _ in range(13):
        whole.tell(-sphere(rows_of(whole).numpy() - 0.5))
    state = whole.state_dict()
    plain = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    tensors = {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
    second.load_state_dict(tensors | json.loads(json.dumps(plain, allow_nan=False)))
    for _ in range(7):
        rows = rows_of(whole)
        assert torch.equal(rows_of(second), rows)
        whole.tell(-sphere(rows.numpy() - 0.5))
        second.tell(-sphere(rows.numpy() - 0.5))
        assert second.metrics() == whole.metrics()
        assert second.stopped == whole.stopped
    a, b = whole.state_dict(), second.state_dict()
    assert all(torch.equal(a[name], b[name]) if isinstance(a[name], Tensor) else a[name] == b[name] for name in a)


odd = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308, 5e-324])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(deadline=None, max_examples=40)
@given(
    seeds,
    st.integers(1, 4),
    st.sampled_from([1e-200, 1e-3, 1.0, 1e30]),
    st.sampled_from([None, 0.0, 2.0]),
    st.lists(st.lists(st.one_of(odd, st.floats()), min_size=5, max_size=5), min_size=1, max_size=25),
)
@pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")
def test_nothing_that_it_is_told_breaks_it(dtype, seed, D, sigma, rate, generations):
    center = torch.zeros(D, dtype=dtype)
    strategy = XNES(center, population=5, sigma=sigma, sigma_learning_rate=rate, shape_learning_rate=rate, seed=seed)
    for fitness in generations:
        strategy.ask()
        strategy.tell(fitness)
        assert torch.isfinite(strategy.center).all()
        assert strategy.sigma > 0
        assert all(math.isfinite(value) for value in strategy.metrics().values())
    rows = rows_of(strategy)
    assert rows.dtype == dtype
    assert torch.isfinite(rows).all()
    assert torch.isfinite(strategy.shape).all()
    assert isinstance(strategy.stopped, str | None)


@pytest.mark.parametrize("value", [1.5, math.nan, math.inf, -math.inf])
@pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")
def test_a_generation_without_a_difference_only_counts(value):
    strategy = XNES(torch.ones(5), population=8)
    strategy.tell(-sphere(rows_of(strategy).numpy()))
    center, shape, sigma = strategy.center, strategy.shape.clone(), strategy.sigma
    strategy.ask()
    strategy.tell([value] * 8)
    assert strategy.generation == 2
    assert torch.equal(strategy.center, center)
    assert torch.equal(strategy.shape, shape)
    assert strategy.sigma == sigma


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("growing", [True, False])
@pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")
def test_deviations_neither_overflow_nor_vanish(dtype, growing):
    strategy = XNES(torch.zeros(3, dtype=dtype), sigma=1.0)
    for _ in range(4_000):
        rows = rows_of(strategy)
        assert torch.isfinite(rows).all()
        strategy.tell(rows[:, 0] if growing else -rows.abs().amax(dim=1))
        assert strategy.sigma > 0
    assert all(torch.isfinite(value).all() for value in (strategy.center, strategy.shape))
    assert strategy.metrics()["deviation_max"] < 2e30


def test_a_singular_shape_is_repaired_and_it_says_so():
    strategy = XNES(torch.zeros(2).double(), population=6, sigma=1.0)
    state = strategy.state_dict() | {"shape": torch.tensor([[1.0, 1.0], [1.0, 1.0]]).double(), "generation": 1}
    strategy.load_state_dict(state)
    strategy.ask()
    with pytest.warns(SearchWarning, match="repaired"):
        strategy.tell(range(6))
    lengths = torch.linalg.svdvals(strategy.shape)
    assert float(lengths[0] / lengths[1]) ** 2 == pytest.approx(1e15, rel=1e-3)
    assert strategy.condition == pytest.approx(1e15, rel=1e-3)
    assert "condition number" in strategy.stopped


def top(rows: Tensor) -> Tensor:
    return -rows.double().square().sum(dim=1)


def line(rows: Tensor) -> Tensor:
    return rows[:, 0]


def steep(rows: Tensor) -> Tensor:
    return -(rows.double().square() @ torch.tensor([1.0, 1e18, 1.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("fitness", "options", "reason"),
    [
        (line, {}, "the standard deviation grew from 0.3 to"),
        (top, {}, "which is below tol_fun = 1e-12"),
        (top, {"tol_fun": 0.0}, "all standard deviations are below tol_x"),
        (steep, {"tol_fun": 0.0, "tol_x": 0.0}, "the covariance has a condition number of"),
    ],
)
def test_each_reason_to_stop_is_reached(fitness, options, reason):
    strategy = XNES(torch.ones(3).double(), sigma=0.3, seed=1, **options)
    assert strategy.stopped is None
    while not strategy.stopped and strategy.generation < 5_000:
        strategy.tell(fitness(rows_of(strategy)))
    assert reason in strategy.stopped


def test_what_would_not_fit_into_memory_is_refused_with_what_would():
    with pytest.raises(ArgumentError, match=r"XNES with 61,440 numbers.*got 2,048 \(sep-cma-es, snes"):
        XNES(torch.zeros(61_440))


@pytest.mark.parametrize("held", [1, 4, 8])
@pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")
def test_it_reaches_an_optimum_on_the_bounds(held):
    optimum = np.full(8, 0.3)
    optimum[:held] = -1.0  # out of reach: the best within is 0
    best = sphere(np.clip(optimum, 0, None)[None] - optimum)[0]
    strategy = XNES(torch.full((8,), 0.5).double(), sigma=0.3, seed=3, lower=0.0, upper=1.0)
    for _ in range(800):
        rows = rows_of(strategy)
        assert rows.min() >= 0
        assert rows.max() <= 1
        strategy.tell(-sphere(rows.numpy() - optimum))
    assert sphere(strategy.center.numpy()[None] - optimum)[0] == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "population: expected a number >= 2"),
        ({"sigma": 0.0}, "sigma: expected"),
        ({"learning_rate": 0.0}, "learning_rate: expected"),
        ({"sigma_learning_rate": -1.0}, "sigma_learning_rate: expected"),
        ({"shape_learning_rate": 3.0}, "shape_learning_rate: expected"),
        ({"tol_x": -1.0}, "tol_x: expected"),
        ({"lower": 1.0, "upper": 1.0}, "lower, upper: expected"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        XNES(torch.zeros(3), **options)
