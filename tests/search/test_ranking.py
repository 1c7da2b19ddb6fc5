"""Ranks against their definition by counting."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroplastic.search.ranking import Ranking

few = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 2.0, np.inf, np.nan])  # so that ties happen
fitnesses = st.integers(1, 30).flatmap(lambda size: arrays(np.float64, size, elements=st.one_of(few, st.floats())))


def above(a: float, b: float) -> bool:
    """Whether a ranks above b."""
    return not np.isnan(a) and (np.isnan(b) or a > b)


@settings(deadline=None)
@given(fitnesses, st.integers(0, 2**32 - 1))
def test_a_member_gets_the_mean_weight_of_the_places_it_could_take(fitness, seed):
    weights = np.random.default_rng(seed).standard_normal(len(fitness))
    expected = []
    for f in fitness:
        first = sum(above(g, f) for g in fitness)
        last = len(fitness) - sum(above(f, g) for g in fitness)
        expected.append(weights[first:last].mean())
    np.testing.assert_allclose(Ranking(fitness).give(weights), expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(st.permutations(range(20)), st.integers(0, 2**32 - 1))
def test_without_ties_weights_are_given_as_they_are(fitness, seed):
    weights = np.random.default_rng(seed).standard_normal(20)
    given_to = Ranking(np.array(fitness, np.float64)).give(weights)
    np.testing.assert_array_equal(given_to, weights[19 - np.array(fitness)])


@settings(deadline=None)
@given(fitnesses)
def test_it_sorts_and_knows_when_there_is_nothing_to_learn(fitness):
    ranking = Ranking(fitness)
    assert ranking.same == (not any(above(f, g) for f in fitness for g in fitness))
    assert not any(above(low, high) for high, low in zip(ranking.sorted, ranking.sorted[1:], strict=False))
    np.testing.assert_array_equal(np.sort(ranking.sorted), np.sort(fitness))
