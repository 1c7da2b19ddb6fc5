"""A worker on a Ray cluster, and the driver's handle of it.

The driver puts what all trials of an evaluation share into Ray's object store once; a worker fetches it with the first
block that it gets of that evaluation, once for all workers of a node.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from neuroplastic.errors import require
from neuroplastic.evaluate.worker import THREADS, portable
from neuroplastic.tasks.base import Evaluation, Task

Events = SimpleQueue[tuple["Actor", range | None, Future[Any]]]
"""Who has answered, on which block (None: it has started), and what."""


class TrialServer:
    """What lives on the cluster: it builds the task once, then tries block after block."""

    def __init__(self, task: Task) -> None:
        task.layout  # noqa: B018  what cannot be built says so before the first block
        self._task, self._evaluation = task, 0
        self._trials: tuple[Any, ...] = ()
        gc.freeze()  # what is loaded stays; every collection would look through it again

    def begin(self) -> None:
        """Answered when all that was asked before is done: what is asked after it has begun."""

    def evaluate(self, start: int, stop: int, evaluation: int, trials: list[Any]) -> Evaluation | Exception:
        """Tries the members start <= i < stop.

        ``trials`` holds a reference to (population, seeds, shared); within a list, Ray does not fetch it unasked.
        """
        if evaluation != self._evaluation:
            self._trials = ()  # the last generation's memory goes before the next one's comes
            self._trials, self._evaluation = require("ray", "cluster").get(trials[0]), evaluation
        population, seeds, shared = self._trials
        try:
            return self._task.evaluate(population, range(start, stop), seeds[start:stop], shared)
        except Exception as error:
            return portable(error)


def server(cpus: float, gpus: float) -> Any:
    """The remote class. Ray neither restarts a worker nor repeats a call: the evaluator does, and counts."""
    environment: dict[str, str] = dict.fromkeys(THREADS, "1")
    if own := [path for path in sys.path if path and not path.startswith((sys.prefix, sys.base_prefix))]:
        environment["PYTHONPATH"] = os.pathsep.join([*own, "${PYTHONPATH}"])  # where a person's own modules are
    return require("ray", "cluster").remote(
        num_cpus=cpus,
        num_gpus=gpus,
        max_restarts=0,
        max_task_retries=0,
        runtime_env={"env_vars": environment},
    )(TrialServer)


class Actor:
    """A worker that is there, or that is to come when the cluster has room for it.

    Attributes:
        ready: it has built the task.
        warm: it has tried a block, so whatever is compiled or built on first use is there.
        block: the members that it is trying, of evaluation number ``evaluation``.
        since: when it got them, on the clock of `time.monotonic`.
        deadline: when it is late.
    """

    def __init__(self, make: Callable[[], Any], events: Events) -> None:
        self.ready = self.warm = False
        self.block: range | None = None
        self.evaluation = 0
        self.since, self.deadline = 0.0, math.inf
        self._events, self._handle = events, make()
        self._begun: Any = None
        self._expect(self._handle.begin.remote(), None)

    @property
    def idle(self) -> bool:
        return self.ready and self.block is None

    def send(self, block: range, evaluation: int, trials: Any, seconds: float) -> None:
        """Asks for the fitness of a block, to be answered within ``seconds``."""
        self.block, self.evaluation, self.since = block, evaluation, time.monotonic()
        self.deadline = self.since + seconds
        self._begun = self._handle.begin.remote()
        self._expect(self._handle.evaluate.remote(block.start, block.stop, evaluation, [trials]), block)

    def began(self) -> bool:
        """Whether it was still alive when it got its block; asked after its death."""
        try:
            require("ray", "cluster").get(self._begun, timeout=5.0)
        except Exception:  # whichever way it died
            return False
        return True

    def end(self) -> None:
        """Ends it by force; if its process is stopped, Ray's node kills it some seconds later."""
        with suppress(Exception):  # the cluster itself may be gone
            require("ray", "cluster").kill(self._handle, no_restart=True)

    def _expect(self, answer: Any, block: range | None) -> None:
        answer.future().add_done_callback(lambda future: self._events.put((self, block, future)))
