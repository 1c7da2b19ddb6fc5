"""Runs whose rules are shared or merged: the same however they are computed and interrupted, and small agent files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import Quiet, assert_same, create, killed, recipe_of, run
from safetensors.torch import load_file, save_file

from neuroplastic.errors import DamagedFileError, NeuroplasticError
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import checked, resolved
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.recipe import override, parse_recipe
from neuroplastic.experiment.run import RunFolder, read_metrics

SHARED = {
    "neuron": {"sharing": "neuron"},
    "neuron-additive": {"sharing": "neuron-additive"},
    "low-rank": {"sharing": "low-rank", "rank": 2},
    "groups": {"sharing": "groups", "groups": 6},
    "layer": {"sharing": "layer"},
    "network": {"sharing": "network"},
}
STAGES = [{"generation": 2, "groups": 6}, {"generation": 4, "groups": 3}]
GENERATIONS = 6


@pytest.fixture
def merging(tiny: dict[str, Any]) -> dict[str, Any]:
    return {**tiny, "generations": GENERATIONS, "merge": STAGES}


@pytest.fixture
def whole(tmp_path: Path, merging: dict[str, Any]) -> Path:
    assert run(create(tmp_path / "whole", merging))
    return tmp_path / "whole"


def test_a_run_says_when_it_merged(whole: Path) -> None:
    metrics = read_metrics(whole)
    assert {row["generation"]: row["groups"] for row in metrics if "groups" in row} == {2: 6, 4: 3}
    for which in ("center", "best"):
        agent = Agent.load(whole, which)
        assert agent.vector.shape == (5 * 3,)
        assert len(agent.genome) == agent.layout.size == 5 * (4 * 4 + 4 * 2)
    newest = sorted((whole / "checkpoints").iterdir())[-1]
    assert sorted(load_file(newest)["assignment"].unique().tolist()) == [0, 1, 2]


@pytest.mark.parametrize("first", range(1, GENERATIONS))
def test_n_then_n_is_2n_across_merges(tmp_path: Path, merging: dict[str, Any], whole: Path, first: int) -> None:
    path = tmp_path / "parts"
    assert run(create(path, merging, f"generations={first}"))
    assert run(RunFolder.open(path, [f"generations={GENERATIONS}"]))
    assert_same(path, whole)


def test_a_damaged_checkpoint_after_a_merge(tmp_path: Path, merging: dict[str, Any], whole: Path) -> None:
    path = tmp_path / "damaged"
    assert run(create(path, merging, "generations=3"))
    newest = sorted((path / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-9])
    reporter = Quiet()
    assert run(RunFolder.open(path, [f"generations={GENERATIONS}"]), reporter)
    assert any(newest.name in note for note in reporter.notes)
    assert_same(path, whole)


@pytest.mark.slow
def test_kill_9_around_merges_loses_nothing(tmp_path: Path, merging: dict[str, Any]) -> None:
    stages = [{"generation": 6 + 4 * n, "groups": 20 - 3 * n} for n in range(6)]
    values = {**merging, "generations": 40, "merge": stages}
    whole, path = tmp_path / "long", tmp_path / "killed"
    assert run(create(whole, values))
    killed(path, values)
    assert_same(path, whole)


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["neuron", "groups", "merging"])
def test_processes_give_the_same_run(tmp_path: Path, merging: dict[str, Any], sharing: str) -> None:
    values = {**merging, "rule": merging["rule"] | SHARED.get(sharing, {})}
    if sharing in SHARED:
        del values["merge"]
    for workers in (1, 2):
        assert run(create(tmp_path / str(workers), values, f"evaluate.workers={workers}"))
    assert_same(tmp_path / "1", tmp_path / "2")


@pytest.mark.parametrize("sharing", SHARED)
def test_n_then_n_is_2n_with_sharing(tmp_path: Path, tiny: dict[str, Any], sharing: str) -> None:
    values = {**tiny, "rule": tiny["rule"] | SHARED[sharing]}
    assert run(create(tmp_path / "whole", values))
    assert run(create(tmp_path / "halves", values, "generations=2"))
    assert run(RunFolder.open(tmp_path / "halves", ["generations=4"]))
    assert_same(tmp_path / "halves", tmp_path / "whole")


def test_groups_can_be_merged_further(tmp_path: Path, merging: dict[str, Any]) -> None:
    values = {**merging, "rule": merging["rule"] | {"sharing": "groups", "groups": 9}}
    assert run(create(tmp_path / "whole", values))
    assert run(create(tmp_path / "parts", values, "generations=3"))
    assert run(RunFolder.open(tmp_path / "parts", [f"generations={GENERATIONS}"]))
    assert_same(tmp_path / "parts", tmp_path / "whole")


# ---------------------------------------------------------------- agents


def agent_of(values: dict[str, Any], **rule: Any) -> Agent:
    recipe = resolved(parse_recipe({**values, "rule": values["rule"] | rule}))
    task = build_task(recipe)
    codec, layout = task.codec, task.layout
    task.close()
    return Agent(torch.randn(codec.layout.size), recipe, layout, 7, codec=codec)


@pytest.mark.parametrize("sharing", SHARED)
def test_an_agent_file_holds_the_short_vector_and_decodes_to_the_same_genome(
    tmp_path: Path, tiny: dict[str, Any], sharing: str
) -> None:
    agent, file = agent_of(tiny, **SHARED[sharing]), tmp_path / "agent.safetensors"
    agent.save(file)
    again = Agent.load(file)
    assert torch.equal(again.genome, agent.genome)
    assert torch.equal(again.vector, agent.vector)
    assert (again.recipe, again.layout, again.generation) == (agent.recipe, agent.layout, 7)
    again.task().close()
    assert "genome" not in load_file(file)
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_an_agent_file_of_before_still_loads(tmp_path: Path, tiny: dict[str, Any]) -> None:
    agent, file = agent_of(tiny), tmp_path / "agent.safetensors"
    old = {key: value for key, value in agent.recipe.model_dump().items() if key != "merge"}
    old["rule"] = {key: old["rule"][key] for key in ("name", "terms", "normaliser", "limit", "initial")}
    old["policy"] = {
        key: old["policy"][key] for key in ("front", "hidden", "activation", "output_activation", "backend")
    }
    meta = {"format": 1, "kind": "agent", "recipe": old, "layout": agent.layout.to_json(), "generation": 7}
    save_file({"genome": agent.vector}, file, {"neuroplastic": json.dumps(meta)})
    again = Agent.load(file)
    assert torch.equal(again.genome, agent.vector)
    again.task().close()


def test_an_agent_file_that_contradicts_itself_is_refused(tmp_path: Path, tiny: dict[str, Any]) -> None:
    file, other = tmp_path / "agent.safetensors", tmp_path / "other.safetensors"
    agent_of(tiny, sharing="groups", groups=6).save(file)
    tensors, meta = load_file(file), header(file)
    assignment, vector = tensors["codec.assignment"], tensors["vector"]

    def refused(message: str, tensors: dict[str, torch.Tensor], meta: dict[str, Any] = meta) -> None:
        save_file(tensors, other, {"neuroplastic": json.dumps(meta)})
        with pytest.raises(DamagedFileError, match=message):
            Agent.load(other)

    def under(word: str) -> dict[str, Any]:
        return {**meta, "recipe": override(meta["recipe"], [word])}

    refused("either a genome or a vector; got", {"codec.assignment": assignment})
    refused("either a genome or a vector; got", {**tensors, "genome": vector.clone()})
    refused("codec: expected the entries .'assignment'.", {"vector": vector})
    refused("codec: expected the entries .*'of_another'", {**tensors, "codec.of_another": assignment.clone()})
    refused("codec.assignment: expected int32", {**tensors, "codec.assignment": assignment.float()})
    refused("codec.assignment: expected shape", {**tensors, "codec.assignment": assignment[None]})
    refused(r"assignment: expected shape \[24\]; got \[23\]", {**tensors, "codec.assignment": assignment[1:]})
    refused("rules 0..K, each with a synapse", {**tensors, "codec.assignment": assignment + 1})
    refused("expected one of .6. groups; got 3", {**tensors, "codec.assignment": assignment % 3})
    refused("expected a float32 vector of 30 numbers; got .*29", {**tensors, "vector": vector[1:].clone()})
    refused("expected a float32 vector of 30 numbers; got torch.float64", {**tensors, "vector": vector.double()})
    refused("expected one of .5. groups; got 6", tensors, under("rule.groups=5"))
    refused("with sharing 'layer'; got .'assignment'.", tensors, {**meta, "recipe": shared(meta["recipe"], "layer")})
    refused("expected one of .. groups; got 6", tensors, {**meta, "recipe": shared(meta["recipe"], "synapse")})
    refused("unknown key rule.shraing", tensors, under("rule.shraing=groups"))
    refused("layer1.B: expected shape", tensors, {**meta, "layout": [["layer1.A", [2, 2]], ["layer0.A", [5, 4]]]})
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(DamagedFileError, match="cannot be read"):
        Agent.load(file)


def shared(recipe: dict[str, Any], sharing: str) -> dict[str, Any]:
    return {**recipe, "rule": {**recipe["rule"], "sharing": sharing, "groups": 0}}


def header(file: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return json.loads((opened.metadata() or {})["neuroplastic"])


def test_a_neuron_agent_with_other_units_is_refused(tmp_path: Path, tiny: dict[str, Any]) -> None:
    file = tmp_path / "agent.safetensors"
    agent_of(tiny, sharing="neuron").save(file)
    tensors, meta = load_file(file), header(file)
    tensors["codec.layer0.pre"] = tensors["codec.layer0.pre"][1:].clone()
    save_file(tensors, file, {"neuroplastic": json.dumps(meta)})
    with pytest.raises(DamagedFileError, match="wiring of layer0: expected 4 units before and 4 after; got 3 and 4"):
        Agent.load(file)


# ---------------------------------------------------------------- recipes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rule.sharing=groups", "rule.groups=25"], "rule.groups: expected a number >= 1 and <= 24; got 25"),
        (["rule.sharing=groups"], "rule.groups: expected a number >= 1; got 0"),
        (["rule.sharing=low-rank", "rule.rank=5"], "rule.rank: expected a number >= 1 and <= 4; got 5"),
        (["merge=[{generation=1, groups=25}]"], "merge.0.groups: expected a number >= 1 and <= 24; got 25"),
        (["merge=[{generation=1, groups=4}, {generation=1, groups=2}]"], "merge.1.generation: expected a number >= 2"),
        (["merge=[{generation=1, groups=4}, {generation=2, groups=4}]"], "merge.1.groups: expected .* <= 3; got 4"),
        (
            ["merge=[{generation=1, groups=4}]", "rule.sharing=layer"],
            "merge: expected rule.sharing 'synapse' or 'groups'",
        ),
        (["merge=[{generation=1, groups=4}]", "rule={name='static'}"], "rule.terms: expected some that evolve"),
        (
            ["merge=[{generation=1, groups=4}]", "search={name='cma-es', population=8}"],
            "search.name: expected a search that can go on in fewer coordinates.*got CMAES",
        ),
    ],
)
def test_what_cannot_be_shared_or_merged_is_refused_before_work_starts(
    tiny: dict[str, Any], words: list[str], message: str
) -> None:
    with pytest.raises(NeuroplasticError, match=message):
        recipe_of(tiny, *words)


def test_a_recipe_without_the_keys_of_today_is_the_same_recipe(tiny: dict[str, Any]) -> None:
    plain = parse_recipe(tiny)
    said = parse_recipe(override(tiny, ["policy.kind=feedforward", "policy.bias=false", "policy.controls=[]"]))
    assert said.fingerprint() == plain.fingerprint()
    assert "merge" not in plain.to_toml()
    for word in ("policy.bias=true", "policy.kind=gru", "merge=[{generation=1, groups=4}]"):
        assert parse_recipe(override(tiny, [word])).fingerprint() != plain.fingerprint()
    assert checked(plain).fingerprint() == checked(said).fingerprint()


def test_another_library_s_searcher_knows_of_no_merges(merging: dict[str, Any]) -> None:
    pytest.importorskip("evotorch")
    from neuroplastic.experiment.problem import RecipeProblem

    with pytest.raises(NeuroplasticError, match="merge: expected none"):
        RecipeProblem(parse_recipe(merging))


def test_another_library_s_searcher_finds_vectors(tiny: dict[str, Any]) -> None:
    evotorch = pytest.importorskip("evotorch")
    from neuroplastic.experiment.problem import RecipeProblem

    values = {**tiny, "rule": tiny["rule"] | SHARED["groups"]}
    with RecipeProblem(parse_recipe(values)) as problem:
        assert problem.solution_length == 30
        searcher = evotorch.algorithms.SNES(problem, stdev_init=0.5, popsize=8)
        searcher.run(1)
        agent = problem.agent(searcher.status["center"])
    assert (len(agent.vector), len(agent.genome)) == (30, 120)
