"""Publications: a run at an address, sent piece by piece and whole there at every moment.

A store such as S3 can neither append nor rename, so nothing that was published is ever changed. A publication sends
what is new as objects of new names and then, last, a manifest. What no manifest names does not count::

    00000007.json                             manifest of publication 7: names, sizes, digests
    00000007-1f2e3d4c-recipe.toml             1f2e3d4c: a token, so that no two attempts share a name
    00000007-1f2e3d4c-00000070.safetensors    the checkpoint after generation 70
    00000007-1f2e3d4c-center.safetensors      (and best.safetensors)
    00000007-1f2e3d4c-metrics.jsonl           the lines behind the segments that are full

A manifest names the last `KEEP` checkpoints. The last `KEEP` manifests stay; objects that they do not name go.

Two drivers of one run: each number is published once, and who resumes publishes the next at once. Who finds a manifest
newer than its own last stops before it touches anything. So the driver that resumed last goes on, and one that was
believed dead ends at its next publication; until then both compute the same. Where a store cannot make an object only
if there is none, two that publish within a moment may both succeed. Then one of them is found out when it publishes
next, and if the one removed what the other had named, a driver that resumes is told so and uses what was before.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroplastic.errors import DamagedFileError, RunError
from neuroplastic.experiment import storage
from neuroplastic.experiment.manifest import (
    Entry,
    Manifest,
    digest,
    fetch,
    manifest_names,
    no_run,
    number_of,
    read_manifest,
    read_segments,
)
from neuroplastic.experiment.run import KEEP
from neuroplastic.experiment.store import Store, StoreError

SEGMENT = 2**18
"""Bytes of metrics from which on an object of them is full; each publication sends again what is behind it."""


class TakenError(RunError):
    """Another driver publishes to the same address."""


@dataclass(frozen=True)
class Snapshot:
    """What a publication is to hold: names and contents of files of the run folder.

    Attributes:
        recipe: ``recipe.toml``.
        agents: ``center.safetensors`` and ``best.safetensors``; those that are left out stay as they are.
        checkpoints: those that are new.
        metrics: ``metrics.jsonl`` from `Publisher.offset` on.
    """

    recipe: bytes
    agents: Mapping[str, bytes]
    checkpoints: Mapping[str, bytes]
    metrics: bytes


class Publisher:
    """Publishes one run.

    Attributes:
        litter: why objects that no manifest names could not be removed; None if they could.

    Args:
        store: where to.
        number: of the newest manifest there, sound or not.
        kept: the sound manifests there, newest first.
        state: what the run goes on from; None if it begins.
    """

    def __init__(
        self, store: Store, number: int = 0, kept: Sequence[Manifest] = (), state: Manifest | None = None
    ) -> None:
        self.litter: StoreError | None = None
        self._store, self._number, self._kept, self._state = store, number, list(kept), state
        self._writer = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    @property
    def offset(self) -> int:
        """Bytes of metrics in segments that are full."""
        return sum(entry.size for entry in self._full())

    def go_back(self, size: int, checkpoints: Sequence[str]) -> None:
        """Forgets what is not in the run folder: metrics behind ``size`` bytes, and checkpoints of other names."""
        if self._state is None:
            return
        metrics = []
        for entry in self._state.metrics:
            size -= entry.size
            if size < 0:
                break
            metrics.append(entry)
        sound = {name: entry for name, entry in self._state.checkpoints.items() if name in checkpoints}
        self._state = self._state.model_copy(update={"checkpoints": sound, "metrics": metrics})

    def publish(self, new: Snapshot) -> None:
        """Sends what is not there yet, then the manifest; removes what no manifest names any more.

        Raises:
            TakenError: another driver has published that number.
            StoreError: something could not be sent; what was published before is as it was.
        """
        self._look()
        number, token, before = self._number + 1, secrets.token_hex(4), self._state
        there = {(entry.kind, entry.digest): entry for entry in before.entries()} if before else {}

        def send(kind: str, content: bytes) -> Entry:
            key = kind, digest(content)
            if key not in there:
                entry = Entry(name=f"{number:08d}-{token}-{kind}", size=len(content), digest=key[1])
                self._store.write(entry.name, content)
                there[key] = entry
            return there[key]

        checkpoints = dict(before.checkpoints) if before else {}
        checkpoints |= {name: send(name, content) for name, content in new.checkpoints.items()}
        agents = dict(before.agents) if before else {}
        agents |= {name.removesuffix(".safetensors"): send(name, content) for name, content in new.agents.items()}
        manifest = Manifest(
            number=number,
            writer=self._writer,
            recipe=send("recipe.toml", new.recipe),
            agents=agents,
            checkpoints={name: checkpoints[name] for name in sorted(checkpoints, reverse=True)[:KEEP]},
            metrics=[*self._full(), *([send("metrics.jsonl", new.metrics)] if new.metrics else [])],
        )
        if before is None or manifest.model_copy(update={"number": before.number}) != before:
            try:
                self._claim(manifest)
            except TakenError:
                self._remove(entry.name for entry in manifest.entries() if f"-{token}-" in entry.name)
                raise
            self._clean()

    def _full(self) -> list[Entry]:
        return [entry for entry in self._state.metrics if entry.size >= SEGMENT] if self._state else []

    def _look(self) -> list[str]:
        """The names of all objects.

        Raises:
            TakenError: there is a newer manifest that is not our own.
        """
        names = self._store.names()
        for name in reversed(manifest_names(names)):
            if (number_of(name) or 0) > self._number:
                try:
                    newer = read_manifest(self._store, name)
                except DamagedFileError:
                    raise self._taken(name) from None
                if newer.writer != self._writer:
                    raise self._taken(name, newer.writer)
                self._number = newer.number  # it had arrived, and only the answer was lost
                self._kept.insert(0, newer)
        return names

    def _claim(self, manifest: Manifest) -> None:
        """Publishes the manifest under the next number."""
        while not self._store.create(manifest.name, manifest.model_dump_json(indent=1).encode()):
            self._look()
            if self._number < manifest.number:
                raise self._taken(manifest.name)
            manifest = manifest.model_copy(update={"number": self._number + 1})
        self._number, self._state = manifest.number, manifest
        self._kept = [manifest, *self._kept][:KEEP]

    def _taken(self, name: str, writer: str = "unknown") -> TakenError:
        return TakenError(
            f"run {self._store.address}: expected {self._number:08d}.json to be its newest manifest; another driver "
            f"({writer}) has published {name}, so it works on this run now, and this one stops"
        )

    def _clean(self) -> None:
        named = {name for it in self._kept for name in (it.name, *(entry.name for entry in it.entries()))}
        try:
            numbers = {name: number_of(name) for name in self._look()}
        except StoreError as error:  # what counts is published
            self.litter = error
        else:
            self._remove(
                name for name, number in numbers.items() if number and number <= self._number and name not in named
            )

    def _remove(self, names: Iterable[str]) -> None:
        self.litter = None
        try:
            for name in names:
                self._store.remove(name)
        except StoreError as error:
            self.litter = error


def bring(store: Store, folder: Path) -> tuple[Publisher, list[str]]:
    """Writes the newest state that is whole into a folder: recipe, metrics, and those checkpoints that are sound.

    Returns:
        (who publishes it from now on, what is damaged or missing).

    Raises:
        RunError: there is no run, or there are checkpoints and none is sound.
        StoreError: the store cannot be read.
    """
    names = manifest_names(store.names())
    if not names:
        raise no_run(store)
    kept, wrong = [], {}  # a dict: several manifests may name the same object
    for name in names:
        try:
            kept.append(read_manifest(store, name))
        except DamagedFileError as error:
            wrong[str(error)] = None
    for manifest in kept:
        sound = {}
        try:
            storage.write_bytes(folder / "recipe.toml", fetch(store, manifest.recipe))
            storage.write_bytes(folder / "metrics.jsonl", read_segments(store, manifest))
        except DamagedFileError as error:
            wrong[str(error)] = None
            continue
        for name, entry in manifest.checkpoints.items():
            try:
                storage.write_bytes(folder / "checkpoints" / name, fetch(store, entry))
                sound[name] = entry
            except DamagedFileError as error:
                wrong[str(error)] = None
        if sound or not wrong:  # neither: it has only begun
            state = manifest.model_copy(update={"checkpoints": sound})
            return Publisher(store, number_of(names[0]) or 0, kept, state), [*wrong]
    raise RunError(f"run {store.address}: no checkpoint can be used:\n" + "\n".join(wrong))
