"""How near to the top of two hills each strategy comes in 3,000 evaluations.

What is asked of each is what it can do, with room for rounding. Those that learn no covariance are not asked for the
top of the rotated ellipsoid, which is 2,000 above the start, and random search only never to lose its best.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from driving import rows_of
from landscapes import ellipsoid, rotation, sphere

from neuroplastic.search import Strategy, adapted, strategies

pytestmark = pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")

D, EVALUATIONS = 5, 3_000
OPTIMUM = np.random.default_rng(7).uniform(-1, 1, D)
PGPE = {"population": 20, "sigma": 0.3, "optimizer": "sgd", "learning_rate": 1.0}
OPENAI = {"population": 20, "sigma": 0.05, "learning_rate": 0.1, "learning_rate_decay": 0.985, "optimizer": "adam"}
TWELVE = {"population": 12, "sigma": 0.5}
THEIRS = {"population": 12, "stdev_init": 0.5}
# name -> options, and how far below the tops of the sphere and of the ellipsoid at most; a new strategy is added here
REACHES: dict[str, tuple[dict, float, float]] = {
    "openai-es": (OPENAI, 1e-4, 5),
    "pgpe": (PGPE, 5e-6, 10),
    "snes": (TWELVE, 1e-15, 50),
    "xnes": (TWELVE, 1e-10, 1e-7),
    "cma-es": ({"sigma": 0.5}, 1e-20, 1e-20),
    "sep-cma-es": ({"sigma": 0.5}, 1e-20, 10),
    "ipop:cma-es": ({"sigma": 0.5}, 1e-10, 1e-10),
    "ipop:sep-cma-es": ({"sigma": 0.5}, 1e-10, 10),
    "ipop:xnes": (TWELVE, 1e-10, 1e-7),
    "genetic": ({"population": 20, "sigma": 0.05, "elites": 2, "crossover": "uniform"}, 3e-3, 5),
    "random": ({"population": 20}, 0.8, 200),
    "evotorch:SNES": (THEIRS, 1e-15, 50),
    "evotorch:XNES": (THEIRS, 1e-10, 1e-7),
    "evotorch:CMAES": (THEIRS, 1e-20, 1e-18),
    "cma:CMA": (TWELVE, 1e-20, 1e-18),
}
HILLS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sphere": lambda X: sphere(X - OPTIMUM),
    "rotated ellipsoid": lambda X: ellipsoid((X - OPTIMUM) @ rotation(D).T, condition=1e4),
}


def below(strategy: Strategy, hill: Callable[[np.ndarray], np.ndarray]) -> float:
    """How far the center is below the top at the end."""
    evaluations = 0
    while evaluations < EVALUATIONS:
        rows = rows_of(strategy).numpy()
        strategy.tell(-hill(rows))
        evaluations += len(rows)
    return float(hill(strategy.center.numpy()))


@pytest.mark.parametrize("name", [*strategies, *(name for name in REACHES if name not in strategies)])
def test_it_comes_near_the_top(name):
    options, *thresholds = REACHES[name]
    make = partial(strategies.get(name) or adapted(name), torch.zeros(D).double(), **options)
    seeds = (1, 2) if name in strategies else (1,)
    for (hill, height), threshold in zip(HILLS.items(), thresholds, strict=True):
        assert height(np.zeros(D)) > 1.5 * threshold
        found = [below(make(seed=seed), height) for seed in seeds]
        assert max(found) < threshold, (hill, found)
