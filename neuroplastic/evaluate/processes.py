"""Trials run in worker processes, which may die or hang."""

from __future__ import annotations

import os
import pickle
import sys
import time
from contextlib import suppress
from multiprocessing import util
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, OrderError, WorkerError, check_range
from neuroplastic.evaluate.base import Evaluator, Progress, seeds_of_all
from neuroplastic.evaluate.trials import Trials, block_size, nonsense
from neuroplastic.evaluate.worker import Events, Worker
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation, Task
from neuroplastic.tasks.statistics import Statistics


class ProcessEvaluator(Evaluator):
    """Worker processes, started once, take blocks of members as they become free; the numbers are those of one process.

    A worker that dies or is late is replaced, and the members of its block are tried again one by one, so that the one
    at fault is found. A member that is alone at fault ``tries`` times is failed: its fitness is NaN.

    Attributes:
        faults: since the start: workers "killed" and "hung", and answers that were "nonsense".

    Args:
        task: what members are tried on; it is pickled.
        workers: processes, of one thread each.
        limit: seconds that the trials of one member may take; a block may take as many for each of its members.
        tries: times that a member may end its worker, and that as many workers as there are may fail to start in a row.
        warm_up: seconds more for a worker's first block: it compiles, and builds its environments.
        startup: seconds that a worker may take to start.

    Raises:
        ArgumentError: a number is out of range, or the task cannot be pickled.
        WorkerError: no process can be started.
    """

    def __init__(
        self,
        task: Task,
        workers: int,
        *,
        limit: float = 300.0,
        tries: int = 3,
        warm_up: float = 60.0,
        startup: float = 600.0,
    ) -> None:
        check_range("workers", workers, low=1)
        check_range("limit", limit, low=0, above=True)
        check_range("tries", tries, low=1)
        check_range("warm_up", warm_up, low=0)
        check_range("startup", startup, low=0, above=True)
        try:
            self._packed = pickle.dumps(task)
        except Exception as error:  # a part of the task may raise anything
            raise ArgumentError(
                f"task: expected one that can be pickled, to send it to workers; got {error}"
            ) from error
        self.task, self.workers = task, workers
        self.limit, self.tries, self.warm_up, self.startup = limit, tries, warm_up, startup
        self._faults = {"killed": 0, "hung": 0, "nonsense": 0}
        self.faults = MappingProxyType(self._faults)
        self._number = 0  # of the present evaluation
        self._unstarted = 0  # workers in a row
        self._events: Events = SimpleQueue()
        self._workers: list[Worker] = []
        # At exit this is done before multiprocessing waits for its processes, which weakref.finalize does not promise.
        self._end = util.Finalize(self, _end, (self._workers,), exitpriority=10)
        self._fill()

    def evaluate(
        self,
        population: Population,
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """As `Evaluator.evaluate`; ``progress`` is called at least twice a second, so that it can end a long wait.

        Raises:
            OrderError: the evaluator was closed.
            WorkerError: workers do not start.
            Exception: what the task raised in a worker. The evaluator can be used again.
        """
        if not self._end.still_active():
            raise OrderError("evaluate: expected an open evaluator; got one that was closed")
        self._number += 1
        seeds = seeds_of_all(population, seeds)
        size = block_size(len(population), self.task.batch, self.workers)
        trials = Trials(len(population), size, seeds.shape[1], self.tries)
        packed = pickle.dumps((population, seeds, shared))
        while trials.done < trials.members:
            for worker in [worker for worker in self._workers if worker.idle and worker.dead]:
                self._lose(worker, "killed", trials)
            self._fill()
            for worker in self._workers:
                if worker.idle and trials.waiting:
                    block = trials.waiting.popleft()
                    seconds = self.limit * len(block) + (0.0 if worker.warm else self.warm_up)
                    worker.send(block, self._number, packed, seconds)
            self._listen(trials)
            if progress is not None:
                progress(trials.done, trials.members)
        return trials.evaluation()

    @property
    def size(self) -> int:
        return self.workers

    def close(self) -> None:
        self._end()
        self.task.close()

    def _fill(self) -> None:
        while len(self._workers) < self.workers:
            self._workers.append(Worker(self._packed, self._events, self.startup))

    def _listen(self, trials: Trials) -> None:
        """Waits half a second at most for a worker to say something, to die or to be late."""
        busy = [worker for worker in self._workers if not worker.idle]
        left = min(worker.deadline for worker in busy) - time.monotonic()
        try:
            worker, message = self._events.get(timeout=min(max(left, 0.0), 0.5))
        except Empty:  # an answer that has come is never late
            for worker in busy:
                if worker.deadline <= time.monotonic():
                    self._lose(worker, "hung", trials)
            return
        if worker in self._workers:
            self._hear(worker, message, trials)

    def _hear(self, worker: Worker, message: bytes | None, trials: Trials) -> None:
        if message is None:
            return self._lose(worker, "killed", trials)
        answer = pickle.loads(message)
        if not worker.ready:
            if isinstance(answer, Exception):
                return self._lose(worker, "killed", trials, answer)
            worker.ready, self._unstarted = True, 0
            return
        block, worker.block, worker.warm = worker.block, None, True
        if block is None or worker.evaluation != self._number:  # of an evaluation that was given up
            return
        if isinstance(answer, Exception):
            raise answer
        if trials.fits(answer, block):
            return trials.end(block, answer)
        self._faults["nonsense"] += 1
        trials.lose(block, nonsense(answer))

    def _lose(self, worker: Worker, fault: str, trials: Trials, error: Exception | None = None) -> None:
        how = worker.end(seconds=1.0 if fault == "killed" else 0.0)
        self._workers.remove(worker)
        self._faults[fault] += 1
        if not worker.ready:
            self._unstarted += 1
            if self._unstarted >= self.tries * self.workers:
                self._unstarted = 0
                raise self._cannot_start(fault, how, error) from error
        elif worker.block is not None and worker.evaluation == self._number:
            reason = f"killed its worker ({how})" if fault == "killed" else f"did not end within {self.limit:g} s"
            trials.lose(worker.block, reason)

    def _cannot_start(self, fault: str, how: str, error: Exception | None) -> WorkerError:
        if error is not None:
            return WorkerError(f"workers cannot start: {type(error).__name__}: {error}")
        if fault == "hung":
            return WorkerError(f"workers do not start within {self.startup:g} s")
        return WorkerError(
            f"workers cannot start ({how}); above is what they say. A script that makes workers does it under "
            "if __name__ == '__main__', because every worker imports the script"
        )


def _end(workers: list[Worker]) -> None:
    """Asks those who have nothing to do, and kills the others and whoever takes long."""
    for worker in workers:
        worker.hang_up() if worker.idle else worker.process.kill()
    patience = time.monotonic() + 2.0
    for worker in workers:
        worker.end(patience - time.monotonic())
    workers.clear()


def cores() -> int:
    """Cores that this process may use: those it is bound to, but not more than its control group's quota."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        if (group / "cpu.max").exists():  # version 2: "200000 100000", or "max 100000"
            quota, period = (group / "cpu.max").read_text().split()
        else:  # version 1: -1 is no quota
            quota, period = ((group / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(quota) > 0:
            allowed = min(allowed, int(quota) // int(period))
    return max(allowed, 1)
