"""One update of CMA-ES and separable CMA-ES against the tutorial's equations in NumPy, and against pycma."""

import math

import numpy as np
import pytest
import torch
from driving import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.search.cma_es import CMAES, SeparableCMAES

BOTH = pytest.mark.parametrize("make", [CMAES, SeparableCMAES])
seeds = st.integers(0, 2**32 - 1)


class Reference:
    """The tutorial's algorithm, a member at a time and minimising, from given samples."""

    def __init__(self, mean: np.ndarray, sigma: float, lam: int, active: bool, separable: bool) -> None:
        n = len(mean)
        w = [math.log((lam + 1) / 2) - math.log(i) for i in range(1, lam + 1)]
        self.mu = lam // 2
        mueff = sum(w[: self.mu]) ** 2 / sum(x * x for x in w[: self.mu])
        worse = [x for x in w if x < 0]
        mueff_minus = sum(worse) ** 2 / sum(x * x for x in worse)
        faster = (n + 2) / 3 if separable else 1
        self.c1 = faster * 2 / ((n + 1.3) ** 2 + mueff)
        self.cmu = min(1 - self.c1, faster * 2 * (0.25 + mueff + 1 / mueff - 2) / ((n + 2) ** 2 + 2 * mueff / 2))
        alphas = 1 + self.c1 / self.cmu, 1 + 2 * mueff_minus / (mueff + 2), (1 - self.c1 - self.cmu) / (n * self.cmu)
        self.w = [x / sum(w[: self.mu]) if x >= 0 else active * min(alphas) * x / -sum(worse) for x in w]
        self.cs = (mueff + 2) / (n + mueff + 5)
        self.ds = 1 + 2 * max(0, math.sqrt((mueff - 1) / (n + 1)) - 1) + self.cs
        self.cc = (4 + mueff / n) / (n + 4 + 2 * mueff / n)
        self.chi = math.sqrt(2) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2))
        self.lag = max(1, math.ceil(1 / (self.c1 + self.cmu) / n / 10))
        self.mean, self.sigma, self.mueff, self.separable = mean.astype(np.float64), sigma, mueff, separable
        self.C, self.root = np.eye(n), np.eye(n)  # C^(-1/2), as of the last decomposition
        self.ps, self.pc, self.g, self.stalls = np.zeros(n), np.zeros(n), 0, 0

    def tell(self, X: np.ndarray, f: np.ndarray) -> None:
        n, lam = len(self.mean), len(f)
        y = [(X[k] - self.mean) / self.sigma for k in np.argsort(f)]
        yw = sum(self.w[i] * y[i] for i in range(self.mu))
        self.mean = self.mean + self.sigma * yw
        self.ps = (1 - self.cs) * self.ps + math.sqrt(self.cs * (2 - self.cs) * self.mueff) * self.root @ yw
        norm = np.linalg.norm(self.ps)
        hs = norm / math.sqrt(1 - (1 - self.cs) ** (2 * (self.g + 1))) < (1.4 + 2 / (n + 1)) * self.chi
        self.stalls += not hs
        self.pc = (1 - self.cc) * self.pc + hs * math.sqrt(self.cc * (2 - self.cc) * self.mueff) * yw
        delta = (1 - hs) * self.cc * (2 - self.cc)
        C = (1 + self.c1 * delta - self.c1 - self.cmu * sum(self.w)) * self.C + self.c1 * np.outer(self.pc, self.pc)
        for i in range(lam):
            wi = self.w[i] * (1 if self.w[i] >= 0 else n / np.linalg.norm(self.root @ y[i]) ** 2)
            C += self.cmu * wi * np.outer(y[i], y[i])
        self.C = np.diag(np.diag(C)) if self.separable else C
        self.sigma *= math.exp(self.cs / self.ds * (norm / self.chi - 1))
        self.g += 1
        if self.g % (1 if self.separable else self.lag) == 0:
            squares, B = np.linalg.eigh(self.C)
            self.root = B @ np.diag(squares**-0.5) @ B.T


