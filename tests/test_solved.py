"""The whole line, from a shipped recipe to an agent that does its task."""

from pathlib import Path

import pytest
from rich.console import Console

from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.loop import evolve
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.experiment.report import PlainReporter
from neuroplastic.experiment.run import RunFolder, read_metrics
from neuroplastic.experiment.scores import score


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cartpole_is_solved_from_random_weights_within_3000_lives(seed: int, tmp_path: Path) -> None:
    recipe = checked(load_recipe("cartpole-hebbian", [f"seed={seed}"]))
    with RunFolder.create(tmp_path / "run", recipe) as run:
        assert evolve(run, PlainReporter(Console(quiet=True)))
    assert read_metrics(tmp_path / "run")[-1]["evaluations"] <= 3000
    (scored,), _ = score(Agent.load(tmp_path / "run"), [{}], episodes=100)
    assert scored.returns.mean() >= 475
