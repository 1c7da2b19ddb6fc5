"""A run at an address is the run in a folder: whatever cut it, whoever else works on it, and on any machine."""

import json
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from runs import Quiet, assert_same, create, recipe_of, run
from safetensors.numpy import load_file

from neuroplastic.errors import ArgumentError, DamagedFileError, MissingExtraError, RecipeError, RunError
from neuroplastic.experiment import publisher, remote
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.manifest import Manifest, manifest_names, read_agent, read_manifest
from neuroplastic.experiment.publisher import Publisher, Snapshot, TakenError, bring
from neuroplastic.experiment.run import KEEP, RunFolder, read_metrics
from neuroplastic.experiment.store import Store, StoreError, located

MEMORY = fsspec.filesystem("memory")


@pytest.fixture(autouse=True)
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where spools are made."""
    path = tmp_path / "spools"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.fixture
def address() -> Iterator[str]:
    address = f"memory://{uuid.uuid4()}/run"
    yield address
    if MEMORY.exists(address):
        MEMORY.rm(address, recursive=True)


@pytest.fixture
def whole(tmp_path: Path, tiny: dict[str, Any]) -> Path:
    path = tmp_path / "whole"
    assert run(create(path, tiny))
    return path


def store_of(address: str, kind: type[Store] = Store) -> Any:
    return kind(address, MEMORY, MEMORY._strip_protocol(address))


def newest(address: str) -> Manifest:
    store = store_of(address)
    return read_manifest(store, manifest_names(store.names())[0])


def objects(address: str) -> dict[str, bytes]:
    return {name: MEMORY.cat_file(f"{address}/{name}") for name in store_of(address).names()}


def every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes each checkpoint wait for its publication, so that none is left out."""
    begin = remote.RemoteRun._start

    def start(self: remote.RemoteRun) -> None:
        begin(self)
        assert self._thread is not None
        self._thread.join()

    monkeypatch.setattr(remote.RemoteRun, "_start", start)


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


class Crash(Exception):
    """The driver is killed."""


