"""What many tests share: a recipe that runs in a second."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # the gpu's kernels run on the cpu then; read when triton is loaded

settings.register_profile("patient", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("patient")

MEGABYTES = """
import os
from pathlib import Path

def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
"""


@pytest.fixture
def printed() -> Callable[[str], list[float]]:
    """Runs a program in its own process, where ``megabytes()`` is the memory in use; gives the numbers it prints."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")

    def run(program: str) -> list[float]:
        words = [sys.executable, "-c", MEGABYTES + program]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ran = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        assert ran.returncode == 0, ran.stderr
        return [float(number) for number in ran.stdout.split()]

    return run


@pytest.fixture(scope="session")
def ray_folder() -> Iterator[str]:
    """Where clusters of these tests keep their files: jobs look there for their cluster, and would find another's."""
    folder = tempfile.mkdtemp(prefix="ray-")  # a short name: sockets lie below it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Plain values of a recipe: CartPole, four hidden units, eight members."""
    return {
        "seed": 3,
        "generations": 4,
        "checkpoint_seconds": 0.0,
        "search": {"name": "openai-es", "population": 8, "sigma": 0.1, "learning_rate": 0.1, "optimizer": "adam"},
        "policy": {"hidden": [4]},
        "rule": {"name": "hebbian", "terms": "ABCD+lr", "normaliser": "max"},
        "task": {"env": "CartPole-v1", "horizon": 60, "batch": 4},
        "evaluate": {"workers": 1},
        "selection": {"every": 2, "top": 2, "episodes": 2},
    }
