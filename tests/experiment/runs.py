"""Runs of the tests: begun, driven and compared."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from neuroplastic.experiment import loop
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.build import checked
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