class Mortal(Store):
    """A store whose driver dies at an operation: before it, after it, or, of a writing one, in the middle."""

    left, manner = 10**9, "before"

    def _live(self, operation, *arguments):
        self.left -= 1
        if self.left == 0 and self.manner == "before":
            raise Crash
        if self.left == 0 and self.manner == "cut" and len(arguments) == 2:
            super().write(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise Crash
        result = operation(*arguments)
        if self.left == 0:
            raise Crash
        return result

    def write(self, name: str, content: bytes) -> None:
        self._live(super().write, name, content)

    def create(self, name: str, content: bytes) -> bool:
        return self._live(super().create, name, content)

    def remove(self, name: str) -> None:
        self._live(super().remove, name)


@pytest.mark.parametrize("manner", ["before", "after", "cut"])
def test_a_driver_killed_at_any_operation_leaves_a_whole_state(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    monkeypatch.setattr(publisher, "SEGMENT", 60)
    rng = np.random.default_rng()
    lines = [rng.bytes(int(rng.integers(5, 40))).hex().encode() + b"\n" for _ in range(9)]
    files = [rng.bytes(50) for _ in range(9)]

    def snapshot(generation: int, offset: int) -> Snapshot:
        checkpoints = {f"{generation:08d}.safetensors": files[generation]} if generation else {}
        agents = {"center.safetensors": files[generation][:20]} if generation else {}
        return Snapshot(b"recipe", agents, checkpoints, b"".join(lines[:generation])[offset:])

    def found(folder: Path) -> tuple[int, Publisher]:
        """The generation that a new driver finds, after a check that all of it is what was published."""
        (folder / "checkpoints").mkdir(parents=True)
        who, wrong = bring(store_of(address), folder)
        assert wrong == [] or manner == "cut", "only a store that leaves half an object has damaged ones"
        names = sorted(file.name for file in (folder / "checkpoints").iterdir())
        generation = int(names[-1][:8]) if names else 0
        for name in names:
            assert (folder / "checkpoints" / name).read_bytes() == files[int(name[:8])]
        assert (folder / "metrics.jsonl").read_bytes() == b"".join(lines[:generation])
        return generation, who

    deaths = 0
    while True:
        if MEMORY.exists(address):
            MEMORY.rm(address, recursive=True)
        store, done = store_of(address, Mortal), -1
        store.left, store.manner = deaths + 1, manner
        who = Publisher(store)
        try:
            for generation in range(8):
                who.publish(snapshot(generation, who.offset))
                done = generation
            break
        except Crash:
            deaths += 1
        if done < 0 and not any(name for name in manifest_names(store_of(address).names())):
            continue  # it had not begun
        if done < 1 and manner == "cut":
            continue  # half a first manifest: only where a store makes objects by halves
        generation, who = found(tmp_path / f"{deaths}")
        assert generation in (done, done + 1)
        who.publish(snapshot(8, who.offset))
        assert found(tmp_path / f"{deaths} again")[0] == 8
        names = store_of(address).names()
        manifests = [read_manifest(store_of(address), name) for name in manifest_names(names)]
        named = {entry.name for manifest in manifests for entry in manifest.entries()}
        assert set(names) == named | {manifest.name for manifest in manifests}, "what a dead driver left is gone"
    assert deaths > 40


def test_the_driver_that_resumed_last_goes_on(
    address: str, tiny: dict[str, Any], whole: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_checkpoint(monkeypatch)

    class Overtaken(Quiet):
        def generation(self, metrics) -> None:
            if metrics["generation"] == 1:
                assert run(RunFolder.open(address))
                self.objects = objects(address)

    first = Overtaken()
    with pytest.raises(TakenError, match=r"another driver \(.*\) has published.*what it found lies in") as caught:
        run(create(address, tiny), first)
    assert objects(address) == first.objects, "nothing of the other was touched"
    assert_same(address, whole)
    (spool,) = spools.iterdir()
    assert str(spool) in str(caught.value)
    assert run(RunFolder.open(spool))
    assert_same(spool, whole)


def test_two_that_begin_or_resume_at_once(address: str, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(tiny)

    class Late(Store):
        """Lists what was there before the other came."""

        def names(self, *, new: bool = False) -> list[str]:
            seen = super().names(new=new)
            if not begun:
                begun.append(RunFolder.create(address, recipe))
            return seen

    begun: list[RunFolder] = []
    with pytest.raises(TakenError, match="00000000.json to be its newest.*has published 00000001.json"):
        remote.RemoteRun.begin(store_of(address, Late), recipe)
    assert run(begun[0])
    first, second = RunFolder.open(address, ["generations=5"]), RunFolder.open(address, ["generations=5"])
    assert run(first)
    with pytest.raises(TakenError, match="another driver"):
        run(second)


def test_each_number_is_published_once(address: str) -> None:
    class Blind(Store):
        """Lists what was there before the others came."""

        def names(self, *, new: bool = False) -> list[str]:
            return []

    first, second = Publisher(store_of(address)), Publisher(store_of(address, Blind))
    first.publish(Snapshot(b"first", {}, {}, b""))
    before = objects(address)
    with pytest.raises(TakenError):
        second.publish(Snapshot(b"second", {}, {}, b""))
    assert objects(address) == before


class Flaky(Store):
    """A store that cannot be written to for a while."""

    away = False
    lost_answers = 0

    def write(self, name: str, content: bytes) -> None:
        if self.away:
            raise StoreError(f"{self.address}: the cable is out")
        super().write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        made = super().create(name, content)
        if self.lost_answers:
            type(self).lost_answers -= 1
            raise StoreError(f"{self.address}: the answer is lost")
        return made


def flaky(address: str, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, type[Flaky]]:
    every_checkpoint(monkeypatch)

    class Own(Flaky):
        pass

    return remote.RemoteRun.begin(store_of(address, Own), recipe_of(values)), Own


def test_a_store_that_is_away_for_a_while_ends_nothing(
    address: str, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = flaky(address, {**tiny, "generations": 9}, monkeypatch)

    class Watching(Quiet):
        def generation(self, metrics) -> None:
            store.away = 2 <= metrics["generation"] < 6

    reporter = Watching()
    assert run(folder, reporter)
    told = [note for note in reporter.notes if address in note]
    assert len(told) == 2, told
    assert "the cable is out; the run goes on in" in told[0]
    assert "published again" in told[1]
    assert run(create(tmp_path / "whole", tiny, "generations=9"))
    assert_same(address, tmp_path / "whole")


def test_a_store_that_stays_away_leaves_all_in_the_spool(
    address: str, tiny: dict[str, Any], whole: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = flaky(address, tiny, monkeypatch)

    class Watching(Quiet):
        def generation(self, metrics) -> None:
            store.away = metrics["generation"] >= 2

    with pytest.raises(RunError, match="could not be published.*the cable is out") as caught:
        run(folder, Watching())
    (spool,) = spools.iterdir()
    assert str(spool) in str(caught.value)
    assert_same(spool, whole)
    assert len(read_metrics(address)) == 2
    assert run(RunFolder.open(address))
    assert_same(address, whole)


def test_an_answer_that_is_lost_is_no_other_driver(
    address: str, tiny: dict[str, Any], whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = flaky(address, tiny, monkeypatch)
    store.lost_answers = 2
    assert run(folder)
    assert store.lost_answers == 0
    assert_same(address, whole)


def test_a_store_that_never_answers_is_left_when_an_error_ends_the_run(
    address: str, tiny: dict[str, Any], spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.1)

    class Silent(Store):
        silent = False

        def write(self, name: str, content: bytes) -> None:
            while self.silent:
                time.sleep(0.01)
            super().write(name, content)

    class Broken(Quiet):
        def generation(self, metrics) -> None:
            Silent.silent = True
            if metrics["generation"] == 1:
                raise BrokenPipeError

    reporter = Broken()
    try:
        with pytest.raises(BrokenPipeError):
            run(remote.RemoteRun.begin(store_of(address, Silent), recipe_of(tiny)), reporter)
        (spool,) = spools.iterdir()
        assert any(str(spool) in note and "does not answer" in note for note in reporter.notes)
        assert len(read_metrics(spool)) == 2
    finally:
        Silent.silent = False


def test_objects_that_cannot_be_removed_are_told_once(
    address: str, tiny: dict[str, Any], whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_checkpoint(monkeypatch)

    class Kept(Store):
        def remove(self, name: str) -> None:
            raise StoreError(f"{self.address}: nothing may be removed")

    reporter = Quiet()
    assert run(remote.RemoteRun.begin(store_of(address, Kept), recipe_of(tiny)), reporter)
    assert sum("nothing may be removed" in note for note in reporter.notes) == 1
    assert_same(address, whole)


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
