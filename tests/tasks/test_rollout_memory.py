"""Whole lives leave nothing behind."""

import os
import subprocess
import sys

import pytest

LIVE = """
import os
from functools import partial
from pathlib import Path
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

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

live(200)
before = megabytes()
for _ in range(20):
    live(50)
print(megabytes() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat_over_two_thousand_lives() -> None:
    """A thousand members in two variations each; a body that is damaged in mid-life is built anew twice."""
    ran = subprocess.run(
        [sys.executable, "-c", LIVE],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout.split()[-1]) < 3
