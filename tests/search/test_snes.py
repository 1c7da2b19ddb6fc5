"""SNES against its equations with the noise written out, and against EvoTorch's with the same samples."""

import math

import numpy as np
import pytest
import torch
from driving import noise_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neuroplastic.errors import ArgumentError, DivergenceError
from neuroplastic.search.snes import SNES, utilities

pytestmark = pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")

seeds = st.integers(0, 2**32 - 1)
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-12}
few = st.sampled_from([-np.inf, -1.5, 0.0, 2.0, np.inf, np.nan])  # so that ties happen
fitnesses = st.integers(2, 40).flatmap(lambda size: arrays(np.float64, size, elements=st.one_of(few, st.floats())))


@settings(deadline=None, max_examples=60)
@given(
    seeds,
    st.sampled_from([2, 5, 20]),
    st.sampled_from([1, 3, 1025, 2000]),
    st.sampled_from([None, 0.7]),
    st.sampled_from(list(TOLERANCE)),
)
def test_updates_are_those_of_the_paper(seed, λ, D, sigma_learning_rate, dtype):
    rng = np.random.default_rng(seed)
    mu, sigma = rng.standard_normal(D).astype(np.float32).astype(np.float64), np.full(D, 0.25)
    strategy = SNES(
        torch.from_numpy(mu).to(dtype),
        population=λ,
        sigma=0.25,
        learning_rate=0.9,
        sigma_learning_rate=sigma_learning_rate,
        seed=seed,
    )
    eta = sigma_learning_rate or (3 + math.log(D)) / (5 * math.sqrt(D))
    tolerance = TOLERANCE[dtype]
    for _ in range(4):
        s = noise_of(strategy)
        rows = strategy.ask().rows(range(λ))
        assert rows.dtype == strategy.center.dtype == dtype
        np.testing.assert_allclose(rows.double(), mu + sigma * s, rtol=tolerance, atol=tolerance)

        fitness = rng.permutation(λ) * 0.5
        strategy.tell(fitness)
        above_zero = [max(0.0, math.log(λ / 2 + 1) - math.log(k)) for k in range(1, λ + 1)]
        grad_mu, grad_sigma = np.zeros(D), np.zeros(D)
        for k, member in enumerate(sorted(range(λ), key=lambda i: -fitness[i])):
            u = above_zero[k] / sum(above_zero) - 1 / λ
            grad_mu += u * s[member]
            grad_sigma += u * (s[member] ** 2 - 1)
        mu = mu + 0.9 * sigma * grad_mu
        sigma = sigma * np.exp(eta / 2 * grad_sigma)
        np.testing.assert_allclose(strategy.center.double(), mu, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(strategy.sigma.double(), sigma, rtol=tolerance)
        mean, low, high = (pytest.approx(float(f(sigma)), rel=1e-4) for f in (np.mean, np.min, np.max))
        assert strategy.metrics() == {"sigma": mean, "sigma_min": low, "sigma_max": high}
        mu, sigma = strategy.center.double().numpy(), strategy.sigma.double().numpy()  # so that rounding stays small


def test_it_is_that_of_evotorch(fresh):
    distributions = pytest.importorskip("evotorch.distributions")
    rng = np.random.default_rng(fresh)
    mu, sigma = torch.from_numpy(rng.standard_normal(50)), torch.full([50], 0.25, dtype=torch.float64)
    ours = SNES(mu, population=20, sigma=0.25, seed=fresh)
    rates = {"mu": 1.0, "sigma": 0.2 * (3 + math.log(50)) / math.sqrt(50)}
    for _ in range(10):
        rows, fitness = ours.ask().rows(range(20)), torch.from_numpy(rng.permutation(np.arange(20.0)))
        ours.tell(fitness)
        theirs = distributions.ExpSeparableGaussian({"mu": mu, "sigma": sigma}, dtype=torch.float64)
        gradients = theirs.compute_gradients(rows, fitness, objective_sense="max", ranking_method="nes")
        theirs = theirs.update_parameters(gradients, learning_rates=rates)
        mu, sigma = theirs.mu, theirs.sigma
        torch.testing.assert_close(ours.center, mu, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(ours.sigma, sigma, rtol=1e-10, atol=0)


# ------------------------------------------------------------------------------------------- utilities


@settings(deadline=None)
@given(fitnesses)
def test_equals_share_the_mean_utility_of_their_places(fitness):
    λ = len(fitness)
    above_zero = np.array([max(0.0, math.log(λ / 2 + 1) - math.log(k)) for k in range(1, λ + 1)])
    u = above_zero / above_zero.sum() - 1 / λ
    numbers = [-np.inf if np.isnan(f) else f for f in fitness]
    failed = np.isnan(fitness)
    for i in range(λ):
        better = sum((numbers[j], not failed[j]) > (numbers[i], not failed[i]) for j in range(λ))
        equal = sum((numbers[j], failed[j]) == (numbers[i], failed[i]) for j in range(λ))
        assert utilities(fitness)[i] == pytest.approx(u[better : better + equal].mean(), abs=1e-14)


@settings(deadline=None)
@given(fitnesses)
def test_utilities_sum_to_0(fitness):
    assert abs(utilities(fitness).sum()) < 1e-12


@pytest.mark.parametrize("value", [0.1, float("nan"), float("inf"), float("-inf")])
def test_fitness_without_a_difference_changes_only_the_generation(value):
    strategy = SNES(torch.randn(50), population=17)
    strategy.ask()
    strategy.tell(np.arange(17.0))
    center, sigma = strategy.center, strategy.sigma
    strategy.ask()
    strategy.tell([value] * 17)
    assert torch.equal(strategy.center, center)
    assert torch.equal(strategy.sigma, sigma)
    assert strategy.generation == 2


# ------------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize(("condition", "evaluations"), [(0, 10_000), (4, 15_000)], ids=["sphere", "ellipsoid"])
def test_it_converges_on_a_separable_bowl(condition, evaluations, fresh):
    rng = np.random.default_rng(fresh)
    scales, target = torch.logspace(0, condition, 20, dtype=torch.float64), torch.from_numpy(rng.standard_normal(20))
    strategy = SNES(torch.zeros(20, dtype=torch.float64), population=12, sigma=1.0, seed=fresh)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return ((rows - target).square() * scales).sum(dim=-1)

    for _ in range(evaluations // 12):
        strategy.tell(-loss(strategy.ask().rows(range(12))))
    assert float(loss(strategy.center)) < 1e-8


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_members_and_center_keep_the_bounds(seed):
    strategy = SNES(torch.full([30], 5.0), population=20, sigma=0.5, lower=-0.25, upper=0.5, seed=seed)
    assert strategy.center.unique().tolist() == [0.5]
    for _ in range(5):
        rows = strategy.ask().rows(range(20))
        assert rows.min() >= -0.25
        assert rows.max() == 0.5
        strategy.tell(rows.sum(dim=1))
        assert strategy.center.max() <= 0.5
        assert strategy.center.min() >= -0.25


def test_a_center_that_would_not_be_finite_is_refused():
    center = torch.randn(5)
    strategy = SNES(center, population=4, sigma=1e10, learning_rate=1e38)
    strategy.ask()
    with pytest.raises(DivergenceError, match="generation 0"):
        strategy.tell([1, 2, 3, 4])
    assert torch.equal(strategy.center, center)
    assert strategy.sigma.unique().tolist() == pytest.approx([1e10])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_deviations_stay_finite_and_above_0(sign, dtype):
    strategy = SNES(torch.zeros(3, dtype=dtype), population=8, sigma_learning_rate=1e3)
    for _ in range(20):
        rows = strategy.ask().rows(range(8))
        assert torch.isfinite(rows).all()
        strategy.tell(sign * (rows - strategy.center).double().norm(dim=1))
    assert strategy.sigma.min() > 0
    assert torch.isfinite(strategy.sigma.square()).all()
    assert torch.isfinite(1 / strategy.sigma.square()).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "population: expected"),
        ({"sigma": 1e30}, "sigma: expected"),
        ({"learning_rate": 0.0}, "learning_rate: expected"),
        ({"sigma_learning_rate": -0.1}, "sigma_learning_rate: expected"),
        ({"sigma_learning_rate": float("nan")}, "sigma_learning_rate: expected"),
        ({"lower": 1.0, "upper": 1.0}, "lower, upper: expected"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        SNES(torch.zeros(3), **options)
