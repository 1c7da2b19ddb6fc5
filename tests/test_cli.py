"""The command line as people type it."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import tomli_w
from safetensors.torch import load_file

from neuroplastic import cli


@dataclass
class Result:
    code: int
    out: str
    err: str


class Typed(Protocol):
    def __call__(self, *words: str | Path) -> Result: ...


@pytest.fixture
def neuroplastic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Runs the command line in this process and in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(*words: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["neuroplastic", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def recipe(tmp_path: Path, tiny: dict[str, Any]) -> Path:
    file = tmp_path / "mine.toml"
    file.write_text(tomli_w.dumps(tiny))
    return file


def test_from_recipe_to_pictures(neuroplastic: Typed, recipe: Path, tmp_path: Path) -> None:
    evolved = neuroplastic("evolve", recipe, "generations=2")
    assert evolved.code == 0, evolved.err
    assert "steps/s" in evolved.out.splitlines()[0]
    assert "generation 2/2  best " in evolved.out
    more = neuroplastic("evolve", "--resume", "runs/mine", "generations=3")
    assert "going on after generation 2" in more.out
    assert "generation 3/3" in more.out
    scored = neuroplastic("evaluate", "runs/mine", "--episodes", "3", "--workers", "1", "--which", "best")
    assert scored.code == 0, scored.err
    assert "interval" in scored.out
    plotted = neuroplastic("plot", "runs/mine", "-o", "curves.png")
    assert plotted.code == 0, plotted.err
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    replayed = neuroplastic("replay", "runs/mine", "--video", "life.gif", "--steps", "20")
    assert replayed.code == 0, replayed.err
    assert (tmp_path / "life.gif").read_bytes().startswith(b"GIF89a")


def test_from_a_recipe_of_paths_to_their_pictures(neuroplastic: Typed, tmp_path: Path) -> None:
    evolved = neuroplastic("evolve", "pathnet-teacher", "task.rounds=4", "tournament.steps=3", "--run", "paths")
    assert evolved.code == 0, evolved.err
    assert "look at it: neuroplastic replay paths" in evolved.out
    scored = neuroplastic("evaluate", "paths", "--episodes", "2", "--json", "paths.json")
    assert scored.code == 0, scored.err
    assert "2 of 2 tasks learned" in scored.out
    tasks = json.loads((tmp_path / "paths.json").read_text())["tasks"]
    assert [row["rounds"] for row in tasks] == [4, 4]
    assert neuroplastic("plot", "--found", "paths", "-o", "paths.png").code == 0
    assert (tmp_path / "paths.png").read_bytes().startswith(b"\x89PNG")
    assert neuroplastic("plot", "paths", "-o", "curve.png").code == 0
    assert neuroplastic("replay", "paths", "--video", "paths.gif").code == 0
    assert (tmp_path / "paths.gif").read_bytes().startswith(b"GIF89a")
    refused = neuroplastic("replay", "paths", "--video", "paths.gif", "--damage", "mirrored")
    assert "expected none for a path through a super-network" in refused.err
    refused = neuroplastic("evolve", "--resume", "paths", "task.rounds=5")
    assert "a run that goes on can only change" in refused.err


def test_from_a_recipe_of_memory_to_what_it_remembers(neuroplastic: Typed, tmp_path: Path) -> None:
    words = ["generations=2", "gradient.episodes=2", "gradient.validation_episodes=2", "--run", "memory"]
    evolved = neuroplastic("evolve", "recall", *words)
    assert evolved.code == 0, evolved.err
    assert "look at it: neuroplastic plot --found memory" in evolved.out
    scored = neuroplastic("evaluate", "memory", "--episodes", "4")
    assert scored.code == 0, scored.err
    assert "hopfield" in scored.out
    assert neuroplastic("plot", "--found", "memory", "-o", "memory.png", "--episodes", "4").code == 0
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")
    assert "--found: expected one run" in neuroplastic("plot", "--found", "memory", "memory").err
    assert "kind: expected a recipe of kind 'evolution'" in neuroplastic("replay", "memory", "--video", "m.gif").err


def test_a_sceptic_questions_an_agent(neuroplastic: Typed, recipe: Path, tmp_path: Path) -> None:
    assert neuroplastic("evolve", recipe, "generations=1").code == 0
    words = ["--episodes", "10", "--workers", "1", "--moment", "5", "--freeze", "3", "--freeze", "8"]
    asked = neuroplastic("evaluate", "runs/mine", *words, "--control", "shuffle_layer=layer0@2", "--json", "x.json")
    assert asked.code == 0, asked.err
    figures = json.loads((tmp_path / "x.json").read_text())
    done = [row["done"] for row in figures["controls"]]
    for act in ["freeze=3", "freeze=8", "random_rule", "zero_layer=layer1@5", "shuffle_layer=layer0@2"]:
        assert act in asked.out
        assert act in done
    assert figures["meaning"]
    assert asked.out.endswith(figures["meaning"] + "\n"), "the last line says what it means"
    alone = neuroplastic("evaluate", "runs/mine", "--episodes", "10", "--workers", "1", "--no-controls")
    assert alone.code == 0
    assert asked.out.startswith(alone.out.rstrip("\n")), "the controls come below what there was"
    moved = ["--transplant", "neuroplastic_envs:neuroplastic/ChangingCartPole-v0", "--env-option", "damage=mirrored"]
    there = neuroplastic("evaluate", "runs/mine", "--episodes", "3", "--workers", "1", "--no-controls", *moved)
    assert there.code == 0, there.err
    assert "ChangingCartPole" in there.out
    replayed = neuroplastic("replay", "runs/mine", "--video", "x.gif", "--steps", "9", "--control", "freeze=4", *moved)
    assert replayed.code == 0, replayed.err


def test_a_static_agent_has_nothing_to_freeze(neuroplastic: Typed, recipe: Path) -> None:
    assert neuroplastic("evolve", recipe, "generations=1", "rule={name = 'static'}").code == 0
    asked = neuroplastic("evaluate", "runs/mine", "--episodes", "3", "--workers", "1")
    assert asked.code == 0, asked.err
    assert asked.out.endswith("its weights never change in a life: there is nothing to freeze\n")
    assert "zero_layer" not in asked.out


def test_recipes_are_listed_and_printed(neuroplastic: Typed, tmp_path: Path) -> None:
    listed = neuroplastic("recipes")
    assert "cartpole-hebbian" in listed.out
    assert "steps" in listed.out
    printed = neuroplastic("recipes", "cartpole-hebbian")
    (tmp_path / "copy.toml").write_text(printed.out)
    assert neuroplastic("recipes", "copy.toml").out == printed.out


QUADRUPED = "neuroplastic_envs:neuroplastic/Quadruped-v0"
BAD = {
    "unknown key": (["search.sgima=1"], "did you mean 'sigma'"),
    "wrong type": (["search.sigma=large"], "search.sigma: expected a valid number"),
    "negative population": (["search.population=-4"], "population: expected a number >= 2"),
    "odd population": (["search.population=7"], "population: expected an even number"),
    "unknown id": (["task.env=CartPoll-v1"], "CartPoll-v1"),
    "unknown module": (["task.env=no_such_module:Env-v0"], "no_such_module"),
    "no leg": ([f"task.env={QUADRUPED}", 'task.variations=[{damage="middle_left:shorten"}]'], "middle_left"),
    "option of no use": (["task.env_options={gravitty=3}"], "gravitty"),
    "not a pair": (["faster"], "expected key=value"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_leaves_nothing(
    neuroplastic: Typed, recipe: Path, tmp_path: Path, case: str
) -> None:
    words, message = BAD[case]
    result = neuroplastic("evolve", recipe, *words)
    assert result.code == 1
    assert message in result.err
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err
    assert not (tmp_path / "runs").exists()


def test_an_observation_that_cannot_be_flattened(neuroplastic: Typed, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "graphs.py").write_text(
        "import gymnasium\n"
        "from gymnasium import spaces\n"
        "class Graphs(gymnasium.Env):\n"
        "    observation_space = spaces.Sequence(spaces.Discrete(3))\n"
        "    action_space = spaces.Discrete(2)\n"
        "gymnasium.register('Graphs-v0', Graphs)\n"
    )
    result = neuroplastic("evolve", recipe, "task.env=graphs:Graphs-v0")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "observation space: expected one that can be flattened" in result.err


@pytest.mark.parametrize(
    ("library", "words", "extra"),
    [
        ("pybullet", ["evolve", "quadruped-hebbian"], "neuroplastic[quadruped]"),
        ("matplotlib", ["plot", "runs/x"], "neuroplastic[view]"),
        ("imageio", ["replay", "runs/x", "--video", "x.mp4"], "neuroplastic[view]"),
    ],
)
def test_a_missing_extra_is_named(tmp_path: Path, library: str, words: list[str], extra: str) -> None:
    (tmp_path / f"{library}.py").write_text(f"raise ImportError('no {library}')")
    command = [sys.executable, "-m", "neuroplastic", *words]  # a process of its own, which finds that file first
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert extra in result.stderr
    assert "Traceback" not in result.stderr


def test_a_module_of_ones_own_is_found_in_the_present_folder(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(
        "from neuroplastic.plastic import HebbianRule\nclass MyRule(HebbianRule):\n    pass\n"
    )
    script = Path(sys.executable).with_name("neuroplastic")
    command = [script, "evolve", recipe, "rule.name=my_rules:MyRule", "generations=1"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    refused = subprocess.run(
        [script, "evaluate", "runs/mine", "--episodes", "1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "--trust" in refused.stderr


def test_other_mistakes(neuroplastic: Typed, recipe: Path) -> None:
    assert neuroplastic("evolve", recipe, "generations=1").code == 0
    for words, message in [
        (["evolve", recipe], "exists and is not empty"),
        (["evolve"], "expected a recipe"),
        (["evolve", "--resume", "none"], "expected a folder with a recipe.toml"),
        (["evolve", "--resume", "runs/mine", "search.sigma=1.0"], "can only change"),
        (["evaluate", "none.safetensors"], "cannot be read"),
        (["evaluate", "runs/mine", "--episodes", "0"], "episodes: expected a number >= 1"),
        (["evaluate", "runs/mine", "--which", "worst"], "which: expected one of"),
        (["evaluate", "runs/mine", "--damage", "front_left:shorten"], "damage"),
        (["evaluate", "runs/mine", "--control", "zero_layer=layer7@3"], "did you mean 'layer"),
        (["evaluate", "runs/mine", "--control", "freeze=-3"], "control: expected freeze=T"),
        (["evaluate", "runs/mine", "--control", "thaw=3"], "control: expected one of"),
        (["evaluate", "runs/mine", "--transplant", "Acrobot-v1"], "observations of numbers of shape [4]"),
        (["evaluate", "runs/mine", "--transplant", "CartPol-v1"], "CartPol-v1"),
        (["evaluate", "runs/mine", "--transplant", "CartPole-v1", "--env-option", "x"], "expected key=value"),
        (["evaluate", "runs/mine", "--env-option", "damage=weak"], "expected none without --transplant"),
        (["replay", "runs/mine", "--control", "swap_initial=normla"], "did you mean 'normal'"),
        (["replay", "runs/mine", "--transplant", "Pendulum-v1"], "observations of numbers of shape [4]"),
        (["replay", "runs/mine", "--video", "life.avi"], ".mp4 or .gif"),
        (["replay", "runs/mine", "--video", "none/life.gif"], "a folder that exists"),
        (["plot", "none"], "expected a metrics.jsonl"),
        (["plot", "runs/mine", "-o", "curves.docx"], "--output"),
        (["plot", "runs/mine", "-o", "none/curves.png"], "a folder that exists"),
        (["evaluate", "runs/mine", "--json", "none/x.json"], "a folder that exists"),
        (["evolve", "--resume", "runs/mine", "generations=1", "search.sigma=2.0"], "can only change"),
        (["evolve", recipe, "task.measures=['distanse']", "--run", "a"], "task.measures"),
        (["evolve", recipe, "search.center_std=inf", "--run", "b"], "center_std"),
        (["evolve", recipe, "rule.terms=XYZ", "--run", "c"], "rule.terms"),
        (["evolve", recipe, "task.env=a:b:c", "--run", "d"], "task.env"),
    ]:
        result = neuroplastic(*words)
        assert result.code == 1, words
        assert message in result.err, words
        assert "Traceback" not in result.err, words


def test_rules_are_listed(neuroplastic: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the numbers that their papers give for the quadruped."""
    monkeypatch.setenv("COLUMNS", "160")
    shown = neuroplastic("rules")
    assert shown.code == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines() if line.strip()}
    published = {"hebbian-abcd": "61,440", "evolve-and-merge": "61,440 → 1,920", "nchl": "1,104", "static": "12,288"}
    for name, numbers in published.items():
        assert f" {numbers} " in lines[name]
    few = neuroplastic("rules", "--network", "2-3-1").out  # 9 synapses cannot have 384 rules
    assert " - " in next(line for line in few.splitlines() if line.split()[:1] == ["hebbian-shared"])
    for wrong in ("28", "28-x", "4-0-2"):
        assert neuroplastic("rules", "--network", wrong).code == 1


