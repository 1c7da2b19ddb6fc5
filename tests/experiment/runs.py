"""Runs of the tests: begun, driven and compared."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from neuroplastic.experiment import loop
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.recipe import Recipe, override, parse_recipe
from neuroplastic.experiment.run import RunFolder, read_metrics


class Quiet:
    """A reporter that remembers what it was told."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.notes: list[str] = []
        self.stop_after = stop_after

    def begin(self, *_: object) -> None: ...

    def members(self, done: int, total: int) -> None: ...

    def generation(self, metrics) -> None:
        if self.stop_after is not None and metrics["generation"] + 1 >= self.stop_after:
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)


def recipe_of(values: dict[str, Any], *words: str) -> Recipe:
    return checked(parse_recipe(override(values, words)))


def create(address: str | Path, values: dict[str, Any], *words: str) -> RunFolder:
    return RunFolder.create(address, recipe_of(values, *words))


def run(folder: RunFolder, reporter: Quiet | None = None) -> bool:
    reporter = reporter or Quiet()
    folder.note = reporter.note
    with folder:
        return loop.evolve(folder, reporter)


def killed(path: Path, values: dict[str, Any]) -> None:
    """A whole run in ``path`` by the command line, in processes of which two to four are killed at any moment."""
    recipe, rng, kills = path.with_suffix(".toml"), np.random.default_rng(), 0
    recipe.write_text(tomli_w.dumps(values))
    command = [sys.executable, "-m", "neuroplastic", "evolve"]
    while kills < 4:
        start = ["--resume", str(path)] if path.exists() else [str(recipe), "--run", str(path)]
        process = subprocess.Popen([*command, *start], stdout=subprocess.DEVNULL)
        wanted = _lines(path) + int(rng.integers(1, 8))
        while _lines(path) < wanted and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.02))
        ended = process.poll()
        assert ended in (None, 0)
        if ended is None:
            process.kill()
            process.wait()
            kills += 1
        elif kills >= 2:
            break
        else:  # on a busy machine it may be done before it is struck
            shutil.rmtree(path)
            kills = 0
    finished = subprocess.run([*command, "--resume", str(path)], check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def _lines(path: Path) -> int:
    file = path / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def outcome(address: str | Path) -> tuple[list[dict], dict[str, dict[str, np.ndarray]]]:
    """What must not depend on interruptions: metrics without times, center and best."""
    metrics = [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(address)]
    agents = {}
    for which in ("center", "best"):
        agent = Agent.load(address, which)
        tensors = {"genome": agent.genome, **(agent.statistics.state_dict() if agent.statistics else {})}
        agents[which] = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    return metrics, agents


def assert_same(a: str | Path, b: str | Path) -> None:
    (metrics, agents), (others, other_agents) = outcome(a), outcome(b)
    assert metrics == others
    for which, tensors in agents.items():
        assert tensors.keys() == other_agents[which].keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, other_agents[which][name])
