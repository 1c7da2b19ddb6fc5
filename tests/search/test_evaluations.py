"""How many evaluations CMA-ES and xNES take to get below 1e-8, beside what their peers take."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from driving import rows_of
from landscapes import ellipsoid, rosenbrock, rotation, sphere

from neuroplastic.search import CMAES, XNES, SeparableCMAES


def evaluations(strategy: CMAES | XNES, function, limit: int, target: float = 1e-8) -> float:
    """Until the function is below the target; infinite if that takes more than ``limit``."""
    for count in range(strategy.population, limit, strategy.population):
        f = function(rows_of(strategy).numpy())
        if f.min() < target:
            return count
        strategy.tell(-f)
        assert strategy.stopped is None
    return math.inf


@pytest.mark.parametrize(
    ("function", "start", "sigma", "low", "high"),
    [(sphere, 1.0, 0.5, 2_500, 2_740), (ellipsoid, 1.0, 0.5, 12_600, 13_450), (rosenbrock, 0.0, 0.1, 15_900, 18_050)],
)
def test_cma_es_takes_as_many_as_its_peers(function, start, sigma, low, high):
    """Means of EvoTorch, pycma, cmaes and evosax, 20 numbers and 12 members, are from ``low`` to ``high``."""
    counts = []
    for seed in (1, 2, 3):
        strategy = CMAES(torch.full((20,), start).double(), population=12, sigma=sigma, seed=seed)
        counts.append(evaluations(strategy, function, 30_000))
    assert 0.95 * low < np.mean(counts) < 1.05 * high, counts


@pytest.mark.parametrize(("function", "low", "high"), [(sphere, 21_000, 28_000), (ellipsoid, 30_000, 41_000)])
def test_xnes_takes_as_many_as_its_peers(function, low, high):
    """Those of the package cmaes, 20 numbers and 12 members: about 24,600 and 35,200."""
    strategy = XNES(torch.ones(20).double(), population=12, sigma=0.5, seed=1)
    assert low < evaluations(strategy, function, 50_000) < high


def rotated(X: np.ndarray) -> np.ndarray:
    return ellipsoid(X @ rotation(X.shape[1]).T)


def ellipsoids(make, D: int, population: int, seed: int, limits: tuple[int, int]) -> list[float]:
    """Evaluations on the ellipsoid and on the rotated one, from the point that is as far up."""
    starts = np.ones(D), np.ones(D) @ rotation(D)
    start = partial(make, population=population, sigma=0.5, seed=seed)
    return [
        evaluations(start(torch.from_numpy(point)), function, limit)
        for point, function, limit in zip(starts, (ellipsoid, rotated), limits, strict=True)
    ]


def test_rotation_is_nothing_to_a_full_covariance_and_everything_to_a_diagonal_one():
    for seed in (1, 2):
        full, turned = ellipsoids(CMAES, 10, 10, seed, (30_000, 30_000))
        assert turned == pytest.approx(full, rel=0.15)
        separable, turned = ellipsoids(SeparableCMAES, 10, 10, seed, (30_000, 5 * int(full)))
        assert separable < 0.6 * full
        assert turned == math.inf


@pytest.mark.parametrize("seed", [1, 2])
def test_rotation_is_nothing_to_xnes(seed):
    plain, turned = ellipsoids(XNES, 8, 10, seed, (10_000, 10_000))
    assert turned == pytest.approx(plain, rel=0.15)
