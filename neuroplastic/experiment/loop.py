"""The one loop: every learner is driven by it, from its first generation or from where it stopped."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Protocol

from neuroplastic.errors import RecipeError, RunError
from neuroplastic.experiment.cost import Cost
from neuroplastic.experiment.kinds import KINDS
from neuroplastic.experiment.run import RunFolder
from neuroplastic.experiment.versions import versions
from neuroplastic.learners.base import Learner


class Reporter(Protocol):
    """Who tells the person how it goes."""

    def begin(self, cost: Cost, learner: Learner, generations: int) -> None: ...
    def members(self, done: int, total: int) -> None: ...
    def generation(self, metrics: Mapping[str, float]) -> None: ...
    def note(self, text: str) -> None: ...


class Stopped(Exception):
    """Somebody asked to stop, and nothing is half done."""


class Stop:
    """Turns Ctrl-C and SIGTERM into `Stopped` at moments when nothing is half done; a second one ends at once."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self.asked, self.note = False, note

    def check(self) -> None:
        """Raises `Stopped` if somebody asked to stop."""
        if self.asked:
            raise Stopped

    def __enter__(self) -> Stop:
        signals = (signal.SIGINT, signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread():  # no other thread may handle signals
            signals = ()
        self._before = {number: signal.signal(number, self._ask) for number in signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self.note("stopping when the present batch is done; Ctrl-C again stops at once")


def evolve(folder: RunFolder, reporter: Reporter, cluster: str | None = None) -> bool:
    """Runs the folder's recipe to its last generation, from its newest checkpoint if it has one.

    Args:
        folder: the run.
        reporter: tells the person how it goes.
        cluster: "auto" or the address of a Ray cluster; None = this machine. The numbers are the same.

    Returns:
        True when the run is complete, or its search says that going on is pointless; False when it was asked to stop,
        with a checkpoint of all it found.

    Raises:
        RecipeError, ArgumentError, SpaceError, MissingExtraError: before work starts.
        TrialError, DivergenceError, WorkerError: the search cannot go on; the generations before are saved.
        RecipeError: the run has more generations already.
        RunError: the disk is full, or no checkpoint can be used; older checkpoints are untouched.
    """
    recipe = folder.recipe
    folder.note = reporter.note
    stop = Stop(reporter.note)

    def progress(done: int, total: int) -> None:
        reporter.members(done, total)
        stop.check()

    with KINDS[recipe.kind].job(recipe, cluster, progress, reporter.note) as job, stop:
        learner = job.learner
        for line in folder.restore(learner):
            reporter.note(f"{line}; the checkpoint before it is used")
        if learner.generation > recipe.generations:
            raise RecipeError(f"generations: expected at least the {learner.generation} done; got {recipe.generations}")
        folder.save_recipe()
        present = versions(getattr(recipe, "device", "cpu"))
        changed = {name for name, version in present.items() if recipe.versions.get(name) != version}
        if changed and learner.generation:
            reporter.note(
                f"other versions than at the start ({', '.join(sorted(changed))}): numbers may differ by them"
            )
        if learner.generation < recipe.generations:
            reporter.begin(job.cost(), learner, recipe.generations)

        saved = time.monotonic()
        try:
            while learner.generation < recipe.generations:
                if learner.stopped:
                    reporter.note(f"the search ends at generation {learner.generation}: {learner.stopped}")
                    break
                stop.check()
                metrics = learner.step()
                folder.log(metrics)
                reporter.generation(metrics)
                if time.monotonic() - saved >= recipe.checkpoint_seconds:
                    folder.checkpoint(learner, job.layout)
                    saved = time.monotonic()
        except Stopped:
            folder.checkpoint(learner, job.layout)
            return False
        except RunError:  # the disk refused: there is nowhere to save to
            raise
        except (Exception, SystemExit):  # whatever it was: a learner changes only when a generation is complete
            folder.checkpoint(learner, job.layout)
            raise
        folder.checkpoint(learner, job.layout)
        return True
