"""A run that stops and goes on is the run that did not stop: whatever stopped it, and whatever it broke."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import Quiet, assert_same, create, killed, recipe_of, run
from safetensors.numpy import load_file, save_file

from neuroplastic.errors import ArgumentError, NeuroplasticError, RecipeError, RunError, TrialError
from neuroplastic.experiment.run import KEEP, RunFolder, read_metrics


def test_a_run_leaves_what_was_promised(whole: Path) -> None:
    metrics = read_metrics(whole)
    assert [row["generation"] for row in metrics] == [0, 1, 2, 3]
    assert {"best", "mean", "center", "evaluations", "steps", "seconds", "sigma", "failures"} <= set(metrics[0])
    assert [("selected" in row) for row in metrics] == [True, True, False, True]
    assert metrics[-1]["evaluations"] == 4 * 9 + 3 * 4 * 2
    assert len(list((whole / "checkpoints").iterdir())) == KEEP
    assert "numerics" in (whole / "recipe.toml").read_text()


def test_n_then_n_is_2n(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    path = tmp_path / "halves"
    assert run(create(path, tiny, "generations=2"))
    assert run(RunFolder.open(path, ["generations=4"]))
    assert_same(path, whole)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_run(tmp_path: Path, tiny: dict[str, Any]) -> None:
    tiny["task"] |= {"normalise": True, "episodes": 2}
    for workers in (1, 2, 3):
        assert run(create(tmp_path / str(workers), tiny, f"evaluate.workers={workers}"))
    assert_same(tmp_path / "1", tmp_path / "2")
    assert_same(tmp_path / "1", tmp_path / "3")


def test_normalised_runs_resume_too(tmp_path: Path, tiny: dict[str, Any]) -> None:
    tiny["task"]["normalise"] = True
    assert run(create(tmp_path / "whole", tiny))
    assert run(create(tmp_path / "halves", tiny, "generations=1"))
    assert run(RunFolder.open(tmp_path / "halves", ["generations=4", "evaluate.workers=1"]))
    assert_same(tmp_path / "halves", tmp_path / "whole")
    statistics = load_file(tmp_path / "whole" / "center.safetensors")
    steps = sum(row["steps"] for row in read_metrics(tmp_path / "whole")[-1:])
    assert 0 < statistics["statistics.count"] <= steps


def test_ctrl_c_saves_and_resumes(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    path = tmp_path / "stopped"
    assert not run(create(path, tiny, "checkpoint_seconds=1000.0"), Quiet(stop_after=3))
    assert len(read_metrics(path)) == 3
    assert run(RunFolder.open(path))
    assert_same(path, whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, tiny: dict[str, Any], workers: int) -> None:
    values = {**tiny, "generations": 40}
    whole, path = tmp_path / "whole", tmp_path / "killed"
    assert run(create(whole, values))
    killed(path, {**values, "evaluate": {"workers": workers}})
    assert_same(path, whole)


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "other learner", "scalar state"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, tiny: dict[str, Any], whole: Path, damage: str
) -> None:
    path = tmp_path / "damaged"
    assert run(create(path, tiny, "generations=3"))
    newest = sorted((path / "checkpoints").iterdir())[-1]
    if damage == "cut":
        newest.write_bytes(newest.read_bytes()[:-7])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "foreign":
        save_file({"weights": np.zeros(3)}, newest)
    elif damage == "other learner":
        header = {"format": 1, "kind": "checkpoint", "values": {"generation": 3}}
        save_file({"modules": np.zeros(3)}, newest, {"neuroplastic": json.dumps(header)})
    else:
        header = {"format": 1, "kind": "checkpoint", "values": 7}
        save_file({"best": np.zeros(3)}, newest, {"neuroplastic": json.dumps(header)})
    reporter = Quiet()
    assert run(RunFolder.open(path, ["generations=4"]), reporter)
    assert any(newest.name in note and "before it" in note for note in reporter.notes)
    assert_same(path, whole)


def test_a_checkpoint_of_another_run_is_named(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    other = tmp_path / "other"
    assert run(create(other, tiny, "seed=99", "generations=6"))
    foreign = sorted((other / "checkpoints").iterdir())[-1]
    path = tmp_path / "run"
    assert run(create(path, tiny, "generations=3"))
    (path / "checkpoints" / foreign.name).write_bytes(foreign.read_bytes())
    reporter = Quiet()
    assert run(RunFolder.open(path, ["generations=4"]), reporter)
    assert any("another recipe" in note for note in reporter.notes)
    assert_same(path, whole)


def test_damaged_checkpoints_do_not_push_out_sound_ones(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    path = tmp_path / "run"
    assert run(create(path, tiny, "generations=2"))
    for generation in range(7, 7 + KEEP):
        (path / "checkpoints" / f"{generation:08d}.safetensors").write_bytes(b"cut")
    assert run(RunFolder.open(path, ["generations=3"]))
    assert run(RunFolder.open(path, ["generations=4"]))
    assert_same(path, whole)


def test_whatever_ends_a_run_its_generations_are_saved(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    class Broken(Quiet):
        def generation(self, metrics) -> None:
            if metrics["generation"] == 2:
                raise BrokenPipeError("nobody reads this any more")

    path = tmp_path / "run"
    with pytest.raises(BrokenPipeError):
        run(create(path, tiny, "checkpoint_seconds=1000.0"), Broken())
    assert len(list((path / "checkpoints").iterdir())) == 1
    assert run(RunFolder.open(path))
    assert_same(path, whole)


def test_a_run_cannot_be_made_shorter_than_it_is(whole: Path) -> None:
    with pytest.raises(RecipeError, match="generations: expected at least the 4 done; got 2"):
        run(RunFolder.open(whole, ["generations=2"]))
    assert "generations = 4" in (whole / "recipe.toml").read_text()


def test_when_no_checkpoint_is_sound_nothing_is_overwritten(whole: Path) -> None:
    for file in (whole / "checkpoints").iterdir():
        file.write_bytes(b"lost")
    metrics = (whole / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="no checkpoint can be used"):
        run(RunFolder.open(whole, ["generations=9"]))
    assert (whole / "metrics.jsonl").read_bytes() == metrics


def test_a_run_folder_is_never_overwritten(whole: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--resume"):
        create(whole, tiny)
    with pytest.raises(RunError, match=r"expected a folder with a recipe\.toml"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(RecipeError, match=r"search\.sigma=2.*can only change"):
        RunFolder.open(whole, ["search.sigma=2"])


def test_one_call_begins_a_run_and_goes_on_with_it(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    path = tmp_path / "run"
    for generations in (1, 3, 3, 4):
        recipe = recipe_of(tiny, f"generations={generations}", f"evaluate.limit={generations}.0")
        assert run(RunFolder.open_or_create(path, recipe))
        assert f"limit = {generations}.0" in (path / "recipe.toml").read_text()
    assert_same(path, whole)
    with pytest.raises(RecipeError, match="generations: expected at least the 4 done; got 2"):
        run(RunFolder.open_or_create(path, recipe_of(tiny, "generations=2")))


def test_one_call_refuses_a_run_of_another_recipe(tiny: dict[str, Any], whole: Path) -> None:
    before = (whole / "recipe.toml").read_bytes()
    words = ["generations=9", "search.sigma=0.5", "policy.activation=relu", "task.env_options.sutton_barto_reward=true"]
    with pytest.raises(RecipeError) as caught:
        RunFolder.open_or_create(whole, recipe_of(tiny, *words))
    assert str(caught.value).count(" there and ") == 3
    for part in (
        "search.sigma = 0.1 there and 0.5 here",
        'policy.activation = "tanh" there and "relu" here',
        "task.env_options.sutton_barto_reward = nothing there and true here",
    ):
        assert part in str(caught.value)
    assert (whole / "recipe.toml").read_bytes() == before
    assert run(RunFolder.open_or_create(whole, recipe_of(tiny)))


def test_one_call_begins_a_run_whose_creation_was_cut_anywhere(
    tmp_path: Path, tiny: dict[str, Any], whole: Path
) -> None:
    class Crash(BaseException):
        pass

    steps = 0

    def crash(event: str, arguments: tuple) -> None:
        nonlocal steps
        if left is not None and event in ("open", "os.mkdir", "os.rename") and str(path) in str(arguments[0]):
            steps += 1
            if steps > left:
                raise Crash

    left, path = None, tmp_path
    sys.addaudithook(crash)
    crashes = 0
    while True:
        path, steps = tmp_path / f"run{crashes}", 0
        left = crashes
        try:
            create(path, tiny).close()
            break
        except Crash:
            crashes += 1
        finally:
            left = None
        assert run(RunFolder.open_or_create(path, recipe_of(tiny)))
        assert_same(path, whole)
    assert crashes >= 5, "folder, lock, recipe beside its place, its rename, checkpoints, metrics"


@pytest.mark.parametrize("start", [RunFolder.create, RunFolder.open_or_create])
def test_a_run_that_was_refused_is_begun_by_a_better_command(start, tmp_path: Path, tiny: dict[str, Any]) -> None:
    """Nothing was made there yet, so the folder is free for another recipe; and it is once only."""
    path = tmp_path / "run"
    cars = ["task.env=neuroplastic_envs:neuroplastic/CarRacing-v0", 'task.env_options={observation="grey"}']
    with pytest.raises(ArgumentError, match="evaluate.megabytes"):
        run(create(path, tiny, *cars, "evaluate.megabytes=1"))
    assert (path / "recipe.toml").exists()
    assert run(start(path, recipe_of(tiny, "generations=1")))
    with pytest.raises(NeuroplasticError, match="--resume|the same recipe"):
        start(path, recipe_of(tiny, "generations=1", "seed=8"))


@pytest.mark.parametrize("start", [RunFolder.create, RunFolder.open_or_create])
def test_a_run_that_stopped_in_its_first_generation_is_begun_by_another(
    start, tmp_path: Path, tiny: dict[str, Any], whole: Path
) -> None:
    class AtOnce(Quiet):
        def begin(self, *_: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "run"
    assert not run(create(path, tiny, "seed=8", "task.batch=2"), AtOnce())
    assert {file.name for file in (path / "checkpoints").iterdir()} == {"00000000.safetensors"}
    assert run(start(path, recipe_of(tiny)))
    assert_same(path, whole)


def test_a_recipe_that_lies_alone_in_a_folder_is_somebodys(tmp_path: Path, tiny: dict[str, Any]) -> None:
    (tmp_path / "recipe.toml").write_text("seed = 1")
    with pytest.raises(RunError, match="--resume"):
        create(tmp_path, tiny)
    assert (tmp_path / "recipe.toml").read_text() == "seed = 1"


def test_one_process_at_a_time(tmp_path: Path, tiny: dict[str, Any]) -> None:
    with create(tmp_path / "run", tiny):
        for start in (RunFolder.open, lambda path: RunFolder.create(path, recipe_of(tiny))):
            with pytest.raises(RunError, match="another process"):
                start(tmp_path / "run")


def test_a_generation_of_failures_stops_the_run_and_saves(tmp_path: Path, tiny: dict[str, Any]) -> None:
    path = tmp_path / "failing"
    words = ["rule.normaliser=none", "policy.output_activation=linear", "search.center_std=1e18"]
    with pytest.raises(TrialError, match=r"generation 0: 100% of the members failed.*not finite"):
        run(create(path, tiny, *words))
    assert (path / "center.safetensors").exists()
    with pytest.raises(TrialError):
        run(RunFolder.open(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_loses_nothing(tmp_path: Path, tiny: dict[str, Any]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        path = disk / "run"
        assert run(create(path, tiny, "generations=2"))
        before = {file: file.read_bytes() for file in (path / "checkpoints").iterdir()}
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 2**19)
        with pytest.raises(RunError, match="no space left"):
            run(RunFolder.open(path, ["generations=4"]))
        assert {file: file.read_bytes() for file in (path / "checkpoints").iterdir()} == before
        filler.unlink()
        assert run(RunFolder.open(path, ["generations=4"]))
        whole = tmp_path / "whole"
        assert run(create(whole, tiny))
        assert_same(path, whole)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
