"""Shaping against its definition by counting, and its properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroplastic.search.shaping import SHAPINGS, centered_rank, raw, z_score

numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
few = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 2.0, np.inf, np.nan])  # so that ties happen
fitnesses = st.integers(1, 40).flatmap(lambda size: arrays(np.float64, size, elements=st.one_of(few, numbers)))


def above(a: float, b: float) -> bool:
    """Whether a ranks above b."""
    return not np.isnan(a) and (np.isnan(b) or a > b)


@settings(deadline=None)
@given(fitnesses)
def test_centered_rank_counts_who_is_below_and_above(fitness):
    expected = [sum(above(f, g) for g in fitness) - sum(above(g, f) for g in fitness) for f in fitness]
    np.testing.assert_allclose(centered_rank(fitness), np.array(expected) / (2 * max(len(fitness) - 1, 1)), atol=1e-15)


@settings(deadline=None)
@given(fitnesses)
def test_centered_rank_sums_to_zero_within_a_half(fitness):
    ranks = centered_rank(fitness)
    assert abs(ranks.sum()) < 1e-12
    assert np.abs(ranks).max() <= 0.5


@settings(deadline=None)
@given(fitnesses, st.sampled_from([np.arctan, lambda x: x**3, lambda x: 2 * x - 7]))
def test_centered_rank_sees_order_only(fitness, increasing):
    with np.errstate(over="ignore", under="ignore"):
        image = increasing(fitness)
    for i, f in enumerate(fitness):  # floats can merge distinct numbers: then the map was not monotone
        for j, g in enumerate(fitness):
            if above(f, g) != above(image[i], image[j]):
                return
    np.testing.assert_array_equal(centered_rank(image), centered_rank(fitness))


@pytest.mark.parametrize("name", SHAPINGS)
@settings(deadline=None)
@given(fitnesses)
def test_every_shaping_is_finite_and_monotone_and_leaves_its_input_alone(name, fitness):
    before = fitness.copy()
    shaped = SHAPINGS[name](fitness)
    np.testing.assert_array_equal(fitness, before)
    assert shaped.shape == fitness.shape
    assert np.isfinite(shaped).all()
    for i, f in enumerate(fitness):
        for j, g in enumerate(fitness):
            if above(f, g):
                assert shaped[i] >= shaped[j]


@pytest.mark.parametrize("name", ["z-score", "centered-rank+z-score"])
@settings(deadline=None)
@given(fitnesses)
def test_z_scores_have_mean_0_and_deviation_1_or_are_all_0(name, fitness):
    shaped = SHAPINGS[name](fitness)
    if shaped.any():
        assert shaped.mean() == pytest.approx(0, abs=1e-9)
        assert shaped.std() == pytest.approx(1, abs=1e-9)
    else:
        used = fitness if "rank" in name else fitness[np.isfinite(fitness)]
        assert len(np.unique(used)) <= 1


@settings(deadline=None)
@given(arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6)))
def test_z_score_is_its_definition(fitness):
    if fitness.std() > 1e-3:
        np.testing.assert_allclose(z_score(fitness), (fitness - fitness.mean()) / fitness.std(), atol=1e-6)


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_raw_changes_nothing_finite(fitness):
    np.testing.assert_array_equal(raw(fitness), fitness)


@pytest.mark.parametrize("name", SHAPINGS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_to_choose_between_is_all_zero(name, value):
    np.testing.assert_array_equal(SHAPINGS[name](np.full(6, value)), np.zeros(6))
