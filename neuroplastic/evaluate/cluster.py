"""Trials run on a Ray cluster, whose workers and nodes may come and go."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from statistics import median
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import OrderError, WorkerError, check_range, require
from neuroplastic.evaluate.actors import Actor, Events, server
from neuroplastic.evaluate.base import Evaluator, Progress, seeds_of_all
from neuroplastic.evaluate.trials import Trials, block_size, nonsense
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation, Task
from neuroplastic.tasks.statistics import Statistics

LOG = logging.getLogger(__name__)

FAULTS = ("killed", "hung", "nonsense", "stragglers", "repeated", "waits", "full")

CENSUS = 1.0
"""Seconds from one look at the cluster's nodes to the next."""

PATIENCE = 10.0
"""Seconds without any worker after which the evaluator says that it waits."""

NODE_DIED = "its node has died"
"""What Ray's error says, and nothing else shows, if a worker was lost with its node: that is no fault of the task."""

SLOW = 2.0
"""A block that takes so many times as long as others do is tried by an idle worker, too."""


class ClusterEvaluator(Evaluator):
    """Ray actors take blocks of members as they become free; the numbers are those of one process.

    What a generation shares is sent once to each node. Whatever happens to workers and nodes, every member is tried to
    its end: a worker that dies, hangs or answers nonsense is replaced, and the members of its block are tried again one
    by one, so that the one at fault is found; a member that is alone at fault ``tries`` times is failed (NaN). A block
    that has not begun when its worker dies counts as never sent. When nothing is left to begin, a block that takes long
    is also given to an idle worker, and the first answer is taken: a trial's numbers depend on its genome, its seed and
    ``shared`` alone. With no worker left the evaluator waits for the cluster to have room again.

    Attributes:
        faults: since the start: workers "killed", "hung" and those that answered "nonsense"; "stragglers", blocks that
            were tried twice for being slow; "repeated", members tried more than once; "waits" for a cluster without
            workers; "full", times that the object store had no room for a generation.

    Args:
        task: what members are tried on; Ray pickles it.
        address: "auto" joins the cluster of a Ray job or of this machine, or else starts one here; an address such as
            "ray://host:10001" or "host:6379" joins that one. A cluster that this program has joined already is kept.
        workers: actors; None = as many as the cluster has room for, also when nodes come and go.
        cpus: cores that an actor takes in Ray's books; it computes in one thread.
        gpus: GPUs or a fraction of one that an actor takes.
        limit: seconds that the trials of one member may take; a block may take as many for each of its members.
        tries: times that a member may end its worker, and that as many workers as there are may fail to start in a row,
            those aside that are lost with their nodes.
        warm_up: seconds more for a worker's first block: it compiles, and builds its environments.
        note: told what a person wants to know, such as that there is no worker.

    Raises:
        ArgumentError: a number is out of range.
        MissingExtraError: Ray is not installed.
        WorkerError: there is no cluster at the address.
    """

    def __init__(
        self,
        task: Task,
        address: str = "auto",
        *,
        workers: int | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
        limit: float = 300.0,
        tries: int = 3,
        warm_up: float = 60.0,
        note: Callable[[str], None] = LOG.warning,
    ) -> None:
        check_range("workers", 1 if workers is None else workers, low=1)
        check_range("cpus", cpus, low=0, above=True)
        check_range("gpus", gpus, low=0)
        check_range("limit", limit, low=0, above=True)
        check_range("tries", tries, low=1)
        check_range("warm_up", warm_up, low=0)
        self._ray = require("ray", "cluster")
        self.task, self.workers, self.cpus, self.gpus = task, workers, cpus, gpus
        self.limit, self.tries, self.warm_up, self.note = limit, tries, warm_up, note
        self._faults: dict[str, int] = dict.fromkeys(FAULTS, 0)
        self.faults = MappingProxyType(self._faults)
        self._joined = join(address)
        self._server = server(cpus, gpus)
        self._task = self._ray.put(task)
        self._number = 0  # of the present evaluation
        self._trials = Trials(0, 1, 1, 1)
        self._running: dict[range, set[Actor]] = {}  # who is trying what
        self._unstarted = 0  # workers in a row
        self._events: Events = SimpleQueue()
        self._actors: set[Actor] = set()
        self._paces: deque[float] = deque(maxlen=99)  # seconds a member, of late
        self._census = self._working = time.monotonic()
        self._waiting = False
        self._open = True
        self._recruit()

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
        if not self._open:
            raise OrderError("evaluate: expected an open evaluator; got one that was closed")
        self._number += 1
        seeds = seeds_of_all(population, seeds)
        size = block_size(len(population), self.task.batch, max(1, len(self._actors)))
        self._running = {}
        self._trials = trials = Trials(len(population), size, seeds.shape[1], self.tries)

        def report() -> None:
            if progress is not None:
                progress(trials.done, trials.members)

        shared_by_all = self._put((population, seeds, shared), report)
        while trials.done < trials.members:
            if time.monotonic() >= self._census:
                self._recruit()
            self._assign(shared_by_all)
            self._listen()
            report()
        return trials.evaluation()

    @property
    def size(self) -> int:
        return max(1, len(self._actors))

    def close(self) -> None:
        if self._open:
            self._open = False
            for actor in self._actors:
                actor.end()
            self._actors.clear()
            self.task.close()
            if self._joined:
                self._ray.shutdown()

    def _put(self, trials: tuple[Any, ...], report: Callable[[], None]) -> Any:
        """Puts what all trials share into the object store, as soon as it has room."""
        full = (self._ray.exceptions.ObjectStoreFullError, self._ray.exceptions.OutOfDiskError)
        while True:
            try:
                return self._ray.put(trials)
            except full:
                self._faults["full"] += 1
                self.note("Ray's object store has no room for a generation: waiting for others to leave it")
                time.sleep(CENSUS)
                report()

    def _recruit(self) -> None:
        """Asks for as many actors as there is room for, and no longer for those that were to come on lost nodes."""
        self._census = time.monotonic() + CENSUS
        wanted = self.workers or max(1, room(self.cpus, self.gpus))  # one that waits makes an autoscaler bring a node
        while len(self._actors) < wanted:
            self._actors.add(Actor(lambda: self._server.remote(self._task), self._events))
        for actor in [actor for actor in self._actors if not actor.ready][: len(self._actors) - wanted]:
            self._dismiss(actor)

    def _assign(self, shared_by_all: Any) -> None:
        """Gives each idle actor a block: one that waits, or else one that takes another actor long."""
        idle = [actor for actor in self._actors if actor.idle]
        waiting = self._trials.waiting
        slow = deque() if waiting or not idle else self._slow()
        for actor in idle:
            if waiting:
                block = waiting.popleft()
            elif slow:
                block = slow.popleft()
                self._faults["stragglers"] += 1
                self._faults["repeated"] += len(block)
            else:
                break
            self._running.setdefault(block, set()).add(actor)
            seconds = self.limit * len(block) + (0.0 if actor.warm else self.warm_up)
            actor.send(block, self._number, shared_by_all, seconds)

    def _slow(self) -> deque[range]:
        """Blocks that one actor has been trying for long, longest first."""
        now, found = time.monotonic(), []
        for block, actors in self._running.items():
            usual = median(self._paces) * len(block) if self._paces else float("inf")
            since = min(actor.since for actor in actors)
            if len(actors) == 1 and now - since > max(1.0, SLOW * usual):
                found.append((since, block))
        return deque(block for _, block in sorted(found, key=lambda each: each[0]))

    def _listen(self) -> None:
        """Waits half a second at most for actors to say something, to die or to be late."""
        now = time.monotonic()
        left = min([actor.deadline for actor in self._actors if actor.block is not None], default=now + 1) - now
        try:
            self._hear(*self._events.get(timeout=min(max(left, 0.0), 0.5)))
            while True:  # whatever else has come
                self._hear(*self._events.get_nowait())
        except Empty:  # an answer that has come is never late
            pass
        now = time.monotonic()
        for actor in [actor for actor in self._actors if actor.block is not None and actor.deadline <= now]:
            self._lose(actor, "hung", f"did not end within {self.limit:g} s")
        if any(actor.ready for actor in self._actors):
            if self._waiting:
                self.note(f"workers are back after {now - self._working:.0f} s")
            self._working, self._waiting = now, False
        elif not self._waiting and now - self._working > PATIENCE:
            self._waiting = True
            self._faults["waits"] += 1
            places = room(self.cpus, self.gpus)
            self.note(f"no worker for {PATIENCE:.0f} s: waiting for the cluster, which reports room for {places}")

    def _hear(self, actor: Actor, block: range | None, future: Future[Any]) -> None:
        if actor not in self._actors:
            return
        error = future.exception()
        if block is None:
            if error is None:
                actor.ready, self._unstarted = True, 0
            else:
                self._dismiss(actor)
                if NODE_DIED not in str(error):
                    self._count_unstarted(error)
            return
        if error is not None:
            return self._lose(actor, "killed", "killed its worker")
        answer, current = future.result(), actor.evaluation == self._number and block in self._running
        if isinstance(answer, Exception):
            actor.block, actor.warm = None, True
            if current:
                raise answer
        elif current and not self._trials.fits(answer, block):
            self._lose(actor, "nonsense", nonsense(answer))
        else:
            seconds = time.monotonic() - actor.since
            actor.block = None
            if current:
                del self._running[block]
                self._trials.end(block, answer)
            if actor.warm:
                self._paces.append(seconds / len(block))
            actor.warm = True

    def _lose(self, actor: Actor, fault: str, reason: str) -> None:
        block, began = actor.block, fault != "killed" or actor.began()
        self._dismiss(actor)
        self._faults[fault] += 1
        if block is None or actor.evaluation != self._number or block not in self._running:
            return
        self._running[block].remove(actor)
        if self._running[block]:  # somebody else is trying it, too
            return
        del self._running[block]
        if began:
            self._faults["repeated"] += len(block)
            self._trials.lose(block, reason)
        else:
            self._trials.waiting.appendleft(block)

    def _dismiss(self, actor: Actor) -> None:
        self._actors.remove(actor)
        actor.end()
        self._census = 0.0  # look for another at once

    def _count_unstarted(self, error: BaseException) -> None:
        self._unstarted += 1
        if self._unstarted >= self.tries * max(1, len(self._actors) + 1):
            self._unstarted = 0
            raise WorkerError(f"workers cannot start on the cluster: {_last_line(error)}") from error


