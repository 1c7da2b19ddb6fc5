"""A worker process, and the driver's handle of it.

The driver sends the task, and the worker answers None when it has built it. From then on every request is a block of
members, with the population, seeds and statistics if the worker has not seen them yet; every answer is an
`Evaluation`, or the exception that the task raised. Nothing heavy is imported here, so that a worker knows within
milliseconds what to do when its driver dies.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from neuroplastic.errors import WorkerError

if TYPE_CHECKING:
    from neuroplastic.tasks.base import Task

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Sent to the whole process group; the driver decides what they mean."""

Events = SimpleQueue[tuple["Worker", bytes | None]]
"""Who says what; None when it is dead."""


class Worker:
    """A process, and a thread of the driver that talks with it: a stopped worker holds up nobody else.

    Attributes:
        ready: it has built the task.
        warm: it has tried a block, so whatever is compiled or built on first use is there.
        block: the members that it is trying, of evaluation number ``evaluation``.
        evaluation: whose population it has.
        deadline: when it is late, on the clock of `time.monotonic`.

    Raises:
        WorkerError: the system refuses another process.
    """

    def __init__(self, task: bytes, events: Events, seconds: float) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.ready = self.warm = False
        self.block: range | None = None
        self.evaluation = 0
        self.deadline = time.monotonic() + seconds
        self._requests: SimpleQueue[bytes | None] = SimpleQueue()
        ours, theirs = spawn.Pipe()
        # The kernel ties a child to the thread that started it, and only the main thread lasts as long as the driver.
        tied = threading.current_thread() is threading.main_thread()
        self.process = spawn.Process(target=work, args=(theirs, tied), name="neuroplastic worker")
        try:
            with _inherited():
                self.process.start()
        except OSError as error:
            ours.close()
            raise WorkerError(f"no worker process can be started: {error}") from error
        finally:
            theirs.close()
        self._requests.put(task)
        self._thread = threading.Thread(target=self._talk, args=(ours, events), daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        return self.ready and self.block is None

    @property
    def dead(self) -> bool:
        return not self.process.is_alive()

    def send(self, block: range, evaluation: int, trials: bytes, seconds: float) -> None:
        """Asks for the fitness of a block, to be answered within ``seconds``."""
        self._requests.put(pickle.dumps((block, trials if self.evaluation != evaluation else None)))
        self.block, self.evaluation = block, evaluation
        self.deadline = time.monotonic() + seconds

    def hang_up(self) -> None:
        """Asks it to end; it does when it has nothing to do."""
        self._requests.put(None)

    def end(self, seconds: float = 0.0) -> str:
        """Ends it, after ``seconds`` by force; says how it ended."""
        self.hang_up()
        self.process.join(max(0.0, seconds))
        self.process.kill()
        self.process.join()
        if threading.current_thread() is not self._thread:  # the garbage collector may end a worker from anywhere
            self._thread.join(1.0)  # without a limit it would wait for what a trial has started and left behind
        code = self.process.exitcode or 0
        self.process.close()
        return f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit status {code}"

    def _talk(self, connection: Connection, events: Events) -> None:
        with connection, suppress(OSError, EOFError):
            while (request := self._requests.get()) is not None:
                connection.send_bytes(request)
                events.put((self, connection.recv_bytes()))
            return
        events.put((self, None))


@contextmanager
def _inherited() -> Iterator[None]:
    """While it lasts, a process that is started has one thread for each library, and `SIGNALS` wait for its orders."""
    resource_tracker.ensure_running()  # it would be started with the first process, and unblock the signals
    before = {name: os.environ.get(name) for name in THREADS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def work(connection: Connection, tied: bool) -> None:
    """What a worker process does, until the driver hangs up or dies."""
    if tied and sys.platform == "linux":  # also a worker that is stopped, or stuck where no thread can run
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    threading.Thread(target=_end_with_driver, daemon=True).start()
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)  # SIG_IGN would be passed on to what an environment starts
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    with suppress(OSError, EOFError):  # the driver has hung up
        _serve(connection)


def _serve(connection: Connection) -> None:
    def answer(message: Any) -> None:
        connection.send_bytes(pickle.dumps(message))

    packed = connection.recv_bytes()
    try:
        task: Task = pickle.loads(packed)
        task.layout  # noqa: B018
    except Exception as error:
        return answer(portable(error))
    gc.freeze()  # what is loaded stays; every collection would look through it again
    answer(None)
    trials: tuple[Any, ...] = ()
    try:
        while True:
            request = connection.recv_bytes()
            try:
                block, packed = pickle.loads(request)
                if packed is not None:
                    trials = pickle.loads(packed)
                population, seeds, shared = trials
                answer(task.evaluate(population, block, seeds[block.start : block.stop], shared))
            except Exception as error:
                answer(portable(error))
    finally:
        task.close()


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


def portable(error: Exception) -> Exception:
    """The exception, or if it cannot be sent one that says the same; with the worker's traceback as a note."""
    where = "".join(traceback.format_exception(error))
    try:
        error = pickle.loads(pickle.dumps(error))
    except Exception:
        error = WorkerError(f"{type(error).__name__}: {error}")
    error.add_note(f"In a worker process:\n{where}")
    return error
