"""CMA-ES, separable CMA-ES and xNES told what breaks searches, and driven to the ends of float64."""

import math
import warnings

import numpy as np
import pytest
import torch
from driving import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st
from landscapes import sphere
from torch import Tensor

from neuroplastic.errors import SearchWarning
from neuroplastic.search import CMAES, XNES, SeparableCMAES, Strategy

BOTH = pytest.mark.parametrize("make", [CMAES, SeparableCMAES])
ALL = pytest.mark.parametrize("make", [CMAES, SeparableCMAES, XNES])
PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
QUIET = pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")
seeds = st.integers(0, 2**32 - 1)
odd = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308, 5e-324])
told = st.lists(st.lists(st.one_of(odd, st.floats()), min_size=5, max_size=5), min_size=1, max_size=25)
sigmas = st.sampled_from([1e-200, 1e-3, 1.0, 1e30])


def assert_finite(strategy: Strategy) -> None:
    for name, value in strategy.state_dict().items():
        if isinstance(value, Tensor) and name != "history":
            assert torch.isfinite(value).all(), name


def assert_survives(strategy: CMAES | XNES, generations: list[list[float]]) -> None:
    dtype = strategy.center.dtype
    for fitness in generations:
        strategy.ask()
        strategy.tell(fitness)
        assert torch.isfinite(strategy.center).all()
        assert strategy.sigma > 0
        assert all(math.isfinite(value) for value in strategy.metrics().values())
    rows = rows_of(strategy)
    assert rows.dtype == dtype
    assert torch.isfinite(rows).all()
    assert isinstance(strategy.stopped, str | None)
    assert_finite(strategy)


@BOTH
@PRECISIONS
@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 4), sigmas, told)
@QUIET
def test_nothing_that_cma_es_is_told_breaks_it(make, dtype, seed, D, sigma, generations):
    assert_survives(make(torch.zeros(D, dtype=dtype), population=5, sigma=sigma, seed=seed), generations)


@PRECISIONS
@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 4), sigmas, st.sampled_from([None, 0.0, 2.0]), told)
@QUIET
def test_nothing_that_xnes_is_told_breaks_it(dtype, seed, D, sigma, rate, generations):
    rates = {"sigma_learning_rate": rate, "shape_learning_rate": rate}
    assert_survives(XNES(torch.zeros(D, dtype=dtype), population=5, sigma=sigma, seed=seed, **rates), generations)


@ALL
@pytest.mark.parametrize("value", [1.5, math.nan, math.inf, -math.inf])
@QUIET
def test_a_generation_without_a_difference_only_counts(make, value):
    strategy = make(torch.ones(5), population=8)
    for _ in range(3):
        strategy.tell(-sphere(rows_of(strategy).numpy()))
    before = strategy.state_dict()
    strategy.ask()
    strategy.tell([value] * 8)
    after = strategy.state_dict()
    assert after.pop("generation") == before.pop("generation") + 1
    assert len(after.pop("history")) == len(before.pop("history")) + 1
    for name, number in before.items():
        assert torch.equal(after[name], number) if isinstance(number, Tensor) else after[name] == number


@pytest.mark.parametrize(
    ("make", "generations", "widest"),
    [(CMAES, 3_000, 1.001e30), (SeparableCMAES, 3_000, 1.001e30), (XNES, 4_000, 2e30)],
)
@PRECISIONS
@pytest.mark.parametrize("growing", [True, False])
@QUIET
def test_deviations_neither_overflow_nor_vanish(make, generations, widest, dtype, growing):
    strategy = make(torch.zeros(3, dtype=dtype), sigma=1.0)
    for _ in range(generations):
        rows = rows_of(strategy)
        assert torch.isfinite(rows).all()
        strategy.tell(rows[:, 0] if growing else -rows.abs().amax(dim=1))
        assert strategy.sigma > 0
    assert_finite(strategy)
    assert 1e-201 < strategy.metrics()["deviation_min"] <= strategy.metrics()["deviation_max"] < widest


@BOTH
def test_the_size_of_the_covariance_is_moved_into_sigma_before_it_overflows(make):
    plain, huge = (make(torch.zeros(4).double(), sigma=1.0) for _ in range(2))
    state = huge.state_dict()
    state["covariance"] = 1e120 * state["covariance"]
    huge.load_state_dict(state | {"deviations": 1e60 * state["deviations"], "sigma": 1e-60})
    for _ in range(5):
        rows = rows_of(plain)
        torch.testing.assert_close(rows_of(huge), rows)
        plain.tell(rows[:, 0])
        huge.tell(rows[:, 0])
    assert huge.metrics() == pytest.approx(plain.metrics() | {"sigma": huge.sigma})
    assert 1e-3 < huge.sigma < 1e3


@pytest.mark.parametrize(
    ("make", "damaged"),
    [
        (CMAES, torch.diag(torch.tensor([1.0, -1.0, 2.0]))),
        (CMAES, torch.full((3, 3), math.nan)),
        (CMAES, torch.diag(torch.tensor([1.0, math.inf, 2.0]))),
        (CMAES, -torch.eye(3)),
        (SeparableCMAES, torch.tensor([1.0, -1.0, 2.0])),
        (SeparableCMAES, torch.tensor([1.0, math.nan, 2.0])),
        (SeparableCMAES, -torch.ones(3)),
    ],
)
def test_a_covariance_that_is_none_is_repaired_and_it_says_so_once(make, damaged):
    strategy = make(torch.zeros(3).double(), population=6, active=False)
    strategy.load_state_dict(strategy.state_dict() | {"covariance": damaged.double() * 1e6})
    strategy.ask()
    with pytest.warns(SearchWarning, match="repaired"):
        strategy.tell(range(6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strategy.load_state_dict(strategy.state_dict() | {"covariance": damaged.double() * 1e6})
        for _ in range(20):
            strategy.tell(rows_of(strategy)[:, 0])
    assert torch.isfinite(rows_of(strategy)).all()
    assert torch.isfinite(strategy.state_dict()["covariance"]).all()
    assert 1 <= strategy.metrics()["condition"] < 1.01e15


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
