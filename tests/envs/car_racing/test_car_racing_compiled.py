"""What numba keeps of compiled functions is forgotten when a file changes that they are made of."""

import os
import subprocess
import sys
from pathlib import Path

from neuroplastic_envs.car_racing import compiled

CALLEE = """
from .compiled import compiled

FACTOR = {factor}


@compiled
def times(number):
    return FACTOR * number
"""
CALLER = """
from .callee import times
from .compiled import compiled


@compiled
def twice(number):
    return 2 * times(number)
"""
CALL = "from folder.caller import twice; print(twice(1), sum(twice.stats.cache_hits.values()))"


def test_a_change_in_another_file_is_seen(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, text in (("__init__", ""), ("compiled", Path(compiled.__file__).read_text()), ("caller", CALLER)):
        (folder / f"{name}.py").write_text(text)

    def told(factor: int) -> list[int]:
        """What a process of its own computes, and how often it found that compiled."""
        (folder / "callee.py").write_text(CALLEE.format(factor=factor))
        run = [sys.executable, "-B", "-c", CALL]  # no bytecode, which would be as old to the second
        environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
        return [int(word) for word in ran.stdout.split()]

    assert told(3) == [6, 0]
    assert told(3) == [6, 1]
    assert told(5) == [10, 0]
