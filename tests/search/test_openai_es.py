"""OpenAI-ES against its equations, with the noise written out."""

import numpy as np
import pytest
import torch
from driving import noise_of
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, DivergenceError, UnknownNameError
from neuroplastic.search import OpenAIES
from neuroplastic.search.shaping import SHAPINGS

pytestmark = pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")

seeds = st.integers(0, 2**32 - 1)
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}


@settings(deadline=None, max_examples=50)
@given(
    seeds,
    st.sampled_from([2, 4, 20]),
    st.sampled_from([1, 3, 1025, 2000]),
    st.sampled_from(list(SHAPINGS)),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.9]),
    st.sampled_from(list(TOLERANCE)),
)
def test_updates_are_those_of_the_papers(seed, P, D, shaping, penalty, weight_decay, momentum, dtype):
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(D).astype(np.float32).astype(np.float64)
    velocity, sigma, alpha, tolerance = np.zeros(D), 0.2, 0.5, TOLERANCE[dtype]
    strategy = OpenAIES(
        torch.from_numpy(theta).to(dtype),
        population=P,
        sigma=sigma,
        sigma_decay=0.8,
        sigma_min=0.15,
        learning_rate=alpha,
        learning_rate_decay=0.7,
        learning_rate_min=0.3,
        penalty=penalty,
        weight_decay=weight_decay,
        momentum=momentum,
        shaping=shaping,
        seed=seed,
    )
    for _ in range(4):
        epsilon = noise_of(strategy) * np.resize([1, -1], (P, 1))
        members = theta + sigma * epsilon
        rows = strategy.ask().rows(range(P))
        assert rows.dtype == strategy.center.dtype == dtype
        np.testing.assert_allclose(rows.double(), members, rtol=tolerance, atol=0.1 * tolerance)

        F = rng.standard_normal(P) * 10
        strategy.tell(F)
        F = SHAPINGS[shaping](F - penalty * (members**2).mean(axis=1))
        gradient = sum(F[i] * epsilon[i] for i in range(P)) / (P * sigma) - weight_decay * theta
        velocity = momentum * velocity + gradient
        theta = theta + alpha * velocity
        np.testing.assert_allclose(strategy.center.double().numpy(), theta, rtol=tolerance, atol=tolerance)

        sigma, alpha = max(0.8 * sigma, 0.15), max(0.7 * alpha, 0.3)
        assert strategy.metrics() == {"sigma": pytest.approx(sigma), "learning_rate": pytest.approx(alpha)}
        theta = strategy.center.double().numpy()  # so that rounding does not add up


@settings(deadline=None)
@given(seeds, st.integers(1, 2000))
def test_members_are_antithetic_pairs_of_fresh_noise(seed, D):
    center = torch.from_numpy(np.random.default_rng(seed).standard_normal(D)).float()
    rows = OpenAIES(center, population=10, sigma=0.5, seed=seed).ask().rows(range(10))
    torch.testing.assert_close((rows[0::2] + rows[1::2]) / 2, center.expand(5, -1), rtol=0, atol=1e-5)
    assert len((rows[0::2] - center).unique(dim=0)) == 5


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("shaping", SHAPINGS)
@pytest.mark.parametrize("value", [3.25, float("nan"), float("inf"), float("-inf")])
def test_fitness_without_a_difference_moves_nothing(optimizer, shaping, value):
    center = torch.randn(50)
    strategy = OpenAIES(center, population=20, optimizer=optimizer, shaping=shaping)
    strategy.ask()
    strategy.tell([value] * 20)
    assert torch.equal(strategy.center, center)


def test_a_failed_member_counts_as_the_worst():
    fitness = np.arange(20.0)
    one, other = OpenAIES(torch.zeros(9), population=20), OpenAIES(torch.zeros(9), population=20)
    one.ask()
    one.tell(np.where(fitness == 7, np.nan, fitness))
    other.ask()
    other.tell(np.where(fitness == 7, -1e9, fitness))
    assert torch.equal(one.center, other.center)


@pytest.mark.parametrize(("optimizer", "shaping"), [("sgd", "raw"), ("adam", "centered-rank")])
def test_it_reaches_the_top_of_a_sphere(optimizer, shaping, fresh):
    target = torch.from_numpy(np.random.default_rng(fresh).standard_normal(100))
    strategy = OpenAIES(
        torch.zeros(100),
        population=100,
        sigma_decay=0.98,
        learning_rate=0.1,
        learning_rate_decay=0.98,
        optimizer=optimizer,
        shaping=shaping,
        seed=fresh,
    )
    for _ in range(300):
        rows = strategy.ask().rows(range(100)).double()
        strategy.tell(-(rows - target).square().sum(dim=1))
    assert float((strategy.center - target).square().sum()) < 1e-3


def test_a_center_that_would_not_be_finite_is_refused():
    center = torch.randn(5)
    strategy = OpenAIES(center, population=4, shaping="raw", learning_rate=1e30)
    strategy.ask()
    with pytest.raises(DivergenceError, match="generation 0"):
        strategy.tell([1e30, 0, 0, 0])
    assert torch.equal(strategy.center, center)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 7}, "population: expected an even number"),
        ({"sigma_decay": 0.0}, "sigma_decay: expected"),
        ({"sigma_decay": 1.1}, "sigma_decay: expected"),
        ({"sigma_min": 0.2}, "sigma_min: expected"),
        ({"learning_rate": 0.0}, "learning_rate: expected"),
        ({"learning_rate_decay": float("nan")}, "learning_rate_decay: expected"),
        ({"learning_rate_min": -1.0}, "learning_rate_min: expected"),
        ({"weight_decay": -0.1}, "weight_decay: expected"),
        ({"penalty": -0.1}, "penalty: expected"),
        ({"momentum": 2.0}, "momentum: expected"),
        ({"momentum": 0.9, "optimizer": "adam"}, "momentum: expected 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        OpenAIES(torch.zeros(3), **options)


def test_names_that_do_not_exist_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        OpenAIES(torch.zeros(3), optimizer="adma")
    with pytest.raises(UnknownNameError, match="did you mean 'centered-rank'"):
        OpenAIES(torch.zeros(3), shaping="centred-rank")
