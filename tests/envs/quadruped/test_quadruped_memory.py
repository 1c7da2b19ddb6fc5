"""Memory: as much a row as is told, and none that stays behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to ask for memory in use")

MEASURE = """
import os, sys
from pathlib import Path
import numpy as np
from neuroplastic_envs.quadruped.vector import QuadrupedVectorEnv

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

def live(env, episodes):
    damages = (None, "front_left", "front_right:shorten=0.5@3-6", "back_left:lock@2-5",
               "back_right:motor_off@1+front_left@4")
    for _ in range(episodes // env.num_envs):
        env.reset(options={"damage": rng.choice(damages, env.num_envs).tolist()})
        for _ in range(8):
            env.step(rng.uniform(-1, 1, (env.num_envs, 8)))

rng = np.random.default_rng()
"""


def measured(code: str) -> list[float]:
    """What ``code`` prints, in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE + code], capture_output=True, text=True, check=False, env=environment
    )
    assert ran.returncode == 0, ran.stderr
    return [float(line) for line in ran.stdout.split()]


def test_a_row_costs_what_is_told_and_is_reused_when_it_is_closed():
    before, after, again, told = measured(
        "live(QuadrupedVectorEnv(1), 10)\n"
        "print(megabytes())\n"
        "for _ in range(2):\n"
        "    env = QuadrupedVectorEnv(9)\n"
        "    live(env, 90)\n"
        "    print(megabytes())\n"
        "    env.close()\n"
        "print(env.metadata['megabytes_per_env'])"
    )
    assert (after - before) / 9 == pytest.approx(told, rel=0.1)
    assert again - after < told / 2


@pytest.mark.slow
def test_memory_is_flat_over_many_episodes():
    early, late = measured(
        "env = QuadrupedVectorEnv(2, max_episode_steps=8)\n"
        "live(env, 200)\n"
        "print(megabytes())\n"
        "live(env, 1800)\n"
        "print(megabytes())"
    )
    assert late - early < 2
