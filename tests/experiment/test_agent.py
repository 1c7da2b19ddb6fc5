"""The agent file: the same agent in another process, and safe to open whoever made it."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from neuroplastic.errors import DamagedFileError, NeuroplasticError, RecipeError
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import resolved
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.recipe import override, parse_recipe
from neuroplastic.experiment.scores import bootstrap_interval, score


@pytest.fixture
def agent(tiny: dict[str, Any]) -> Agent:
    recipe = resolved(parse_recipe(tiny))
    layout = build_task(recipe).layout
    return Agent(torch.randn(layout.size), recipe, layout, 7)


def test_round_trip(agent: Agent, tmp_path: Path) -> None:
    agent.save(tmp_path / "agent.safetensors")
    again = Agent.load(tmp_path / "agent.safetensors")
    assert torch.equal(again.genome, agent.genome)
    assert (again.recipe, again.layout, again.generation) == (agent.recipe, agent.layout, 7)


def test_scores_the_same_in_another_process(agent: Agent, tmp_path: Path) -> None:
    file, figures = tmp_path / "agent.safetensors", tmp_path / "figures.json"
    agent.save(file)
    (here,), _ = score(agent, [{}], episodes=6)
    command = ["evaluate", str(file), "--episodes", "6", "--no-controls", "--json", str(figures)]
    subprocess.run([sys.executable, "-m", "neuroplastic", *command], check=True, capture_output=True)
    (there,) = json.loads(figures.read_text())["scores"]
    assert there == json.loads(json.dumps(here.summary()))


class Bomb:
    def __reduce__(self):
        return (Path.write_text, (Path("exploded"), "by a pickle"))


def hostile(file: Path, genome: Any, **changes: Any) -> None:
    meta = {"format": 1, "kind": "agent", **changes}
    save_file({"genome": genome}, file, {"neuroplastic": json.dumps(meta)})


def test_a_hostile_file_runs_nothing(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("evil.py").write_text("open('exploded', 'w')")
    recipe, layout = agent.recipe.model_dump(), agent.layout.to_json()
    file = tmp_path / "agent.safetensors"
    sound = {"recipe": recipe, "layout": layout, "generation": 1}
    genome = agent.genome.numpy()

    def refused(kind: type[NeuroplasticError]) -> None:
        with pytest.raises(kind) as caught:
            Agent.load(file).task()
        assert "agent" in str(caught.value)
        assert not Path("exploded").exists()

    file.write_bytes(pickle.dumps(Bomb()))
    refused(DamagedFileError)
    torch.save(agent.genome, file)
    refused(DamagedFileError)
    file.write_bytes(b"")
    refused(DamagedFileError)
    for key in ("search", "rule"):
        hostile(file, genome, **{**sound, "recipe": {**recipe, key: {"name": "evil:Thing"}}})
        refused(RecipeError)
    hostile(file, genome, **{**sound, "recipe": override(recipe, ["task.env=evil:Env-v0"])})
    refused(RecipeError)
    hostile(file, genome, **{**sound, "recipe": {"generations": 3}})
    refused(DamagedFileError)
    hostile(file, genome, **{**sound, "layout": [["A", [-4]]]})
    refused(DamagedFileError)
    hostile(file, genome, **{**sound, "layout": 3})
    refused(DamagedFileError)
    hostile(file, genome[:-1], **sound)
    refused(DamagedFileError)
    hostile(file, genome.astype(np.float64), **sound)
    refused(DamagedFileError)
    hostile(file, genome, **{**sound, "format": 99})
    refused(DamagedFileError)
    hostile(file, genome, **{**sound, "recipe": override(recipe, ["policy.hidden=[5]"])})
    refused(DamagedFileError)
    hostile(file, genome, **sound)
    Agent.load(file).task().close()


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng()
    inside = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.normal(5, 2, 40))
        inside += low <= 5 <= high
    assert 170 <= inside <= 200  # 95 % of 200 within six standard errors


def test_bootstrap_interval_of_normal_values_is_the_closed_form() -> None:
    values = np.random.default_rng().normal(size=1000)
    error = values.std() / np.sqrt(1000)
    np.testing.assert_allclose(
        bootstrap_interval(values), values.mean() + 1.96 * error * np.array([-1, 1]), atol=0.15 * error
    )
