"""Every kind of recipe under the one loop: interrupted, resumed, on workers, examined, drawn, and refused by name."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import Quiet, assert_same, create, killed, recipe_of, run

from neuroplastic.errors import ArgumentError, DamagedFileError, NeuroplasticError, RecipeError
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.examine import Asked, examine
from neuroplastic.experiment.kinds import KINDS
from neuroplastic.experiment.kinds.learning import build_task as learning_task
from neuroplastic.experiment.kinds.pathnet import build_learner, recalled
from neuroplastic.experiment.recipe import load_recipe, parse_recipe
from neuroplastic.experiment.run import RunFolder, read_metrics
from neuroplastic.learned import Scaled
from neuroplastic.view.plot import draw_found
from neuroplastic.view.replay import frames

SMALL = {"updates": 2, "samples": 8, "exam": 16, "batch": 2, "hidden": [[4]]}
KNOWN: dict[str, dict[str, Any]] = {
    "learning": {
        "kind": "learning",
        "generations": 5,
        "search": {"name": "cma-es", "population": 6, "sigma": 0.3},
        "rule": {"name": "blur"},
        "task": {"family": "boolean", **SMALL},
        "selection": {"every": 2, "top": 1, "episodes": 2},
    },
    "sources": {
        "kind": "learning",
        "generations": 5,
        "search": {"name": "random", "population": 2, "sigma": 0.3},
        "rule": {"name": "sgd"},
        "task": {
            "train": {"xor": {}, "spirals": {"turns": 0.5}, "pairs": {"source": "digits", "only": [3, 5]}},
            "validation": {"nand": {}},
            "held_out": {"moons": {}},
            **SMALL,
        },
    },
    "descent": {
        "kind": "learning",
        "generations": 5,
        "gradient": {"name": "pes", "particles": 4, "genomes": 2, "validate_every": 2, "validation_episodes": 2},
        "rule": {"name": "sgd"},
        "task": {"family": "boolean", **SMALL},
    },
    "recall": {
        "kind": "recall",
        "generations": 5,
        "gradient": {"name": "unroll", "episodes": 2, "growing": 3, "validate_every": 2, "validation_episodes": 2},
        "task": {"numbers": 6, "length": 3},
    },
    "evolved-recall": {
        "kind": "recall",
        "generations": 5,
        "search": {"name": "openai-es", "population": 4, "sigma": 0.1, "learning_rate": 0.1},
        "task": {"numbers": 6, "length": 2, "batch": 2},
    },
    "pathnet": {
        "kind": "pathnet",
        "task": {"name": "teacher", "inputs": 4, "hidden": 2, "outputs": 2, "batch": 4, "rounds": 3},
        "network": {"layers": [{"kind": "linear", "size": 3}, {"size": 3}], "modules": 4},
        "tournament": {"population": 4, "genes": 2, "steps": 2},
        "descent": {"name": "adam", "learning_rate": 0.01},
    },
    "pathnet-rounds": {
        "kind": "pathnet",
        "task": {"name": "digits", "batch": 4, "rounds": 3},
        "network": {"layers": [{"kind": "linear", "size": 3}], "modules": 4},
        "tournament": {"population": 4, "genes": 2, "steps": 2, "exchange": "round"},
    },
    "learned-life": {
        "generations": 5,
        "max_failed": 1.0,
        "search": {"name": "cma-es", "population": 4, "sigma": 0.3, "center_std": 0.0},
        "policy": {"hidden": [3], "learned": {"initial": "shared"}},
        "rule": {"name": "blur", "states": 3, "synapse_norm": True},
        "task": {"env": "CartPole-v1", "horizon": 20, "batch": 2},
        "selection": {"every": 2, "top": 1, "episodes": 1},
    },
}


@pytest.fixture(params=KNOWN)
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"checkpoint_seconds": 0.0, "evaluate": {"workers": 1}, **KNOWN[request.param]}


def quiet(*_: object) -> None: ...


def test_n_then_n_is_2n(tmp_path: Path, values: dict[str, Any]) -> None:
    seed = f"seed={int.from_bytes(os.urandom(2), 'big')}"
    assert run(create(tmp_path / "whole", values, seed)), seed
    rows = read_metrics(tmp_path / "whole")
    assert len(rows) == recipe_of(values).generations
    assert all({"best", "mean", "center", "evaluations", "steps", "seconds"} <= set(row) for row in rows)
    last = f"generations={len(rows)}"
    for first in (2, len(rows) - 1):
        path = tmp_path / str(first)
        assert run(create(path, values, seed, f"generations={first}"))
        assert run(RunFolder.open(path, [last]))
        assert_same(path, tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learning", "recall", "pathnet-rounds"])
def test_kill_9_loses_nothing(tmp_path: Path, name: str) -> None:
    longer = {"task": KNOWN[name]["task"] | {"rounds": 20}} if "pathnet" in name else {"generations": 40}
    values = {"checkpoint_seconds": 0.0, "evaluate": {"workers": 1}, **KNOWN[name], **longer}
    assert run(create(tmp_path / "whole", values))
    killed(tmp_path / "killed", values)
    assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learning", "evolved-recall", "pathnet-rounds", "learned-life"])
def test_processes_give_the_same_run(tmp_path: Path, name: str) -> None:
    for workers in (1, 2):
        assert run(create(tmp_path / str(workers), KNOWN[name], f"evaluate.workers={workers}"))
    assert_same(tmp_path / "1", tmp_path / "2")


def test_what_is_found_is_what_the_agent_file_holds(tmp_path: Path, values: dict[str, Any]) -> None:
    assert run(create(tmp_path / "run", values))
    agent = Agent.load(tmp_path / "run")
    if agent.recipe.kind == "pathnet":
        learner = build_learner(agent.recipe)  # pyright: ignore[reportArgumentType]
        while not learner.stopped:
            learner.step()
        _, tensors, learned, history = recalled(agent.recipe, agent.parts)  # pyright: ignore[reportArgumentType]
        assert torch.equal(agent.vector, learner.found()["center"].vector)
        assert all(torch.equal(tensors[name], learner.tensors[name]) for name in tensors)
        assert [kept.path.tolist() for kept in learned] == [kept.path.tolist() for kept in learner.learned.values()]
        assert torch.equal(history.active, learner.history.active)
    else:
        agent.save(tmp_path / "again.safetensors")
        again = Agent.load(tmp_path / "again.safetensors")
        assert torch.equal(again.genome, agent.genome)
        assert torch.isfinite(agent.genome).all()
        if "learned" in values.get("policy", {}) or values.get("kind") == "learning":
            assert isinstance(agent.codec, Scaled) or values.get("gradient")


def test_every_kind_can_be_examined_and_drawn(tmp_path: Path, values: dict[str, Any]) -> None:
    assert run(create(tmp_path / "run", values))
    agent = Agent.load(tmp_path / "run", "best")
    if agent.recipe.kind == "learning":  # the grid of baselines takes a minute; it is tested by itself
        task = learning_task(agent.recipe)  # pyright: ignore[reportArgumentType]
        assert task.layout == agent.layout
        return
    answer = examine(agent, Asked(episodes=2), quiet)
    assert answer.tables
    json.dumps(answer.figures)
    if agent.recipe.kind == "evolution":
        with pytest.raises(RecipeError, match="kind: expected an agent of kind 'learning'"):
            draw_found(agent)
        _, pictures = frames(agent, {}, steps=3)
        assert next(pictures).dtype == np.uint8
        return
    assert draw_found(agent).axes
    if agent.recipe.kind == "pathnet":
        _, pictures = frames(agent, {})
        assert len(list(pictures)) == len(read_metrics(tmp_path / "run"))
    else:
        with pytest.raises(RecipeError, match="kind: expected a recipe of kind 'evolution'"):
            frames(agent, {})
    with pytest.raises(ArgumentError, match=r"--damage: expected none for an agent of kind"):
        examine(agent, Asked(episodes=2, damage=["mirrored"]), quiet)


def test_an_agent_without_the_parts_of_its_path_is_refused(tmp_path: Path) -> None:
    assert run(create(tmp_path / "run", KNOWN["pathnet"]))
    agent = Agent.load(tmp_path / "run")
    missing = {name: part for name, part in agent.parts.items() if name != "tensors.layer1.0.weight"}
    with pytest.raises(DamagedFileError, match="expected the modules of its path"):
        recalled(agent.recipe, missing)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DamagedFileError, match="expected the modules of its path"):
        recalled(agent.recipe, {})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "word", "message"),
    [
        ("learning", "task.family=bolean", r"task\.family: expected one of.*did you mean 'boolean'"),
        ("learning", "task.famliy=boolean", r"unknown key task\.famliy.*did you mean 'family'"),
        ("learning", "rule.name=blurr", r"rule\.name: expected one of.*did you mean 'blur'"),
        ("learning", "rule.statse=3", r"unknown key rule\.statse.*did you mean 'states'"),
        ("learning", "rule.states=1", r"rule\.states: expected a number >= 2; got 1"),
        ("learning", "task.fitness=speed", r"fitness: expected one of"),
        ("learning", "task.hidden=[[0]]", r"hidden: expected a number >= 1; got 0"),
        ("learning", "task.held_out_hidden=[[4]]", r"held_out_hidden: expected other layers than in hidden"),
        ("learning", "task.train.xor={}", r"task: expected a family, or sources of its own.*got both"),
        ("sources", 'task.train.xor={source="xro"}', r"task\.train\.xor\.source: expected one of.*did you mean 'xor'"),
        ("sources", "task.train.spirals.turn=2.0", r"unknown key task\.train\.spirals\.turn.*did you mean 'turns'"),
        ("sources", "task.held_out={}", r"held_out: expected one source at least"),
        ("sources", 'task.held_out.other={source="nand"}', r"held_out: expected other sources than in validation"),
        ("sources", 'task.train.mnist={source="torchvision", name="MNIST", root="."}', r"classes: expected a value"),
        ("learning", "gradient.name=unroll", r"expected a section \[search\] or a section \[gradient\]; got both"),
        ("descent", "gradient.name=guess", r"gradient\.name: expected one of"),
        ("descent", "gradient.particles=3", r"gradient\.particles: expected an even number; got 3"),
        ("descent", "gradient.every=true", r"unknown key gradient\.every"),
        ("descent", "selection.every=3", r"selection, task\.episodes: expected none with a gradient"),
        ("recall", "rule.name=blur", r"rule\.name: expected one of 'recall'; got 'blur'"),
        ("recall", "task.missing=0.0", r"expected something to be missing"),
        ("recall", "task.family=boolean", r"unknown key task\.family"),
        ("pathnet", "task.name=taecher", r"task\.name: expected one of.*did you mean 'teacher'"),
        ("pathnet", "task.inptus=3", r"unknown key task\.inptus.*did you mean 'inputs'"),
        ("pathnet", "tournament.genes=5", r"tournament\.genes.*expected a number <= 4; got 5"),
        ("pathnet", "network.layers=[]", r"network\.layers: expected one layer or more"),
        ("pathnet", 'network.layers=[{kind="liner", size=3}]', r"network\.layers\.0\.kind: expected one of"),
        ("pathnet", "network.layers=[{sise=3}]", r"unknown key network\.layers\.0\.sise.*did you mean 'size'"),
        ("pathnet", "search.name=cma-es", r"unknown key search"),
        ("learned-life", "policy.bias=true", r"policy\.bias: expected none beside policy\.learned; got True"),
        ("learned-life", "policy.learned.told=all", r"told: expected one of"),
        ("learned-life", "rule.name=hebbian", r"rule\.name: expected one of 'blur'"),
        ("learned-life", "merge=[{generation=1, groups=2}]", r"merge: expected none with policy\.learned"),
    ],
)
def test_what_is_wrong_is_named(name: str, word: str, message: str) -> None:
    with pytest.raises(NeuroplasticError, match=message):
        recipe_of(KNOWN[name], word)


def test_what_runs_in_one_process_takes_no_cluster(tmp_path: Path) -> None:
    for name in ("recall", "pathnet"):
        recipe = recipe_of(KNOWN[name])
        with (
            pytest.raises(NeuroplasticError, match="--cluster: expected none"),
            KINDS[recipe.kind].job(recipe, "auto", quiet, quiet),
        ):
            pass


def test_a_recipe_of_another_kind_has_another_fingerprint() -> None:
    recipes = [parse_recipe(values) for values in KNOWN.values()]
    assert len({recipe.fingerprint() for recipe in recipes}) == len(recipes)
    assert load_recipe("blur-boolean").fingerprint() != load_recipe("blur-boolean", ["rule.states=3"]).fingerprint()


def test_what_it_costs_is_said_before(tmp_path: Path, values: dict[str, Any]) -> None:
    class Told(Quiet):
        def begin(self, cost: object, *_: object) -> None:
            self.notes.append(str(cost))

    reporter = Told()
    assert run(create(tmp_path / "run", values), reporter)
    assert any("steps/s each as measured here" in note for note in reporter.notes)
