"""Whole lives leave nothing behind."""

from collections.abc import Callable

import pytest

LIVE = """
from functools import partial
import numpy as np, torch
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.rollout import RolloutTask

torch.set_num_threads(1)
policy = partial(PlasticNetwork, hidden=[16], rule=HebbianRule())
variations = [{}, {"damage": "front_right:shorten@3-9"}]
env = "neuroplastic_envs:neuroplastic/Quadruped-v0"
task = RolloutTask(
    env, policy, variations=variations, rules=LifeRules(horizon=12, idle=3), batch=4, measures=["distance"],
    normalise=True,
)
rng = np.random.default_rng()

def live(members):
    population = DensePopulation(torch.randn(members, task.layout.size))
    task.evaluate(population, range(members), rng.integers(2**31, size=(members, 1)))

live(200)
before = megabytes()
for _ in range(20):
    live(50)
print(megabytes() - before)
"""


@pytest.mark.slow
def test_memory_is_flat_over_two_thousand_lives(printed: Callable[[str], list[float]]) -> None:
    """A thousand members in two variations each; a body that is damaged in mid-life is built anew twice."""
    assert printed(LIVE)[-1] < 3
