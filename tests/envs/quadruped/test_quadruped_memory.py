"""Memory: as much a row as is told, and none that stays behind."""

from collections.abc import Callable
from itertools import pairwise
from statistics import median

import pytest

MEASURE = """
import sys
import numpy as np
from neuroplastic_envs.quadruped.vector import QuadrupedVectorEnv

def live(env, episodes):
    damages = (None, "front_left", "front_right:shorten=0.5@3-6", "back_left:lock@2-5",
               "back_right:motor_off@1+front_left@4")
    for _ in range(episodes // env.num_envs):
        env.reset(options={"damage": rng.choice(damages, env.num_envs).tolist()})
        for _ in range(8):
            env.step(rng.uniform(-1, 1, (env.num_envs, 8)))

rng = np.random.default_rng()
"""


def test_a_row_costs_what_is_told_and_is_reused_when_it_is_closed(printed: Callable[[str], list[float]]) -> None:
    before, after, again, told = printed(
        MEASURE + "live(QuadrupedVectorEnv(1), 10)\n"
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
def test_memory_is_flat_over_many_episodes(printed: Callable[[str], list[float]]) -> None:
    """What stays behind stays in every window; what Bullet first needs at some time, in one."""
    used = printed(
        MEASURE + "env = QuadrupedVectorEnv(2, max_episode_steps=8)\n"
        "for _ in range(6):\n"
        "    live(env, 500)\n"
        "    print(megabytes())"
    )
    grown = [after - before for before, after in pairwise(used)]
    assert median(grown) < 0.3
