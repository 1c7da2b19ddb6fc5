"""One update of xNES against the paper's equations in NumPy."""

import math

import numpy as np
import pytest
import torch
from driving import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError
from neuroplastic.search.xnes import XNES

seeds = st.integers(0, 2**32 - 1)


def exponential(symmetric: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    return vectors @ np.diag(np.exp(values)) @ vectors.T


class Reference:
    """Algorithm 1 of the paper, a member at a time, from given samples."""

    def __init__(self, mean: np.ndarray, sigma: float, lam: int) -> None:
        d = len(mean)
        self.mean, self.sigma, self.B = mean.copy(), sigma, np.eye(d)
        self.eta = 3 / 5 * (3 + math.log(d)) / (d * math.sqrt(d))
        raw = [max(0, math.log(lam / 2 + 1) - math.log(k)) for k in range(1, lam + 1)]
        self.u = [x / sum(raw) - 1 / lam for x in raw]

    def tell(self, Z: np.ndarray, fitness: np.ndarray) -> None:
        d = len(self.mean)
        ranked = [np.linalg.solve(self.B, (Z[k] - self.mean) / self.sigma) for k in np.argsort(-fitness)]
        G_delta = sum(u * s for u, s in zip(self.u, ranked, strict=True))
        G_M = sum(u * (np.outer(s, s) - np.eye(d)) for u, s in zip(self.u, ranked, strict=True))
        G_sigma = np.trace(G_M) / d
        G_B = G_M - G_sigma * np.eye(d)
        self.mean = self.mean + self.sigma * self.B @ G_delta
        self.sigma *= math.exp(self.eta / 2 * G_sigma)
        self.B = self.B @ exponential(self.eta / 2 * G_B)


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(1, 12), st.integers(2, 20))
def test_updates_are_those_of_the_paper(seed, D, P):
    rng = np.random.default_rng(seed)
    start, sigma = rng.standard_normal(D), rng.uniform(0.1, 3)
    strategy = XNES(torch.from_numpy(start), population=P, sigma=sigma, seed=seed)
    reference = Reference(start, sigma, P)
    for _ in range(8):
        Z, fitness = rows_of(strategy).numpy(), rng.standard_normal(P)
        strategy.tell(fitness)
        reference.tell(Z, fitness)
        np.testing.assert_allclose(strategy.center.numpy(), reference.mean, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(strategy.sigma, reference.sigma, rtol=1e-8)
        np.testing.assert_allclose(strategy.shape.numpy(), reference.B, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate: expected"),
        ({"sigma_learning_rate": -1.0}, "sigma_learning_rate: expected"),
        ({"shape_learning_rate": 3.0}, "shape_learning_rate: expected"),
    ],
)
def test_learning_rates_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        XNES(torch.zeros(3), **options)
