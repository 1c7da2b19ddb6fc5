"""Recipes times seeds, side by side."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from rich.console import Console
from runs import create, outcome, run

from neuroplastic.errors import ArgumentError, RecipeError
from neuroplastic.experiment.run import RunFolder, read_metrics
from neuroplastic.experiment.several import STOPPED, evolve_several, plan


@pytest.fixture
def recipe(tmp_path: Path, tiny: dict[str, Any]) -> str:
    file = tmp_path / "mine.toml"
    file.write_text(tomli_w.dumps(tiny | {"evaluate": {"workers": "auto"}}))
    return str(file)


def same(address: str | Path, other: str | Path) -> None:
    (metrics, agents), (metrics_too, agents_too) = outcome(address), outcome(other)
    assert metrics == metrics_too
    for which, tensors in agents.items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, agents_too[which][name])


def test_each_is_what_it_is_alone(recipe: str, tiny: dict[str, Any], tmp_path: Path) -> None:
    """Another recipe of the same run fails, and the others do not mind; the same words go on with nothing to do."""
    runs = plan([recipe], ["generations=2"], 2, str(tmp_path / "runs"))
    assert [each.name for each in runs] == ["mine-seed3", "mine-seed4"]
    taken = plan([recipe], ["search.sigma=0.2"], 1, str(tmp_path / "taken"))[0]
    run(RunFolder.create(taken.folder, runs[0].recipe))
    ended = evolve_several([taken.__class__("taken", taken.recipe, taken.folder), *runs], None, Console(quiet=True))
    assert ended == {"taken": 1, "mine-seed3": 0, "mine-seed4": 0}
    for seed in (3, 4):
        alone = tmp_path / f"alone{seed}"
        run(create(alone, tiny, "generations=2", f"seed={seed}"))
        same(alone, runs[seed - 3].folder)
    assert set(evolve_several(runs, None, Console(quiet=True)).values()) == {0}


def test_what_is_wrong_is_said_before_any_begins(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="expected recipes of different names; got 'mine' twice"):
        plan([recipe, recipe], [], 1, str(tmp_path / "runs"))
    with pytest.raises(ArgumentError, match="--seeds: expected a number >= 1; got 0"):
        plan([recipe], [], 0, str(tmp_path / "runs"))
    with pytest.raises(RecipeError, match="rule.terms"):
        plan([recipe, "cartpole-hebbian"], ["rule.terms=XYZ"], 1, str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def until(condition: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_stopped_and_gone_on(recipe: str, tiny: dict[str, Any], tmp_path: Path, number: int) -> None:
    """Ctrl-C goes to all of the terminal's processes; who is killed takes its runs along. Then the same words again."""
    words = [sys.executable, "-m", "neuroplastic", "evolve", recipe, "--seeds", "2", "--run", str(tmp_path / "runs")]
    endless = subprocess.Popen([*words, "generations=100000"], stdout=subprocess.DEVNULL, start_new_session=True)
    folders = [tmp_path / "runs" / f"mine-seed{seed}" for seed in (3, 4)]
    until(lambda: all(any((folder / "checkpoints").glob("*")) for folder in folders))
    os.killpg(endless.pid, signal.SIGINT) if number == signal.SIGINT else endless.kill()
    assert endless.wait(timeout=600) in (STOPPED, -signal.SIGKILL)
    for folder in folders:  # whoever works on it has ended when its lock is free
        until(lambda folder=folder: free(folder))
    done = max(len(read_metrics(folder)) for folder in folders)
    assert subprocess.run([*words, f"generations={done + 2}"], check=False, stdout=subprocess.DEVNULL).returncode == 0
    alone = tmp_path / "alone"
    run(create(alone, tiny, f"generations={done + 2}", "seed=4"))
    same(alone, folders[1])


def free(folder: Path) -> bool:
    import fcntl

    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
