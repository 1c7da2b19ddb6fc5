"""A run at an address is the run in a folder: whatever cut it, whoever reads it, and on any machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from addresses import MEMORY, every_checkpoint, newest, objects, store_of
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from runs import Quiet, assert_same, create, recipe_of, run
from safetensors.numpy import load_file

from neuroplastic.errors import ArgumentError, DamagedFileError, MissingExtraError, RecipeError, RunError
from neuroplastic.experiment import publisher, remote
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.manifest import Manifest, manifest_names, read_agent, read_manifest
from neuroplastic.experiment.publisher import bring
from neuroplastic.experiment.run import KEEP, RunFolder, read_metrics
from neuroplastic.experiment.store import Store, located

pytestmark = pytest.mark.usefixtures("spools")


def test_it_is_the_run_in_a_folder(address: str, tiny: dict[str, Any], whole: Path, spools: Path) -> None:
    reporter = Quiet()
    assert run(create(address, tiny), reporter)
    assert reporter.notes == []
    assert_same(address, whole)
    assert not list(spools.iterdir()), "what is published needs no spool"
    with pytest.raises(RunError, match="--resume memory://"):
        create(address, tiny)


def test_n_then_n_is_2n(address: str, tiny: dict[str, Any], whole: Path) -> None:
    assert run(create(address, tiny, "generations=2"))
    assert run(RunFolder.open(address, ["generations=4"]))
    assert_same(address, whole)
    assert run(RunFolder.open(address)), "a run that is complete can be opened again"
    with pytest.raises(RecipeError, match="search.sigma=2.*can only change"):
        RunFolder.open(address, ["search.sigma=2"])


def test_ctrl_c_publishes_and_resumes(address: str, tiny: dict[str, Any], whole: Path, spools: Path) -> None:
    assert not run(create(address, tiny, "checkpoint_seconds=1000.0"), Quiet(stop_after=3))
    assert len(read_metrics(address)) == 3
    assert not list(spools.iterdir())
    assert run(RunFolder.open(address))
    assert_same(address, whole)


def test_what_is_there_is_what_the_last_manifests_name(
    address: str, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    every_checkpoint(monkeypatch)
    assert run(create(address, tiny, "generations=7"))
    store = store_of(address)
    names = store.names()
    manifests = [read_manifest(store, name) for name in manifest_names(names)]
    assert len(manifests) == KEEP
    assert list(manifests[0].checkpoints) == [f"{generation:08d}.safetensors" for generation in (7, 6, 5)]
    named = {entry.name for manifest in manifests for entry in manifest.entries()}
    assert set(names) == named | {manifest.name for manifest in manifests}


def test_what_ends_a_run_is_raised_and_what_it_found_published(
    address: str, tiny: dict[str, Any], whole: Path, spools: Path
) -> None:
    class Broken(Quiet):
        def generation(self, metrics) -> None:
            if metrics["generation"] == 2:
                raise BrokenPipeError("nobody reads this any more")

    with pytest.raises(BrokenPipeError):
        run(create(address, tiny, "checkpoint_seconds=1000.0"), Broken())
    assert len(read_metrics(address)) == 3
    assert not list(spools.iterdir())
    assert run(RunFolder.open(address))
    assert_same(address, whole)


def test_segments_are_sent_until_they_are_full(
    address: str, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_checkpoint(monkeypatch)
    monkeypatch.setattr(publisher, "SEGMENT", 500)
    assert run(create(address, tiny, "generations=14"))
    sizes = [entry.size for entry in newest(address).metrics]
    assert len(sizes) >= 4
    assert all(500 <= size < 1000 for size in sizes[:-1]), "a line has fewer than 500 bytes"
    assert run(RunFolder.open(address, ["generations=18"]))
    assert [entry.size for entry in newest(address).metrics][: len(sizes) - 1] == sizes[:-1]
    assert run(create(tmp_path / "whole", tiny, "generations=18"))
    assert_same(address, tmp_path / "whole")


# What is damaged, and what the note names.
DAMAGE = {
    "checkpoint cut": lambda m: [(next(iter(m.checkpoints.values())).name, lambda content: content[:-7])],
    "checkpoint flipped": lambda m: [
        (next(iter(m.checkpoints.values())).name, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    ],
    "checkpoint missing": lambda m: [(next(iter(m.checkpoints.values())).name, None)],
    "two checkpoints missing": lambda m: [(entry.name, None) for entry in [*m.checkpoints.values()][:2]],
    "metrics cut": lambda m: [(m.metrics[-1].name, lambda content: content[:-7])],
    "metrics missing": lambda m: [(m.metrics[-1].name, None)],
    "manifest cut": lambda m: [(m.name, lambda content: content[: len(content) // 2])],
    "manifest empty": lambda m: [(m.name, lambda content: b"")],
    "manifest of another number": lambda m: [(m.name, lambda content: content.replace(b'"number": ', b'"number": 9'))],
    "manifest with a way out": lambda m: [(m.name, lambda content: content.replace(m.recipe.name.encode(), b"../x"))],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_named_and_what_was_before_it_used(
    address: str, tiny: dict[str, Any], whole: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    every_checkpoint(monkeypatch)
    assert run(create(address, tiny, "generations=3"))
    damaged = DAMAGE[damage](newest(address))
    for name, change in damaged:
        path = f"{address}/{name}"
        if change is None:
            MEMORY.rm(path)
        else:
            MEMORY.pipe_file(path, change(MEMORY.cat_file(path)))
    reporter = Quiet()
    assert run(RunFolder.open(address, ["generations=4"]), reporter)
    for name, _ in damaged:
        assert any(f"{address}/{name}" in note and "before it" in note for note in reporter.notes), reporter.notes
    assert_same(address, whole)
    again = Quiet()
    assert run(RunFolder.open(address), again)
    assert again.notes == []


def test_when_nothing_is_sound_nothing_is_changed(address: str, tiny: dict[str, Any], spools: Path) -> None:
    assert run(create(address, tiny, "generations=3"))
    for name in store_of(address).names():
        if name.endswith(".safetensors") and "0000000" in name.split("-")[-1]:
            MEMORY.pipe_file(f"{address}/{name}", b"lost")
    before = objects(address)
    with pytest.raises(RunError, match="no checkpoint can be used"):
        RunFolder.open(address, ["generations=9"])
    assert objects(address) == before
    assert not list(spools.iterdir())


def test_a_damaged_agent_is_named(address: str, tiny: dict[str, Any]) -> None:
    assert run(create(address, tiny, "generations=1"))
    entry = newest(address).agents["best"]
    MEMORY.pipe_file(f"{address}/{entry.name}", b"lost")
    with pytest.raises(DamagedFileError, match=f"{entry.name}: expected {entry.size} bytes"):
        Agent.load(address, "best")
    assert Agent.load(address).generation == 1
    file = f"{address}/{newest(address).agents['center'].name}"
    assert Agent.load(file).generation == 1, "an agent file can be anywhere"
    with pytest.raises(DamagedFileError, match="none.safetensors: it is missing"):
        Agent.load(f"{address}/none.safetensors")


def test_one_call_begins_a_run_and_goes_on_with_it(address: str, tiny: dict[str, Any], whole: Path) -> None:
    MEMORY.pipe_file(f"{address}/00000001-0123abcd-recipe.toml", b"of a driver that died before its manifest")
    for generations in (1, 3, 3, 4):
        recipe = recipe_of(tiny, f"generations={generations}", f"evaluate.limit={generations}.0")
        assert run(RunFolder.open_or_create(address, recipe))
        assert f"limit = {generations}.0" in MEMORY.cat_file(f"{address}/{newest(address).recipe.name}").decode()
    assert_same(address, whole)
    with pytest.raises(RecipeError, match=r"memory://.*search.sigma = 0.1 there and 0.5 here"):
        RunFolder.open_or_create(address, recipe_of(tiny, "search.sigma=0.5"))


def test_more_generations_hold_from_the_start(address: str, tiny: dict[str, Any]) -> None:
    assert run(create(address, tiny, "generations=2"))

    class Killed(Quiet):
        def begin(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(RunFolder.open(address, ["generations=4"]), Killed())
    assert RunFolder.open(address).recipe.generations == 4


def test_a_run_that_has_only_begun(address: str, tiny: dict[str, Any], whole: Path) -> None:
    folder = create(address, tiny)
    for read in (read_metrics, Agent.load):
        with pytest.raises(RunError, match="yet"):
            read(address)
    assert run(folder)
    assert_same(address, whole)


def test_a_reader_is_not_disturbed_by_a_driver(address: str, tiny: dict[str, Any]) -> None:
    assert run(create(address, tiny))
    folder = RunFolder.open(address, ["generations=14"])

    class Read(Quiet):
        def generation(self, metrics) -> None:
            assert len(read_metrics(address)) >= 4
            assert Agent.load(address).generation >= 4

    assert run(folder, Read())


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("s4://bucket/run", ArgumentError, "s4://bucket/run: expected a path, or an address.*Protocol not known: s4"),
        ("memory://", ArgumentError, "nothing behind the protocol"),
        (Path("s3://bucket/run"), ArgumentError, "expected PROTOCOL://.* got 's3:/bucket/run'"),
        ("s3:/bucket/run", ArgumentError, "expected PROTOCOL://"),
        ("gs://bucket/run", MissingExtraError, "gs://bucket/run: .*gcsfs"),
    ],
)
def test_addresses_that_are_none(
    address: str | Path, error: type[Exception], message: str, tiny: dict[str, Any]
) -> None:
    for use in (lambda: create(address, tiny), lambda: RunFolder.open(address), lambda: Agent.load(address)):
        with pytest.raises(error, match=message):
            use()
    with pytest.raises(error, match=message):
        read_metrics(address)


def test_files_by_address_are_folders(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    assert located(f"file://{tmp_path}/a b") == tmp_path / "a b"
    assert run(create(f"file://{tmp_path}/run", tiny))
    assert load_file(tmp_path / "run" / "center.safetensors")
    assert_same(f"file://{tmp_path}/run", whole)


def test_no_run_is_told(address: str, tiny: dict[str, Any]) -> None:
    for use in (RunFolder.open, read_metrics, Agent.load):
        with pytest.raises(RunError, match="expected a run there, with a manifest"):
            use(address)
    MEMORY.pipe_file(f"{address}/thesis.pdf", b"")
    with pytest.raises(RunError, match="expected an address with nothing there; found 1 objects"):
        create(address, tiny)


def test_a_store_with_folders(tmp_path: Path, tiny: dict[str, Any], whole: Path) -> None:
    disk = DirFileSystem(tmp_path, LocalFileSystem())
    store = Store("disk://run", disk, "run")
    assert run(remote.RemoteRun.begin(store, recipe_of(tiny, "generations=2")))
    assert run(remote.RemoteRun.resume(store, ["generations=4"]))
    assert len(manifest_names([file.name for file in (tmp_path / "run").iterdir()])) == KEEP
    (tmp_path / "brought" / "checkpoints").mkdir(parents=True)
    bring(store, tmp_path / "brought")
    for which in ("center", "best"):
        (tmp_path / "brought" / f"{which}.safetensors").write_bytes(read_agent(store, which)[1])
    assert_same(tmp_path / "brought", whole)


def test_manifests_hold_no_more_than_they_say(address: str, tiny: dict[str, Any]) -> None:
    assert run(create(address, tiny, "generations=1"))
    manifest = json.loads(MEMORY.cat_file(f"{address}/{newest(address).name}"))
    assert set(manifest) == set(Manifest.model_fields)
    names = [name for name in store_of(address).names() if name.endswith("metrics.jsonl")]
    lines = MEMORY.cat_file(f"{address}/{names[-1]}").splitlines()
    assert [json.loads(line)["generation"] for line in lines] == [0]
