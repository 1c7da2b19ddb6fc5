"""The run folder: what a run is, what it measured, and from where it can go on."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, Self, TextIO

from torch import Tensor

from neuroplastic.errors import DamagedFileError, NeuroplasticError, RecipeError, RunError
from neuroplastic.experiment import storage
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.manifest import read_newest, read_segments
from neuroplastic.experiment.models import FREE, Recipe
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.experiment.store import Address, located
from neuroplastic.genome import Layout
from neuroplastic.learners.base import Learner

_START = f"{0:08d}.safetensors"  # the checkpoint of a run that has no generation yet

KEEP = 3
"""Checkpoints kept, newest first: enough that a damaged one costs little."""


UNBEGUN = {".lock", ".recipe.toml.part"}
"""What a folder may hold in which no run has begun: a crash can leave that."""

REFUSED = UNBEGUN | {"recipe.toml", "metrics.jsonl", "checkpoints", "center.safetensors", "best.safetensors"}
"""What it may hold when the run was refused, or stopped, before its first generation was complete."""


class RunFolder:
    """``recipe.toml``, ``metrics.jsonl``, ``checkpoints/``, ``center.safetensors`` and ``best.safetensors``.

    One process at a time writes to it. Use `create`, `open` or `open_or_create`, and the folder as a context manager.
    Where the address is no path of this machine, they give a `RemoteRun`.

    Attributes:
        path: the folder; of a remote run, the spool.
        address: how people find the run again.
        recipe: of the run.
        note: told what a person wants to know meanwhile.
    """

    def __init__(self, path: Path, recipe: Recipe, lock: TextIO | None = None) -> None:
        self.path, self.recipe = path, recipe
        self.address = str(path)
        self.note: Callable[[str], Any] = print
        self._lock = lock or _lock(path)
        self._metrics = _append(path)

    @classmethod
    def create(cls, address: Address, recipe: Recipe) -> RunFolder:
        """A new run.

        Args:
            address: where it is to be.
            recipe: as resolved.

        Raises:
            RunError: there is something already, or it cannot be written.
            ArgumentError, MissingExtraError: there are no such addresses, or not without an extra.
        """
        path = located(address)
        if not isinstance(path, Path):
            from neuroplastic.experiment.remote import RemoteRun

            return RemoteRun.begin(path, recipe)
        _check_unbegun(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = _lock(path)
            try:
                _check_unbegun(path)  # of two that create it at once, one has the lock, and the other finds its recipe
                for left in (path / "checkpoints" / _START, path / "center.safetensors", path / "best.safetensors"):
                    left.unlink(missing_ok=True)  # of another recipe, perhaps
                storage.write_bytes(path / "recipe.toml", recipe.to_toml().encode())
                (path / "checkpoints").mkdir(exist_ok=True)
                return cls(path, recipe, lock)
            except BaseException:
                lock.close()
                raise
        except OSError as error:
            raise storage.write_error(path, error) from error

    @classmethod
    def open(cls, address: Address, overrides: Sequence[str] = ()) -> RunFolder:
        """A run that is there.

        Args:
            address: where it is.
            overrides: ``key=value`` words; only keys that leave the numbers as they are (`FREE`).

        Raises:
            RunError: it is not there, or another process works on it.
            RecipeError: an override would change the numbers.
            ArgumentError, MissingExtraError: there are no such addresses, or not without an extra.
        """
        path = located(address)
        if not isinstance(path, Path):
            from neuroplastic.experiment.remote import RemoteRun

            return RemoteRun.resume(path, overrides)
        recipe = recipe_of_run(path, overrides)
        try:
            (path / "checkpoints").mkdir(exist_ok=True)
            return cls(path, recipe)
        except OSError as error:
            raise storage.write_error(path, error) from error

    @classmethod
    def open_or_create(cls, address: Address, recipe: Recipe) -> RunFolder:
        """The run of that recipe at that address, which begins now if there is none: the same call before and after
        a crash, whenever that came.

        Args:
            address: where it is, or is to be.
            recipe: as resolved; its keys that leave the numbers as they are (`FREE`) hold from now on.

        Raises:
            RecipeError: there is a run of another recipe; names the keys that differ.
            RunError: another process works on it, or it cannot be written.
            ArgumentError, MissingExtraError: there are no such addresses, or not without an extra.
        """
        path = located(address)
        if isinstance(path, Path):
            begun = (path / "recipe.toml").is_file() and not _is_unbegun(path)
        else:
            from neuroplastic.experiment.remote import is_begun

            begun = is_begun(path)
        if not begun:
            return cls.create(path, recipe)
        folder = cls.open(path)
        try:
            return folder._under(recipe)
        except BaseException:
            folder.close()
            raise

    def _under(self, recipe: Recipe) -> Self:
        if recipe.fingerprint() != self.recipe.fingerprint():
            raise RecipeError(
                f"run {self.address}: expected a run of the same recipe, or none; it is one with "
                f"{', '.join(_differences(self.recipe, recipe))}; choose another place by --run"
            )
        self.recipe = recipe.model_copy(update={"versions": self.recipe.versions})  # those of its start
        return self

    def save_recipe(self) -> None:
        """Writes recipe.toml, with what was overridden.

        Raises:
            RunError: the disk is full or refuses.
        """
        storage.write_bytes(self.path / "recipe.toml", self.recipe.to_toml().encode())

    def log(self, metrics: Mapping[str, float]) -> None:
        """Appends one object to metrics.jsonl.

        Raises:
            RunError: the disk is full or refuses.
        """
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        line = json.dumps(finite).encode() + b"\n"  # JSON knows neither NaN nor infinity
        try:
            if self._metrics.write(line) < len(line):
                raise OSError(errno.ENOSPC, "cut")
        except OSError as error:
            raise storage.write_error(self.path / "metrics.jsonl", error) from error

    def checkpoint(self, learner: Learner, layout: Layout) -> None:
        """Saves the learner and its agents; older checkpoints than the last `KEEP` go.

        Raises:
            RunError: the disk is full or refuses; the checkpoints before are untouched.
        """
        try:
            os.fsync(self._metrics.fileno())  # a checkpoint is never ahead of its metrics
        except OSError as error:
            raise storage.write_error(self.path / "metrics.jsonl", error) from error
        state = learner.state_dict()
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        values = {name: value for name, value in state.items() if name not in tensors}
        file = self.path / "checkpoints" / f"{learner.generation:08d}.safetensors"
        storage.save(file, "checkpoint", tensors, {"values": values, "recipe": self.recipe.fingerprint()})
        self.save_agents(learner, layout)
        for old in self.checkpoints()[KEEP:]:
            old.unlink()

    def save_agents(self, learner: Learner, layout: Layout) -> None:
        """Writes center.safetensors and best.safetensors."""
        for name, found in learner.found().items():
            more = found.statistics, found.codec, found.parts
            agent = Agent(found.vector, self.recipe, layout, learner.generation, *more)
            agent.save(self.path / f"{name}.safetensors")

    def checkpoints(self) -> list[Path]:
        """Newest first."""
        return sorted((self.path / "checkpoints").glob("*.safetensors"), reverse=True)

    def restore(self, learner: Learner) -> list[str]:
        """Puts the learner where the newest sound checkpoint left it, and cuts the metrics back to there.

        Returns:
            What was found wrong on the way: one line for each damaged checkpoint.

        Raises:
            RunError: there are checkpoints, and none is sound.
        """
        wrong: dict[Path, str] = {}
        fresh = learner.state_dict()
        files = self.checkpoints()
        for file in files:
            try:
                tensors, meta = storage.load(file, "checkpoint")
                values = meta.get("values")
                state = {**tensors, **(values if isinstance(values, dict) else {})}
                if meta.get("recipe") != self.recipe.fingerprint():
                    raise DamagedFileError(f"{file}: it belongs to another recipe")
                learner.load_state_dict(state)
                break
            except (NeuroplasticError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
                wrong[file] = str(error) if isinstance(error, NeuroplasticError) else f"{file}: {error!r}"
                learner.load_state_dict(fresh)
        else:
            if files:
                raise RunError(f"run folder {self.path}: no checkpoint can be used:\n" + "\n".join(wrong.values()))
        for file in wrong:  # so that it is not counted among those that are kept
            file.rename(file.with_suffix(".damaged"))
        self._cut_metrics(learner.generation)
        return [*wrong.values()]

    def _cut_metrics(self, generations: int) -> None:
        """Keeps the lines of the first generations; what a crash cut or a resume will repeat goes."""
        lines = (self.path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        storage.write_bytes(self.path / "metrics.jsonl", b"".join(lines[:generations]))
        self._metrics.close()
        self._metrics = _append(self.path)

    def close(self) -> None:
        self._metrics.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_metrics(address: Address) -> list[dict[str, float]]:
    """The metrics of a run, one dict a generation; a last line that a crash cut is left out.

    Raises:
        RunError: there are none.
        DamagedFileError: of a remote run, what its manifest names is damaged or missing.
        ArgumentError, MissingExtraError: there are no such addresses, or not without an extra.
    """
    path = located(address)
    if not isinstance(path, Path):
        content = read_newest(path, lambda manifest: read_segments(path, manifest))
    elif (path / "metrics.jsonl").is_file():
        content = (path / "metrics.jsonl").read_bytes()
    else:
        raise RunError(f"run folder {path}: expected a metrics.jsonl in it; found none")
    metrics = []
    for line in content.splitlines():
        try:
            row = json.loads(line)
            metrics.append({name: math.nan if value is None else value for name, value in row.items()})
        except ValueError:
            break
    if not metrics:
        raise RunError(f"run {path}: it has no generation yet")
    return metrics


def _is_unbegun(path: Path) -> bool:
    """Whether a run may begin there: no generation is complete, and nothing else lies there."""
    if not path.is_dir():
        return not path.exists()
    names = {entry.name for entry in path.iterdir()}
    if names <= UNBEGUN:
        return True
    metrics, checkpoints = path / "metrics.jsonl", (path / "checkpoints").glob("*")
    return (
        names <= REFUSED
        and ".lock" in names  # a recipe.toml alone may be somebody's work
        and not (metrics.exists() and metrics.stat().st_size)
        and all(file.name == _START for file in checkpoints)
    )


def _check_unbegun(path: Path) -> None:
    if not _is_unbegun(path):
        raise RunError(
            f"run folder {path}: it exists and is not empty; go on with it by --resume {path}, "
            "or choose another by --run"
        )


def recipe_of_run(path: Path, overrides: Sequence[str]) -> Recipe:
    """The recipe of a run folder, with what may be overridden."""
    file = path / "recipe.toml"
    if not file.is_file():
        raise RunError(f"run folder {path}: expected a folder with a recipe.toml in it; found none")
    for word in overrides:
        if word.partition("=")[0].strip() not in FREE:
            raise RecipeError(f"override {word!r}: a run that goes on can only change {', '.join(FREE)}")
    return load_recipe(file, overrides)


def _differences(there: Recipe, here: Recipe) -> list[str]:
    """What tells two recipes apart, key by key."""
    a, b = (
        dict(_flat(recipe.model_dump(mode="json", exclude={"description", "versions"}, exclude_none=True)))
        for recipe in (there, here)
    )
    keys = [key for key in {**a, **b} if key not in FREE and a.get(key) != b.get(key)]
    return [f"{key} = {a.get(key, 'nothing')} there and {b.get(key, 'nothing')} here" for key in keys]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, json.dumps(value)


def _append(path: Path) -> FileIO:
    """metrics.jsonl, without a buffer that could still hold a line when the disk is full."""
    return (path / "metrics.jsonl").open("ab", buffering=0)


def _lock(path: Path):
    """Holds the folder for this process; the system lets go of it however the process ends."""
    file = (path / ".lock").open("w")
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise RunError(f"run folder {path}: another process is working on it") from error
    return file
