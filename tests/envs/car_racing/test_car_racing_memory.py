"""Memory: nothing stays behind, however many tracks there have been."""

from collections.abc import Callable

import pytest

LIVE = """
import numpy as np
from neuroplastic_envs.car_racing.vector import CarRacingVectorEnv

rng = np.random.default_rng()
env = CarRacingVectorEnv(8, domain_randomize=True)
env.reset()

def megabytes_after(resets):
    while resets > 0:
        mask = rng.random(8) < rng.choice([0.3, 1.0])
        env.reset(seed=rng.integers(2**31, size=8).tolist(), options={"reset_mask": mask})
        resets -= mask.sum()
        for _ in range(rng.integers(3)):
            env.step(env.action_space.sample())
    return megabytes()

print(megabytes_after(2000), megabytes_after(10000))
"""


@pytest.mark.slow
def test_memory_is_flat_over_ten_thousand_tracks(printed: Callable[[str], list[float]]) -> None:
    """The first 2,000 fill the cache of tracks. A track is 60 kB, so one kept in 200 would be seen."""
    early, late = printed(LIVE)
    assert late - early < 3
