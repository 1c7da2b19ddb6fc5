"""PGPE against its equations with the noise written out, and against EvoTorch's with the same samples."""

import math

import numpy as np
import pytest
import torch
from driving import noise_of
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, DivergenceError, UnknownNameError
from neuroplastic.search.pgpe import PGPE
from neuroplastic.search.shaping import SHAPINGS

pytestmark = pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")

seeds = st.integers(0, 2**32 - 1)
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-12}


class Reference:
    """The optimizers' equations in float64."""

    def __init__(self, name: str, max_speed: float):
        self.name, self.max_speed, self.t, self.m, self.v = name, max_speed, 0, 0.0, 0.0

    def step(self, g: np.ndarray, alpha: float) -> np.ndarray:
        if self.name == "sgd":
            self.v = 0.5 * self.v + g
            return alpha * self.v
        if self.name == "clipup":
            self.v = 0.5 * self.v + alpha * g / np.linalg.norm(g)
            self.v = self.v * min(1, self.max_speed / np.linalg.norm(self.v))
            return self.v
        self.t, self.m, self.v = self.t + 1, 0.9 * self.m + 0.1 * g, 0.999 * self.v + 0.001 * g * g
        return alpha * self.m / (1 - 0.9**self.t) / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)


@settings(deadline=None, max_examples=60)
@given(
    seeds,
    st.sampled_from([2, 4, 20]),
    st.sampled_from([1, 3, 1025, 2000]),
    st.sampled_from(["clipup", "sgd", "adam"]),
    st.sampled_from(list(SHAPINGS)),
    st.sampled_from(list(TOLERANCE)),
)
def test_updates_are_those_of_the_papers(seed, P, D, optimizer, shaping, dtype):
    rng = np.random.default_rng(seed)
    mu, sigma = rng.standard_normal(D).astype(np.float32).astype(np.float64), np.full(D, 0.25)
    options = {"max_speed": 0.3, "momentum": 0.5} if optimizer == "clipup" else {}
    options |= {"momentum": 0.5} if optimizer == "sgd" else {}
    strategy = PGPE(
        torch.from_numpy(mu).to(dtype),
        population=P,
        sigma=0.25,
        learning_rate=0.2,
        sigma_learning_rate=0.5,
        sigma_max_change=0.3,
        optimizer=optimizer,
        shaping=shaping,
        seed=seed,
        **options,
    )
    reference = Reference(optimizer, max_speed=0.3)
    tolerance = TOLERANCE[dtype]
    for _ in range(4):
        noise = noise_of(strategy)[0::2]
        rows = strategy.ask().rows(range(P))
        assert rows.dtype == strategy.center.dtype == dtype
        for j, e in enumerate(noise):
            np.testing.assert_allclose(rows[2 * j].double(), mu + sigma * e, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(rows[2 * j + 1].double(), mu - sigma * e, rtol=tolerance, atol=tolerance)

        fitness = rng.standard_normal(P)
        strategy.tell(fitness)
        r = SHAPINGS[shaping](fitness)
        b, pairs = r.mean(), P // 2
        g_mu, g_sigma = np.zeros(D), np.zeros(D)
        for j in range(pairs):
            e = sigma * noise[j]  # the paper's ε ~ N(0, σ²)
            g_mu += (r[2 * j] - r[2 * j + 1]) / 2 * e / pairs
            g_sigma += ((r[2 * j] + r[2 * j + 1]) / 2 - b) * (e**2 - sigma**2) / sigma / pairs
        mu = mu + reference.step(g_mu, 0.2)
        sigma = np.clip(sigma + 0.5 * g_sigma, 0.7 * sigma, 1.3 * sigma)
        np.testing.assert_allclose(strategy.center.double(), mu, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(strategy.sigma.double(), sigma, rtol=tolerance)
        mean, low, high = (pytest.approx(float(f(sigma)), rel=1e-4) for f in (np.mean, np.min, np.max))
        assert strategy.metrics() == {"sigma": mean, "sigma_min": low, "sigma_max": high}
        mu, sigma = strategy.center.double().numpy(), strategy.sigma.double().numpy()  # so that rounding stays small


def test_it_is_that_of_evotorch(fresh):
    distributions = pytest.importorskip("evotorch.distributions")
    from evotorch.optimizers import ClipUp
    from evotorch.tools import modify_tensor

    rng = np.random.default_rng(fresh)
    mu, sigma = torch.from_numpy(rng.standard_normal(50)), torch.full([50], 0.25, dtype=torch.float64)
    ours = PGPE(mu, population=20, sigma=0.25, learning_rate=0.1, sigma_learning_rate=0.5, seed=fresh)
    clipup = ClipUp(solution_length=50, dtype=torch.float64, stepsize=0.1)
    for _ in range(10):
        rows, fitness = ours.ask().rows(range(20)), torch.from_numpy(rng.permutation(np.arange(20.0)))
        ours.tell(fitness)
        by_pair = {"divide_mu_grad_by": "num_directions", "divide_sigma_grad_by": "num_directions"}
        theirs = distributions.SymmetricSeparableGaussian({"mu": mu, "sigma": sigma} | by_pair, dtype=torch.float64)
        gradients = theirs.compute_gradients(rows, fitness, objective_sense="max", ranking_method="centered")
        theirs = theirs.update_parameters(gradients, learning_rates={"sigma": 0.5}, optimizers={"mu": clipup})
        mu, sigma = theirs.mu, modify_tensor(sigma, theirs.sigma, max_change=0.2)
        torch.testing.assert_close(ours.center, mu, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(ours.sigma, sigma, rtol=1e-10, atol=0)


@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd", "learning_rate": 1.0, "momentum": 0.9}], ids=str)
@pytest.mark.parametrize("shaping", SHAPINGS)
@pytest.mark.parametrize("value", [0.1, float("nan"), float("inf"), float("-inf")])
def test_fitness_without_a_difference_changes_only_the_generation(options, shaping, value):
    strategy = PGPE(torch.randn(50), population=20, shaping=shaping, **options)
    strategy.ask()
    strategy.tell(np.arange(20.0))
    before = strategy.state_dict()
    strategy.ask()
    strategy.tell([value] * 20)
    for name, number in strategy.state_dict().items():
        if isinstance(number, torch.Tensor):
            assert torch.equal(number, before[name]), name
    assert strategy.generation == 2


def test_a_failed_member_counts_as_the_worst():
    fitness = np.arange(20.0)
    one, other = PGPE(torch.zeros(9), population=20), PGPE(torch.zeros(9), population=20)
    one.ask()
    one.tell(np.where(fitness == 7, np.nan, fitness))
    other.ask()
    other.tell(np.where(fitness == 7, -np.inf, fitness))
    assert torch.equal(one.center, other.center)
    assert torch.equal(one.sigma, other.sigma)


def test_it_reaches_the_top_of_a_sphere_and_narrows(fresh):
    target = torch.from_numpy(np.random.default_rng(fresh).standard_normal(50))
    strategy = PGPE(torch.zeros(50), population=100, optimizer="sgd", learning_rate=3.0, sigma=0.5, seed=fresh)
    for _ in range(1000):
        rows = strategy.ask().rows(range(100)).double()
        strategy.tell(-(rows - target).square().sum(dim=1))
    assert float((strategy.center - target).square().sum()) < 1e-3
    assert strategy.metrics()["sigma_max"] < 0.05


def test_with_its_defaults_it_comes_near_the_top_of_a_sphere(fresh):
    target = torch.from_numpy(np.random.default_rng(fresh).standard_normal(50))
    strategy = PGPE(torch.zeros(50), seed=fresh)
    for _ in range(500):
        strategy.tell(-(strategy.ask().rows(range(200)).double() - target).square().sum(dim=1))
    assert float((strategy.center - target).norm()) < 5 * 0.1 * math.sqrt(50) / 15  # a few steps


def test_deviations_follow_the_scale_of_each_number(fresh):
    scales = torch.logspace(0, 2, 20)  # a weak and a strong one, and all between
    strategy = PGPE(torch.zeros(20), sigma=0.3, optimizer="sgd", learning_rate=0.5, sigma_learning_rate=0.3, seed=fresh)
    for _ in range(300):
        strategy.tell(-(strategy.ask().rows(range(200)) * scales).square().sum(dim=1))
    assert float(strategy.sigma[:5].mean()) > 5 * float(strategy.sigma[-5:].mean())


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_members_and_center_keep_the_bounds(seed):
    strategy = PGPE(torch.full([30], 5.0), population=20, sigma=0.5, lower=-0.25, upper=0.5, seed=seed)
    assert strategy.center.unique().tolist() == [0.5]
    for _ in range(5):
        rows = strategy.ask().rows(range(20))
        assert rows.min() == -0.25
        assert rows.max() == 0.5
        strategy.tell(rows.sum(dim=1))
        assert strategy.center.max() <= 0.5
        assert strategy.center.min() >= -0.25


@pytest.mark.parametrize(
    ("fitness", "learning_rate"), [([1e30, 0, 0, 0], 1e30), ([1e308, -1e308, 0, 0], 1.0)], ids=["step", "gradient"]
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_a_center_that_would_not_be_finite_is_refused_and_nothing_is_lost(fitness, learning_rate):
    options = {"shaping": "raw", "optimizer": "sgd", "momentum": 0.9, "learning_rate": learning_rate}
    strategy, same = (PGPE(torch.arange(5.0), population=4, **options) for _ in range(2))
    strategy.ask()
    with pytest.raises(DivergenceError, match="generation 0"):
        strategy.tell(fitness)
    for one in (strategy, same):
        one.ask()
        one.tell([1e-30, 0, 0, 0])
    assert torch.equal(strategy.center, same.center)
    assert torch.equal(strategy.sigma, same.sigma)
    assert torch.isfinite(strategy.center).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_deviations_stay_finite_and_above_0(sign, dtype):
    strategy = PGPE(torch.zeros(3, dtype=dtype), population=8, sigma_learning_rate=1e9, sigma_max_change=0.99)
    for _ in range(1200):
        rows = strategy.ask().rows(range(8))
        assert torch.isfinite(rows).all()
        strategy.tell(sign * (rows - strategy.center).double().norm(dim=1))
    assert strategy.sigma.min() > 0
    assert torch.isfinite(strategy.sigma.square()).all()
    assert torch.isfinite(1 / strategy.sigma.square()).all()


def test_it_says_when_its_deviations_are_lost_in_rounding():
    strategy = PGPE(torch.ones(4), sigma=1e-7)
    assert strategy.stopped is None
    strategy = PGPE(torch.ones(4), sigma=1e-9)
    assert strategy.stopped is not None
    assert strategy.stopped.startswith("sigma: ")


@pytest.mark.parametrize(
    ("options", "learning_rate", "max_speed"),
    [
        ({}, 0.1 * 10 / 30, 0.1 * 10 / 15),
        ({"learning_rate": 0.3}, 0.3, 0.6),
        ({"max_speed": 0.3}, 0.15, 0.3),
        ({"learning_rate": 0.3, "max_speed": 5.0}, 0.3, 5.0),
    ],
)
def test_speeds_that_are_not_given_come_of_the_others(options, learning_rate, max_speed):
    strategy = PGPE(torch.zeros(100), **options)
    assert strategy.learning_rate == pytest.approx(learning_rate)
    assert strategy.optimizer.max_speed == pytest.approx(max_speed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 7}, "population: expected an even number"),
        ({"sigma": 1e30}, "sigma: expected"),
        ({"learning_rate": 0.0}, "learning_rate: expected"),
        ({"learning_rate": -1.0, "optimizer": "adam"}, "learning_rate: expected"),
        ({"optimizer": "adam"}, "learning_rate: expected a number with optimizer 'adam'; got none"),
        ({"sigma_learning_rate": -0.1}, "sigma_learning_rate: expected"),
        ({"sigma_max_change": 1.1}, "sigma_max_change: expected"),
        ({"max_speed": 0.0}, "max_speed: expected"),
        ({"max_speed": 1.0, "optimizer": "sgd"}, "max_speed: expected none"),
        ({"momentum": 2.0}, "momentum: expected"),
        ({"momentum": 0.9, "optimizer": "adam"}, "momentum: expected none"),
        ({"lower": 1.0, "upper": 1.0}, "lower, upper: expected"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        PGPE(torch.zeros(3), **options)


def test_names_that_do_not_exist_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'clipup'"):
        PGPE(torch.zeros(3), optimizer="clip-up")
    with pytest.raises(UnknownNameError, match="did you mean 'centered-rank'"):
        PGPE(torch.zeros(3), shaping="centred-rank")