def assert_same(strategy: CMAES, reference: Reference) -> None:
    C = strategy.state_dict()["covariance"].numpy()
    close = {"rtol": 1e-7, "atol": 1e-9}
    np.testing.assert_allclose(strategy.center.numpy(), reference.mean, **close)
    np.testing.assert_allclose(strategy.sigma, reference.sigma, **close)
    np.testing.assert_allclose(strategy.path_sigma.numpy(), reference.ps, **close)
    np.testing.assert_allclose(strategy.path.numpy(), reference.pc, **close)
    np.testing.assert_allclose(np.diag(C) if reference.separable else C, reference.C, **close)


@BOTH
@pytest.mark.parametrize("active", [True, False])
@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 12), st.integers(2, 20), st.booleans())
def test_updates_are_those_of_the_tutorial(make, active, seed, D, P, linear):
    rng = np.random.default_rng(seed)
    start, sigma = rng.standard_normal(D), rng.uniform(0.1, 3)
    strategy = make(torch.from_numpy(start), population=P, sigma=sigma, active=active, seed=seed)
    reference = Reference(start, sigma, P, active, make is SeparableCMAES)
    for _ in range(8):
        X = rows_of(strategy).numpy()
        assert X.dtype == np.float64
        f = X.sum(axis=1) if linear else rng.standard_normal(P)
        strategy.tell(-f)
        reference.tell(X, f)
        assert_same(strategy, reference)


@BOTH
def test_the_path_stalls_where_it_does_in_the_tutorial(make):
    strategy, reference = (
        make(torch.ones(4).double(), sigma=0.1),
        Reference(np.ones(4), 0.1, 8, True, make is not CMAES),
    )
    for _ in range(20):
        X = rows_of(strategy).numpy()
        strategy.tell(-X.sum(axis=1))
        reference.tell(X, X.sum(axis=1))
        assert_same(strategy, reference)
    assert 2 < reference.stalls < 20


def test_the_decomposition_is_as_old_as_in_the_tutorial():
    rng = np.random.default_rng(1)
    strategy, reference = CMAES(torch.zeros(120).double(), sigma=1.0), Reference(np.zeros(120), 1.0, 18, True, False)
    assert reference.lag == 2
    for _ in range(7):
        X, f = rows_of(strategy).numpy(), rng.standard_normal(18)
        strategy.tell(-f)
        reference.tell(X, f)
        assert_same(strategy, reference)


@settings(deadline=None, max_examples=20)
@given(seeds, st.sampled_from([(3, 6), (8, 10), (20, 12), (100, 17)]))
def test_updates_are_those_of_pycma(seed, sizes):
    """To 1e-7: pycma adds 1e-9 to the lengths that scale negative weights."""
    cma = pytest.importorskip("cma")
    D, P = sizes
    rng = np.random.default_rng(seed)
    strategy = CMAES(torch.ones(D).double(), sigma=0.5, population=P, seed=seed)
    constants = strategy.constants
    theirs = cma.CMAEvolutionStrategy(np.ones(D), 0.5, {"popsize": P, "verbose": -9, "seed": 1})
    theirs.ask()
    # Where pycma leaves the tutorial: it starts from a C that is not quite I, and has other constants for σ and h_σ.
    theirs.sm.C, theirs.sm.B, theirs.sm.D = np.eye(D), np.eye(D), np.ones(D)
    sigma_rule = theirs.adapt_sigma
    sigma_rule.cs, sigma_rule.damps = constants.c_sigma, constants.d_sigma

    def hsig(es) -> bool:
        sigma_rule._update_ps(es)
        length = np.linalg.norm(sigma_rule.ps) / math.sqrt(1 - (1 - sigma_rule.cs) ** (2 * es.countiter))
        return length < (1.4 + 2 / (D + 1)) * constants.chi

    sigma_rule.hsig = hsig
    for generation in range(12):
        X, f = rows_of(strategy).numpy(), rng.standard_normal(P)
        if generation:
            theirs.ask()
        theirs.tell([*X.copy()], [*f], check_points=False)
        strategy.tell(-f)
        np.testing.assert_allclose(strategy.center.numpy(), theirs.mean, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(strategy.sigma, theirs.sigma, rtol=1e-7)
        np.testing.assert_allclose(strategy.state_dict()["covariance"].numpy(), theirs.sm.C, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(strategy.path.numpy(), theirs.pc, rtol=1e-7, atol=1e-7)


@BOTH
def test_population_0_is_the_default_of_the_tutorial(make):
    assert [make(torch.zeros(D)).population for D in (1, 2, 20, 100)] == [4, 6, 12, 17]
