"""Populations: their rows, and how small they travel."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.noise import normal
from neuroplastic.search import DensePopulation, Population, SampledPopulation

STREAMS = np.array([7, 7, 2**64 - 1, 2**63, 7], np.uint64)
SIGNS = np.array([1, -1, 1, 0, 1], np.int8)


def sampled(size: int) -> SampledPopulation:
    return SampledPopulation(torch.randn(size), 0.3, STREAMS, SIGNS)


def dense(size: int) -> DensePopulation:
    return DensePopulation(torch.randn(5, size))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.sampled_from([(np.float32, 1e-6), (np.float64, 1e-14)]))
def test_with_a_deviation_for_each_number_rows_and_mean_squares_are_those_of_numpy(seed, size, precision):
    dtype, tolerance = precision
    rng = np.random.default_rng(seed)
    center, sigma = rng.standard_normal(size).astype(dtype), rng.uniform(0.01, 2, size).astype(dtype)
    streams, signs = rng.integers(2**64, size=5, dtype=np.uint64), np.array([1, -1, 0, -1, 1], np.int8)
    streams[1] = streams[0]  # an antithetic pair
    population = SampledPopulation(torch.from_numpy(center), torch.from_numpy(sigma), streams, signs)
    expected = np.empty((5, size))
    for row, source, sign in zip(expected, streams, signs, strict=True):
        row[:] = center.astype(np.float64) + int(sign) * sigma.astype(np.float64) * normal(int(source), size).numpy()
    rows = population.rows(range(5)).numpy()
    assert rows.dtype == dtype
    np.testing.assert_allclose(rows, expected, rtol=tolerance, atol=5 * tolerance)
    squares, error = (expected**2).mean(axis=1), 10 * tolerance  # of a number; center and deviation may cancel
    assert (np.abs(population.mean_squares() - squares) <= error * (2 * np.sqrt(squares) + error)).all()


@settings(deadline=None)
@given(st.integers(1, 3000))
def test_mean_squares_in_float64_lose_nothing(size):
    population = SampledPopulation(torch.randn(size, dtype=torch.float64), 0.3, STREAMS, SIGNS)
    expected = [
        np.mean((population.center.numpy() + 0.3 * int(sign) * normal(int(source), size).double().numpy()) ** 2)
        for source, sign in zip(STREAMS, SIGNS, strict=True)
    ]
    np.testing.assert_allclose(population.mean_squares(), expected, rtol=1e-12)


@settings(deadline=None)
@given(st.integers(1, 3000))
def test_sampled_rows_are_center_plus_sigma_sign_noise(size):
    population = sampled(size)
    expected = [
        population.center.double() + 0.3 * int(sign) * normal(int(source), size).double()
        for source, sign in zip(STREAMS, SIGNS, strict=True)
    ]
    torch.testing.assert_close(population.rows(range(5)).double(), torch.stack(expected), rtol=0, atol=2e-6)
    assert torch.equal(population.rows([3])[0], population.center)


@settings(deadline=None)
@given(st.integers(1, 3000))
def test_mean_squares_are_those_of_the_rows(size):
    population = sampled(size)
    expected = population.rows(range(5)).double().square().mean(dim=1).numpy()
    np.testing.assert_allclose(population.mean_squares(), expected, rtol=1e-6)


@pytest.mark.parametrize("make", [sampled, dense])
@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=8))
def test_a_row_does_not_depend_on_what_else_is_asked_for(make, index):
    population: Population = make(50)
    everything = population.rows(range(len(population)))
    for form in (index, np.array(index, np.int32), tuple(index)):
        rows = population.rows(form)
        assert rows.shape == (len(index), 50)
        assert rows.dtype == torch.float32
        assert torch.equal(rows, everything[index])


@pytest.mark.parametrize("make", [sampled, dense])
@pytest.mark.parametrize("index", [[5], [-1], [0, 7], [0.0], [True, False], 3, [[0]]])
def test_members_that_do_not_exist_are_refused(make, index):
    with pytest.raises(ArgumentError, match="index: expected"):
        make(4).rows(index)


def test_a_sampled_population_travels_as_one_center_and_its_streams():
    population = SampledPopulation(torch.randn(10_000), 0.1, np.arange(200, dtype=np.uint64), np.ones(200, np.int8))
    sent = pickle.dumps(population)
    assert len(sent) < 4 * 10_000 + 9 * 200 + 2_000
    assert torch.equal(pickle.loads(sent).rows([0, 199]), population.rows([0, 199]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="signs"):
        SampledPopulation(torch.zeros(3), 0.1, STREAMS, SIGNS[:4])
    with pytest.raises(ShapeError, match="sigma"):
        SampledPopulation(torch.zeros(3), torch.ones(4), STREAMS, SIGNS)
    with pytest.raises(ShapeError, match="center"):
        SampledPopulation(torch.zeros(3, 1), 0.1, STREAMS, SIGNS)
    with pytest.raises(ShapeError, match="matrix"):
        DensePopulation(torch.zeros(3))
