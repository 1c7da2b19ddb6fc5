"""What CMA-ES, separable CMA-ES and xNES share: a Gaussian in float64, folded at bounds, that goes on after a stop."""

import math

import numpy as np
import pytest
import torch
from driving import assert_same_state, rows_of, through_a_file
from landscapes import sphere

from neuroplastic.errors import ArgumentError
from neuroplastic.search import CMAES, XNES, SeparableCMAES

ALL = pytest.mark.parametrize("make", [CMAES, SeparableCMAES, XNES])
FEW = [(CMAES, 400), (SeparableCMAES, 400), (XNES, 800)]  # generations from which a sphere of 8 numbers is done
# How often CMA-ES decomposes at 120 numbers: so the state is of between two decompositions, and of right after one.
STATES = [
    *((make, 120, {}, generations) for make in (CMAES, SeparableCMAES) for generations in (3, 4)),
    *((make, 120, {"active": False}, generations) for make in (CMAES, SeparableCMAES) for generations in (3, 4)),
    (XNES, 5, {"sigma": 0.5}, 13),
]


@pytest.mark.parametrize(("make", "D", "options", "generations"), STATES)
@pytest.mark.parametrize("bounds", [{}, {"lower": -1.0, "upper": 2.0}], ids=["free", "bounded"])
def test_resumed_it_goes_on_bit_for_bit(make, D, options, generations, bounds):
    whole, second = (make(torch.zeros(D).double(), seed=seed, **options, **bounds) for seed in (7, 0))
    for _ in range(generations):
        whole.tell(-sphere(rows_of(whole).numpy() - 0.5))
    second.load_state_dict(through_a_file(whole.state_dict()))
    for _ in range(7):
        rows = rows_of(whole)
        assert torch.equal(rows_of(second), rows)
        whole.tell(-sphere(rows.numpy() - 0.5))
        second.tell(-sphere(rows.numpy() - 0.5))
        assert second.metrics() == whole.metrics()
        assert second.stopped == whole.stopped
    assert_same_state(whole, second)


@ALL
def test_in_float32_it_is_the_same_search_rounded(make):
    exact, rounded = make(torch.ones(9).double(), sigma=0.3), make(torch.ones(9), sigma=0.3)
    for _ in range(30):
        X = rows_of(exact)
        rows = rows_of(rounded)
        assert rows.dtype == rounded.center.dtype == torch.float32
        torch.testing.assert_close(rows.double(), X, rtol=1e-5, atol=1e-5)
        f = -sphere(X.numpy())
        exact.tell(f)
        rounded.tell(f)
    assert rounded.sigma == exact.sigma


@pytest.mark.parametrize(("make", "generations"), FEW)
@pytest.mark.parametrize("held", [1, 4, 8])
@pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")
def test_it_reaches_an_optimum_on_the_bounds(make, generations, held):
    optimum = np.full(8, 0.3)
    optimum[:held] = -1.0  # out of reach: the best within is 0
    best = sphere(np.clip(optimum, 0, None)[None] - optimum)[0]
    for bounds in ({"lower": 0.0, "upper": 1.0}, {"lower": 0.0}):
        strategy = make(torch.full((8,), 0.5).double(), sigma=0.3, seed=3, **bounds)
        for _ in range(generations):
            rows = rows_of(strategy)
            assert rows.min() >= 0
            assert rows.max() <= bounds.get("upper", math.inf)
            strategy.tell(-sphere(rows.numpy() - optimum))
            assert strategy.center.min() >= 0
        assert sphere(strategy.center.numpy()[None] - optimum)[0] == pytest.approx(best, rel=1e-6)


@ALL
def test_it_starts_at_the_nearest_point_within_the_bounds(make):
    strategy = make(torch.tensor([-5.0, 0.5, 5.0]), lower=-1.0, upper=1.0)
    torch.testing.assert_close(strategy.center, torch.tensor([-1.0, 0.5, 1.0]))
    torch.testing.assert_close(strategy.fold(strategy.mean).float(), strategy.center)


@ALL
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "population: expected a number >= 2, or 0 for 7"),
        ({"population": -4}, "population: expected"),
        ({"sigma": 0.0}, "sigma: expected"),
        ({"sigma": math.inf}, "sigma: expected"),
        ({"tol_x": -1.0}, "tol_x: expected"),
        ({"tol_fun": math.nan}, "tol_fun: expected"),
        ({"lower": 1.0, "upper": 1.0}, "lower, upper: expected"),
        ({"max_megabytes": 0}, "max_megabytes: expected"),
    ],
)
def test_options_that_cannot_be_are_refused(make, options, message):
    with pytest.raises(ArgumentError, match=message):
        make(torch.zeros(3), **options)
