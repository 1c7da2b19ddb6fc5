"""Memory: nothing stays behind, however many tracks there have been."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIVE = """
import os
from pathlib import Path
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
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

print(megabytes_after(2000), megabytes_after(10000))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to ask for memory in use")
def test_memory_is_flat_over_ten_thousand_tracks():
    """The first 2,000 fill the cache of tracks. A track is 60 kB, so one kept in 200 would be seen."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, "-c", LIVE], capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    early, late = map(float, ran.stdout.split())
    assert late - early < 3
