"""What of a store belongs to a run: only what its newest sound manifest names, checked against the digests there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuroplastic.errors import DamagedFileError, RunError
from neuroplastic.experiment.store import Store

T = TypeVar("T")
MANIFEST = re.compile(r"(\d{8})\.json")
OBJECT = re.compile(r"(\d{8})-[0-9a-f]{8}-[a-z0-9.]+")


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Entry(_Strict):
    """An object: written once, under a name that is never used again."""

    name: Annotated[str, Field(pattern=f"^{OBJECT.pattern}$")]
    size: Annotated[int, Field(ge=0)]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]

    @property
    def kind(self) -> str:
        """Its name without the publication's number and token."""
        return self.name.split("-", 2)[2]


class Manifest(_Strict):
    """A state of a run, whole.

    Attributes:
        number: publications so far; the object's name.
        writer: who published it.
        recipe: ``recipe.toml``.
        agents: ``center`` and ``best`` -> the agent file.
        checkpoints: name in ``checkpoints/`` -> the file.
        metrics: segments, which make up ``metrics.jsonl``.
    """

    format: Literal[1] = 1
    number: int
    writer: str
    recipe: Entry
    agents: dict[str, Entry] = {}
    checkpoints: dict[Annotated[str, Field(pattern=r"^\d{8,}\.safetensors$")], Entry] = {}
    metrics: list[Entry] = []

    @property
    def name(self) -> str:
        return f"{self.number:08d}.json"

    def entries(self) -> Iterator[Entry]:
        yield self.recipe
        yield from self.agents.values()
        yield from self.checkpoints.values()
        yield from self.metrics


def digest(content: bytes) -> str:
    """BLAKE2b, 16 bytes, as text."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def number_of(name: str) -> int | None:
    """The publication that an object's name belongs to; None if it is no object of a run."""
    found = MANIFEST.fullmatch(name) or OBJECT.fullmatch(name)
    return int(found[1]) if found else None


def manifest_names(names: Sequence[str]) -> list[str]:
    """Those of manifests, newest first."""
    return sorted(filter(MANIFEST.fullmatch, names), reverse=True)


def read_manifest(store: Store, name: str) -> Manifest:
    """A manifest.

    Raises:
        DamagedFileError: it is missing, cut or foreign.
        StoreError: it cannot be read.
    """
    content = store.read(name)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedFileError(f"{store.address}/{name}: expected a manifest; {where} {first['msg']}") from error
    if manifest.name != name:
        raise DamagedFileError(f"{store.address}/{name}: expected manifest {name}; got {manifest.name}")
    return manifest


def fetch(store: Store, entry: Entry) -> bytes:
    """An object's content.

    Raises:
        DamagedFileError: it is missing, or not what was written.
        StoreError: it cannot be read.
    """
    content = store.read(entry.name)
    if len(content) != entry.size or digest(content) != entry.digest:
        raise DamagedFileError(
            f"{store.address}/{entry.name}: expected {entry.size} bytes of digest {entry.digest}; "
            f"got {len(content)} of {digest(content)}"
        )
    return content


def read_newest(store: Store, take: Callable[[Manifest], T]) -> T:
    """What ``take`` makes of the newest sound manifest; again if a driver has published a newer one meanwhile.

    Raises:
        RunError: there is no run.
        DamagedFileError: an object that it names is damaged or missing.
        StoreError: the store cannot be read.
    """
    tried = -1
    while True:
        manifest = None
        for name in manifest_names(store.names()):
            try:
                manifest = read_manifest(store, name)
                break
            except DamagedFileError:  # the one before it was whole before this one was begun
                continue
        if manifest is None:
            raise no_run(store)
        try:
            return take(manifest)
        except DamagedFileError:  # perhaps it was removed because a newer one had come
            if manifest.number <= tried:
                raise
            tried = manifest.number


def no_run(store: Store) -> RunError:
    return RunError(f"run {store.address}: expected a run there, with a manifest such as 00000001.json; found none")


def read_agent(store: Store, which: str) -> tuple[str, bytes]:
    """(what it is called in messages, content) of an agent file at that address, or of a run's agent.

    Raises:
        RunError: there is no run, or it has no agents yet.
        DamagedFileError: it is damaged or missing.
        StoreError: the store cannot be read.
    """
    if store.address.endswith(".safetensors"):
        return store.address, store.read()

    def take(manifest: Manifest) -> tuple[str, bytes]:
        if which not in manifest.agents:
            raise RunError(f"run {store.address}: it has no agent {which!r} yet; it has no checkpoint")
        entry = manifest.agents[which]
        return f"{store.address}/{entry.name}", fetch(store, entry)

    return read_newest(store, take)


def read_segments(store: Store, manifest: Manifest) -> bytes:
    """The run's ``metrics.jsonl``.

    Raises:
        DamagedFileError: a segment is damaged or missing.
        StoreError: the store cannot be read.
    """
    return b"".join(fetch(store, entry) for entry in manifest.metrics)