def test_strategies_are_listed(neuroplastic: Typed) -> None:
    shown = neuroplastic("strategies", "--size", "20")
    assert shown.code == 0
    for name in ("openai-es", "pgpe", "cma-es", "ipop:cma-es", "random"):
        assert name in shown.out


def test_a_searcher_of_another_library_evolves_and_goes_on(neuroplastic: Typed, tiny: dict[str, Any]) -> None:
    for name, options in (("evotorch:SNES", {"stdev_init": 0.3}), ("cma:CMA", {"sigma": 0.3})):
        tiny["search"] = {"name": name, "population": 8, **options}
        whole, parts = Path("whole"), Path("parts")
        for number, (folder, generations) in enumerate(((whole, 4), (parts, 2), (parts, 4))):
            recipe = Path(f"{number}.toml")
            recipe.write_text(tomli_w.dumps(tiny | {"generations": generations}))
            go_on = folder == parts and generations == 4
            words = ["--resume", folder, "generations=4"] if go_on else [recipe, "--run", folder]
            assert neuroplastic("evolve", *words).code == 0
        for file in ("center.safetensors", "best.safetensors"):
            assert load_file(whole / file)["genome"].equal(load_file(parts / file)["genome"])
        for folder in (whole, parts):
            shutil.rmtree(folder)


def test_a_searcher_that_is_not_there_is_refused(neuroplastic: Typed) -> None:
    refused = neuroplastic("evolve", "cartpole-hebbian", "search.name=evotorch:SNSE")
    assert refused.code == 1
    assert "did you mean 'SNES'" in refused.err
