"""Worker processes against one process, with real faults."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import scripted_task as script
from outcomes import seeds

from neuroplastic.errors import ArgumentError, OrderError, WorkerError
from neuroplastic.evaluate.processes import ProcessEvaluator, cores


def pids() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid is not None}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_workers_that_are_late_to_start(tmp_path: Path, rng: np.random.Generator) -> None:
    with (
        ProcessEvaluator(script.Scripted(tmp_path), 1, tries=2, startup=0.01) as evaluator,
        pytest.raises(WorkerError, match="do not start within 0.01 s"),
    ):
        evaluator.evaluate(script.population([script.FINE], rng), seeds(rng))


def test_workers_have_one_thread(tmp_path: Path, rng: np.random.Generator) -> None:
    environment = dict(os.environ)
    with ProcessEvaluator(script.Threads(tmp_path), 1) as evaluator:
        tried = evaluator.evaluate(script.population([script.FINE], rng), seeds(rng, 1))
    assert tried.fitness.tolist() == [[1.0]]
    assert tried.measures["pool"].tolist() == [[2.0]]  # and the one that waits for the driver's death
    assert dict(os.environ) == environment


def test_closing_ends_all(tmp_path: Path, rng: np.random.Generator) -> None:
    """One has nothing to do, one is stopped in the middle of a trial, and one is starting."""
    before = pids()
    starting = ProcessEvaluator(script.Scripted(tmp_path), 1)
    starting.close()  # whatever multiprocessing opens once is open now
    files = open_files()
    evaluator = ProcessEvaluator(script.Scripted(tmp_path, batch=1), 2)
    members = script.population([script.FINE, script.WAIT], rng)

    def give_up(done: int, total: int) -> None:
        if done == 1 and (tmp_path / "at-1").exists():
            os.kill(int((tmp_path / "at-1").read_text()), signal.SIGSTOP)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator.evaluate(members, seeds(rng), progress=give_up)
    starting = ProcessEvaluator(script.Scripted(tmp_path), 1)
    ours = pids() - before
    assert len(ours) == 3
    for one in (starting, evaluator, evaluator):
        one.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in ours), "not even as zombies"
    assert open_files() == files
    with pytest.raises(OrderError, match="closed"):
        evaluator.evaluate(members, seeds(rng))


def test_a_forgotten_evaluator_ends_its_workers(tmp_path: Path) -> None:
    before = pids()
    evaluator = ProcessEvaluator(script.Scripted(tmp_path), 1)
    (pid,) = pids() - before
    del evaluator
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("argument", "value"), [("workers", 0), ("limit", 0), ("tries", 0), ("warm_up", -1), ("startup", 0)]
)
def test_numbers_out_of_range(tmp_path: Path, argument: str, value: int) -> None:
    with pytest.raises(ArgumentError, match=f"^{argument}: expected .*; got {value}"):
        ProcessEvaluator(script.Scripted(tmp_path), **({"workers": 1} | {argument: value}))


def test_a_task_that_cannot_be_sent(tmp_path: Path) -> None:
    task = script.Scripted(tmp_path)
    task.friend = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ArgumentError, match="task: expected one that can be pickled"):
        ProcessEvaluator(task, 1)


def test_cores_are_those_that_may_be_used() -> None:
    allowed = os.sched_getaffinity(0)
    assert 1 <= cores() <= len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
