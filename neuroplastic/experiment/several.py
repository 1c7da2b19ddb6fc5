"""Several runs side by side: recipes times seeds, on this machine's cores or on one cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from rich.console import Console

from neuroplastic.errors import NeuroplasticError, RecipeError, RunError, check_range
from neuroplastic.evaluate.cluster import gathered, room
from neuroplastic.evaluate.processes import cores
from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.loop import Stop, evolve
from neuroplastic.experiment.recipe import Recipe, load_recipe
from neuroplastic.experiment.report import PlainReporter
from neuroplastic.experiment.run import RunFolder

STOPPED = 130
"""Exit status of a run that was asked to stop."""


@dataclass(frozen=True)
class Planned:
    """A run to come: its name, its complete recipe and the address of its folder."""

    name: str
    recipe: Recipe
    folder: str


def plan(recipes: Sequence[str], overrides: Sequence[str], seeds: int, parent: str) -> list[Planned]:
    """A run for each recipe and seed, in a folder of its own: PARENT/RECIPE-seed1 and so on.

    Args:
        recipes: names or files.
        overrides: ``key=value`` words, for all of them.
        seeds: of each recipe: its own seed and those after it.
        parent: address of the folder that the runs' folders are made in.

    Raises:
        RecipeError: two runs would have the same folder.
        RecipeError, ArgumentError, SpaceError, MissingExtraError: what is wrong with a recipe, before any is run.
    """
    check_range("--seeds", seeds, low=1)
    runs: dict[str, Planned] = {}
    for named in recipes:
        recipe = load_recipe(named, overrides)
        for seed in range(recipe.seed, recipe.seed + seeds):
            name = f"{Path(named).stem}-seed{seed}"
            if name in runs:
                raise RecipeError(f"evolve: expected recipes of different names; got {Path(named).stem!r} twice")
            complete = checked(recipe.model_copy(update={"seed": seed}))
            runs[name] = Planned(name, complete, f"{parent.rstrip('/')}/{name}")
    return list(runs.values())


def evolve_several(runs: Sequence[Planned], cluster: str | None, console: Console) -> dict[str, int]:
    """Evolves all, as many at a time as there are workers for; each goes on from its folder if it was begun before.

    Runs at the same time have equal shares of the workers, so that none waits for another's long generation; their
    numbers do not depend on that. A run that fails leaves the others alone.

    Args:
        runs: what `plan` made.
        cluster: "auto" or the address of a Ray cluster; None = this machine.
        console: where their lines go, each after the run's name.

    Returns:
        Exit status of each run: 0 = complete, `STOPPED` = asked to stop, else failed. Those never begun have none.
    """
    chosen = [run.recipe.evaluate for run in runs]
    with gathered(cluster) as address:
        places = cores() if address is None else room(max(c.cpus for c in chosen), max(c.gpus for c in chosen))
        needed = max((c.workers for c in chosen if c.workers != "auto"), default=1)
        at_once = max(1, min(len(runs), places // needed))
        share = max(1, places // at_once)
        note = PlainReporter(console).note
        note(f"{len(runs)} runs, {at_once} at a time, {share} worker{'s' * (share > 1)} each")
        return _drive(runs, at_once, lambda run: _start(run, share, address), note)


def _drive(
    runs: Sequence[Planned], at_once: int, start: Callable[[Planned], SpawnProcess], note: Callable[[str], None]
) -> dict[str, int]:
    waiting, working, ended = deque(runs), dict[int, tuple[Planned, SpawnProcess]](), dict[str, int]()

    def tell(number: int) -> None:
        for _, process in working.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)

    with Stop(note) as stop:
        told = False
        while working or (waiting and not stop.asked):
            try:
                while waiting and len(working) < at_once and not stop.asked:
                    run = waiting.popleft()
                    process = start(run)
                    working[process.sentinel] = run, process
                if stop.asked and not told:
                    told = True
                    tell(signal.SIGTERM)
                for sentinel in wait(list(working), timeout=0.5):
                    run, process = working.pop(sentinel)  # pyright: ignore[reportArgumentType]
                    process.join()
                    ended[run.name] = process.exitcode or 0
            except KeyboardInterrupt:  # asked a second time
                tell(signal.SIGTERM)
    return ended


def _start(run: Planned, share: int, cluster: str | None) -> SpawnProcess:
    recipe = run.recipe
    if recipe.evaluate.workers == "auto":
        recipe = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"workers": share})})
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(run.name, recipe, run.folder, cluster), name=run.name
    )
    process.start()
    return process


class _NamedReporter(PlainReporter):
    def __init__(self, name: str) -> None:
        super().__init__(Console())
        self.name = name

    def note(self, text: str) -> None:
        for line in text.splitlines():
            super().note(f"{self.name}: {line}")


def _run(name: str, recipe: Recipe, address: str, cluster: str | None) -> None:
    """What the process of one run does."""
    import torch

    os.setpgrp()  # Ctrl-C is for the parent, which tells each of its runs once
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    reporter = _NamedReporter(name)
    try:
        with RunFolder.open_or_create(address, recipe) as folder:
            complete = evolve(folder, reporter, cluster)
        reporter.note("done" if complete else "stopped, with a checkpoint")
    except KeyboardInterrupt:
        reporter.note("stopped at once")
        sys.exit(STOPPED)
    except NeuroplasticError as error:
        reporter.note(f"{'not run' if isinstance(error, RunError) else 'failed'}: {error}")
        sys.exit(1)
    sys.exit(0 if complete else STOPPED)


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
