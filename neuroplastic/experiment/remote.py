"""A run whose folder is an address: an ordinary run folder here, published there with each checkpoint."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from neuroplastic.errors import RunError
from neuroplastic.experiment import storage
from neuroplastic.experiment.manifest import manifest_names, number_of
from neuroplastic.experiment.publisher import Publisher, Snapshot, TakenError, bring
from neuroplastic.experiment.recipe import Recipe
from neuroplastic.experiment.run import RunFolder, recipe_of_run
from neuroplastic.experiment.store import Store, StoreError
from neuroplastic.genome import Layout
from neuroplastic.learners.base import Learner

PATIENCE = 10.0
"""Seconds that a run that was ended by an error or by Ctrl-C waits for its last publication."""


class RemoteRun(RunFolder):
    """A `RunFolder` in a spool, which is a new one of this machine's temporary folders, and its publications.

    Publications go on beside the run, which never waits for one: of the checkpoints made meanwhile, the last is
    published next. One that fails is told once and tried again with each checkpoint. If the last one fails, the run
    ends with an error that says where the spool is, a run folder like any other; else the spool is removed.

    What lies at the address, and what two drivers of one run do to each other: see `publisher`.
    """

    def __init__(self, store: Store, spool: Path, recipe: Recipe, publisher: Publisher, wrong: Sequence[str]) -> None:
        super().__init__(spool, recipe)
        self.address = store.address
        self._publisher, self._wrong = publisher, wrong
        self._unpublished = self._taken = False  # the spool holds what is not there; because it is another's
        self._thread: Thread | None = None
        self._error: Exception | None = None  # that ended the thread
        self._told: Exception | None = None  # why publications fail, as far as a person knows
        self._litter_told = False

    @classmethod
    def begin(cls, store: Store, recipe: Recipe) -> RemoteRun:
        """A new run; see `RunFolder.create`.

        Raises:
            RunError: there is something already, or it cannot be written.
        """
        names = store.names(new=True)
        if manifest_names(names) or any(number_of(name) is None for name in names):
            raise RunError(
                f"run {store.address}: expected an address with nothing there; found {len(names)} objects; "
                f"go on with a run by --resume {store.address}, or choose another place by --run"
            )
        spool = _spool()
        try:
            storage.write_bytes(spool / "recipe.toml", recipe.to_toml().encode())
            publisher = Publisher(store)
            publisher.publish(Snapshot(recipe.to_toml().encode(), {}, {}, b""))
            return cls(store, spool, recipe, publisher, ())
        except BaseException:
            shutil.rmtree(spool)
            raise

    @classmethod
    def resume(cls, store: Store, overrides: Sequence[str] = ()) -> RemoteRun:
        """A run that is there, brought here; see `RunFolder.open`.

        Raises:
            RunError: it is not there, it cannot be read, or no checkpoint is sound.
            RecipeError: an override would change the numbers.
        """
        spool = _spool()
        try:
            publisher, wrong = bring(store, spool)
            return cls(store, spool, recipe_of_run(spool, overrides), publisher, wrong)
        except BaseException:
            shutil.rmtree(spool)
            raise

    def restore(self, learner: Learner) -> list[str]:
        """See `RunFolder.restore`; what was found wrong at the address comes first."""
        wrong = [*self._wrong, *super().restore(learner)]
        size = (self.path / "metrics.jsonl").stat().st_size
        self._publisher.go_back(size, [file.name for file in self.checkpoints()])
        return wrong

    def save_recipe(self) -> None:
        """Publishes the recipe, with what was overridden: from now on no other driver can publish.

        Raises:
            TakenError: another has, since this one looked.
            StoreError: the store refuses.
        """
        super().save_recipe()
        self._publisher.publish(self._snapshot())

    def checkpoint(self, learner: Learner, layout: Layout) -> None:
        """Saves to the spool, and begins to publish that unless a publication is still going on.

        Raises:
            RunError: the disk is full or refuses.
            TakenError: another driver works on the run.
        """
        super().checkpoint(learner, layout)
        self._unpublished = True
        if self._ended(0.0):
            self._start()

    def close(self) -> None:
        """Publishes the end of the run, then removes the spool.

        Raises:
            TakenError: another driver works on the run.
            RunError: it could not be published; says where the spool is.
        """
        try:
            self._finish(None)
        except KeyboardInterrupt:
            self.note(f"not everything is published; all of it lies in {self.path}, a run folder like any other")
            raise
        finally:
            self._leave()

    def __exit__(self, *ended: object) -> None:
        if ended[0] is None:
            return self.close()
        try:
            self._finish(PATIENCE)
        except RunError as late:  # what ended the run is what is raised
            self.note(str(late))
        finally:
            self._leave()

    def _leave(self) -> None:
        super().close()
        if self._thread is None and not self._unpublished:
            shutil.rmtree(self.path, ignore_errors=True)

    def _finish(self, seconds: float | None) -> None:
        """Publishes what is not published yet, in so many seconds at most."""
        if self._taken:
            return
        end = None if seconds is None else time.monotonic() + seconds
        if self._ended(seconds) and self._unpublished:
            self._start()
            self._ended(None if end is None else max(0.0, end - time.monotonic()))
        if self._unpublished:
            raise RunError(
                f"run {self.address}: its end could not be published ({self._told or 'the store does not answer'}); "
                f"all that was found lies in {self.path}, a run folder like any other: go on with it by "
                f"--resume {self.path}, or with what was published before by --resume {self.address}"
            )

    def _start(self) -> None:
        snapshot = self._snapshot()

        def attempt() -> None:
            try:
                self._publisher.publish(snapshot)
            except Exception as error:  # to be told or raised by the run's own thread
                self._error = error

        self._unpublished = False
        self._thread = Thread(target=attempt, name="publication", daemon=True)
        self._thread.start()

    def _ended(self, seconds: float | None) -> bool:
        """Waits so long for the publication that goes on, if one does, and tells what came of it; whether it ended."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._unpublished = True
            return False
        self._thread = None
        error, self._error = self._error, None
        self._unpublished |= error is not None
        if isinstance(error, TakenError):
            self._taken = True
            raise TakenError(f"{error}; what it found lies in {self.path}, a run folder like any other") from error
        if error is not None and not isinstance(error, StoreError):
            raise error
        if error is not None and self._told is None:
            self.note(f"{error}; the run goes on in {self.path}, and each checkpoint tries to publish it again")
        elif error is None and self._told is not None:
            self.note(f"{self.address}: published again")
        self._told = error
        if (litter := self._publisher.litter) is not None and not self._litter_told:
            self.note(f"{litter}; old objects stay there")
        self._litter_told = litter is not None
        return True

    def _snapshot(self) -> Snapshot:
        with (self.path / "metrics.jsonl").open("rb") as file:
            file.seek(self._publisher.offset)
            metrics = file.read()
        return Snapshot(
            self.recipe.to_toml().encode(),
            {file.name: file.read_bytes() for file in self.path.glob("*.safetensors")},
            {file.name: file.read_bytes() for file in self.checkpoints()[:1]},
            metrics,
        )


def is_begun(store: Store) -> bool:
    """Whether a run has begun at the address.

    Raises:
        StoreError: it cannot be listed.
    """
    return bool(manifest_names(store.names(new=True)))


def _spool() -> Path:
    try:
        spool = Path(tempfile.mkdtemp(prefix="neuroplastic-"))
        (spool / "checkpoints").mkdir()
    except OSError as error:
        raise RunError(f"spool: expected a folder for temporary files that can be written to; {error}") from error
    return spool
