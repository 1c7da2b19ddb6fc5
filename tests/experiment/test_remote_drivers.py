"""Runs at an address whose drivers die, meet there, or lose their store: nothing that was published is lost."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from addresses import MEMORY, every_checkpoint, objects, store_of
from runs import Quiet, assert_same, create, recipe_of, run

from neuroplastic.errors import RunError
from neuroplastic.experiment import publisher, remote
from neuroplastic.experiment.manifest import manifest_names, read_manifest
from neuroplastic.experiment.publisher import Publisher, Snapshot, TakenError, bring
from neuroplastic.experiment.run import RunFolder, read_metrics
from neuroplastic.experiment.store import Store, StoreError

pytestmark = pytest.mark.usefixtures("spools")


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
