"""OpenAI-ES against its equations, with the noise written out."""

import secrets
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from neuroplastic.errors import ArgumentError, DivergenceError, UnknownNameError
from neuroplastic.search import OpenAIES, SampledPopulation
from neuroplastic.search.shaping import SHAPINGS

seeds = st.integers(0, 2**32 - 1)


def noise_of(strategy: OpenAIES) -> np.ndarray:
    """ε [P/2, D], taken from a population around 0 with the streams of the next one."""
    population = strategy.ask()
    assert isinstance(population, SampledPopulation)
    around_zero = SampledPopulation(torch.zeros_like(strategy.center), 1.0, population.streams, population.signs)
    return around_zero.rows(range(0, len(population), 2)).double().numpy()


@settings(deadline=None, max_examples=50)
@given(
    seeds,
    st.sampled_from([2, 4, 20]),
    st.sampled_from([1, 3, 1025, 2000]),
    st.sampled_from(list(SHAPINGS)),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.9]),
)
def test_updates_are_those_of_the_papers(seed, P, D, shaping, penalty, weight_decay, momentum):
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(D).astype(np.float32).astype(np.float64)
    velocity, sigma, alpha = np.zeros(D), 0.2, 0.5
    strategy = OpenAIES(
        torch.from_numpy(theta).float(),
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
        epsilon = np.repeat(noise_of(strategy), 2, axis=0) * np.resize([1, -1], (P, 1))
        members = theta + sigma * epsilon
        rows = strategy.ask().rows(range(P)).double().numpy()
        np.testing.assert_allclose(rows, members, rtol=1e-4, atol=1e-5)

        F = rng.standard_normal(P) * 10
        strategy.tell(F)
        F = SHAPINGS[shaping](F - penalty * (members**2).mean(axis=1))
        gradient = sum(F[i] * epsilon[i] for i in range(P)) / (P * sigma) - weight_decay * theta
        velocity = momentum * velocity + gradient
        theta = theta + alpha * velocity
        np.testing.assert_allclose(strategy.center.double().numpy(), theta, rtol=1e-4, atol=1e-4)

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


@settings(deadline=None)
@given(seeds, st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 100]))
@pytest.mark.parametrize("shaping", ["centered-rank", "centered-rank+z-score"])
def test_with_ranks_only_the_order_of_fitness_matters(shaping, seed, increasing):
    fitness = np.random.default_rng(seed).permutation(np.arange(20.0))
    one, other = (OpenAIES(torch.zeros(30), population=20, shaping=shaping, seed=seed) for _ in range(2))
    for strategy, numbers in ((one, fitness), (other, increasing(fitness))):
        strategy.ask()
        strategy.tell(numbers)
    assert torch.equal(one.center, other.center)
    assert one.center.any()


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
def test_it_reaches_the_top_of_a_sphere(optimizer, shaping):
    seed = secrets.randbits(32)
    print(f"seed: {seed}")
    target = torch.from_numpy(np.random.default_rng(seed).standard_normal(100))
    strategy = OpenAIES(
        torch.zeros(100),
        population=100,
        sigma_decay=0.98,
        learning_rate=0.1,
        learning_rate_decay=0.98,
        optimizer=optimizer,
        shaping=shaping,
        seed=seed,
    )
    for _ in range(300):
        rows = strategy.ask().rows(range(100)).double()
        strategy.tell(-(rows - target).square().sum(dim=1))
    assert float((strategy.center - target).square().sum()) < 1e-3


class LargestTensor(TorchDispatchMode):
    """How many numbers the largest tensor has that torch makes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


@pytest.mark.parametrize("penalty", [0.0, 0.01])
def test_a_generation_never_holds_population_times_genome(penalty):
    D, P = 20_000, 200
    strategy = OpenAIES(torch.zeros(D), population=P, penalty=penalty)

    def generation() -> None:
        population = strategy.ask()
        for first in range(0, P, 8):
            population.rows(range(first, first + 8))
        strategy.tell(torch.randn(P))

    with LargestTensor() as largest:
        generation()  # compiles and imports
        tracemalloc.start()  # NumPy's memory; torch's is counted by its operations
        generation()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest.numbers == 8 * D  # the rows asked for
    assert peak < 16 * D * 4 + 100_000  # two times eight rows, where all would be 200


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
