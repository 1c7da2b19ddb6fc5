"""Folding space into bounds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.search.base import Bounds
from neuroplastic.search.folding import Fold

numbers = st.floats(-1e6, 1e6)


@st.composite
def folds(draw) -> Fold:
    lower = draw(st.floats(-100, 100))
    upper = lower + draw(st.floats(0.01, 100))
    sides = draw(st.sampled_from([(lower, upper), (lower, None), (None, upper)]))
    return Fold.at(Bounds(*sides), 0.3)


@settings(deadline=None)
@given(folds(), st.lists(numbers, min_size=1, max_size=20), st.sampled_from([torch.float32, torch.float64]))
def test_everything_lands_within_the_bounds_and_most_of_what_was_there_stays(fold, values, dtype):
    x = torch.tensor(values, dtype=dtype)
    folded = fold(x)
    assert folded.dtype == dtype
    assert torch.equal(fold.bounds.nearest(folded), folded)
    lower, upper = fold.bounds.lower, fold.bounds.upper
    kept = torch.ones_like(x, dtype=torch.bool)
    if lower is not None:
        kept &= x > lower + 1.01 * fold.margin + 1e-5
    if upper is not None:
        kept &= x < upper - 1.01 * fold.margin - 1e-5
    assert torch.equal(folded[kept], x[kept])


@settings(deadline=None)
@given(folds(), numbers, st.floats(-10, 10))
def test_it_never_stretches(fold, value, step):
    x = torch.tensor([value, value + step], dtype=torch.float64)
    assert fold(x).diff().abs() <= x.diff().abs() * (1 + 1e-9) + 1e-8  # so it is continuous, at its mirrors too


@settings(deadline=None)
@given(folds(), st.lists(numbers, min_size=1, max_size=20))
def test_its_inverse_leads_to_the_nearest_point_within(fold, values):
    x = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(fold(fold.inverse(x)), fold.bounds.nearest(x), rtol=1e-9, atol=1e-8)


@settings(deadline=None)
@given(folds())
def test_a_bound_is_the_apex_of_a_parabola(fold):
    for bound in (fold.bounds.lower, fold.bounds.upper):
        if bound is not None:
            edge = torch.tensor([bound], dtype=torch.float64)
            steps = fold.margin * torch.tensor([-1e-2, 0.0, 1e-2], dtype=torch.float64)
            distances = (fold(fold.inverse(edge) + steps) - edge).abs()
            expected = steps.square() / (4 * fold.margin)
            torch.testing.assert_close(distances, expected, rtol=1e-3, atol=1e-11)


def test_without_bounds_it_does_nothing():
    x = torch.tensor([float("inf"), -3.0, 1e300], dtype=torch.float64)
    assert torch.equal(Fold.at(Bounds(), 1.0)(x), x)


@pytest.mark.parametrize("lower", [float("-inf"), -1e308])
def test_a_bound_out_of_reach_is_none(lower):
    x = torch.tensor([-1e20, 0.5, 3.0], dtype=torch.float64)
    assert torch.equal(Fold.at(Bounds(lower, 1.0), 0.1)(x), Fold.at(Bounds(None, 1.0), 0.1)(x))