def join(address: str) -> bool:
    """Connects this program with a cluster; False if it was connected before.

    Raises:
        MissingExtraError: Ray is not installed.
        WorkerError: there is no cluster at the address.
    """
    ray = require("ray", "cluster")
    if ray.is_initialized():
        return False
    try:
        _knock(os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address)
        ray.init(
            None if address == "auto" else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False,  # of a cluster that starts here: it would take longer than the rest
        )
    except Exception as error:  # Ray raises ConnectionError, ValueError, RuntimeError and gRPC's own
        raise WorkerError(
            f"--cluster: expected 'auto' or the address of a Ray cluster, such as ray://host:10001; got {address!r}: "
            f"{_last_line(error)}"
        ) from error
    return True


def room(cpus: float, gpus: float) -> int:
    """Actors that the nodes of the cluster have room for, when nobody else uses them."""
    needs = {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}
    nodes = [node["Resources"] for node in require("ray", "cluster").nodes() if node["Alive"]]
    return sum(min(int(node.get(name, 0) / amount + 1e-9) for name, amount in needs.items()) for node in nodes)


@contextmanager
def gathered(address: str | None) -> Iterator[str | None]:
    """The address by which other processes join the cluster that this one joins, or starts, as long as this lasts.

    Raises:
        MissingExtraError: Ray is not installed.
        WorkerError: there is no cluster at the address.
    """
    if address is None:
        yield None
        return
    joined, ray = join(address), require("ray", "cluster")
    try:
        yield address if "://" in address else ray.get_runtime_context().gcs_address
    finally:
        if joined:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raises OSError if nobody listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10.0).close()


def _last_line(error: BaseException) -> str:
    """What the error says in the end: Ray puts a traceback before it."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1]}"
