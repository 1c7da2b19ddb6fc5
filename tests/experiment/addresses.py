"""Runs at addresses in memory, and what lies there."""

from typing import Any

import fsspec
import pytest

from neuroplastic.experiment import remote
from neuroplastic.experiment.manifest import Manifest, manifest_names, read_manifest
from neuroplastic.experiment.store import Store

MEMORY = fsspec.filesystem("memory")


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
