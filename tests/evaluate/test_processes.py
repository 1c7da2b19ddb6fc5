"""Worker processes against one process, with real faults."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scripted_task as script
import torch

from neuroplastic.errors import ArgumentError, OrderError, WorkerError
from neuroplastic.evaluate.processes import ProcessEvaluator, cores
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.rollout import RolloutTask
from neuroplastic.tasks.statistics import Statistics

TRIES = 2


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, workers: ProcessEvaluator) -> Iterator[Path]:
    """Where the trials of one test leave their notes."""
    assert isinstance(workers.task, script.Scripted)
    path = workers.task.folder
    yield path
    for file in path.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessEvaluator]:
    """One evaluator for all faults: it has to be as good as new after each."""
    task = script.Scripted(tmp_path_factory.mktemp("notes"))
    with ProcessEvaluator(task, 2, limit=1.0, tries=TRIES, warm_up=0.0) as evaluator:
        yield evaluator


def seeds(rng: np.random.Generator, episodes: int = 2) -> np.ndarray:
    return rng.integers(2**62, size=episodes)


def same(one: Evaluation, other: Evaluation) -> None:
    """Bit for bit."""
    assert list(one.measures) == list(other.measures)
    pairs = [(one.fitness, other.fitness), (one.steps, other.steps)]
    pairs += [(one.measures[name], other.measures[name]) for name in one.measures]
    assert (one.statistics is None) == (other.statistics is None)
    if one.statistics is not None and other.statistics is not None:
        pairs += zip(vars(one.statistics).values(), vars(other.statistics).values(), strict=True)
    for mine, theirs in pairs:
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        assert mine.tobytes() == theirs.tobytes()
    assert one.failures == other.failures


def serial(population: DensePopulation, seeds: np.ndarray, folder: Path, **options) -> Evaluation:
    """What comes when nothing goes wrong."""
    fine = torch.where(population.matrix[:, 1:] == script.FAIL, script.FAIL, script.FINE)
    harmless = DensePopulation(torch.cat([population.matrix[:, :1], fine.to(torch.float32)], dim=1))
    with SerialEvaluator(script.Scripted(folder)) as evaluator:
        return evaluator.evaluate(harmless, seeds, **options)


def except_for(expected: Evaluation, member: int, reason: str) -> Evaluation:
    """``expected``, but one member has failed."""
    for values in (expected.fitness, *expected.measures.values()):
        values[member] = np.nan
    expected.steps[member] = 0
    assert expected.statistics is not None
    for values in vars(expected.statistics).values():
        values[member] = 0
    return Evaluation(
        expected.fitness,
        expected.steps,
        expected.measures,
        {reason: expected.fitness.shape[1]},
        expected.statistics,
    )


def pids() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid is not None}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Strike:
    """Does something to the process that tries a member, in the middle of it, and lets all who wait go on."""

    def __init__(self, folder: Path, member: int, strike: Callable[[int], None]) -> None:
        self.folder, self.member, self.strike = folder, member, strike
        self.victim = 0

    def __call__(self, done: int, total: int) -> None:
        note = self.folder / f"at-{self.member}"
        if not self.victim and note.exists():
            self.victim = int(note.read_text())
            self.strike(self.victim)
            (self.folder / "go").touch()


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_cartpole_is_the_same_as_in_one_process(rng: np.random.Generator, count: int) -> None:
    policy = partial(PlasticNetwork, hidden=[5], rule=HebbianRule(normaliser="max"))
    task = RolloutTask("CartPole-v1", policy, batch=4)
    members = DensePopulation(torch.from_numpy(rng.standard_normal((19, task.layout.size)).astype(np.float32)))
    births = seeds(rng)
    with SerialEvaluator(task) as one, ProcessEvaluator(task, count) as several:
        expected = one.evaluate(members, births)
        for _ in range(2):
            same(several.evaluate(members, births), expected)
        assert several.faults == {"killed": 0, "hung": 0}


def test_blocks_statistics_and_progress(workers, folder: Path, rng: np.random.Generator) -> None:
    faults = [script.FINE] * 23
    faults[7] = script.FAIL  # a trial that the task has failed itself
    members, births, told = script.population(faults, rng), rng.integers(2**62, size=(23, 3)), []
    shared = Statistics(np.array(4.0), rng.standard_normal(5), np.ones(5))
    tried = workers.evaluate(members, births, shared, lambda done, total: told.append((done, total)))
    same(tried, serial(members, births, folder, shared=shared))
    assert np.isnan(tried.fitness[7]).all()
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert done[-1] == 23
    assert {total for _, total in told} == {23}


def test_a_worker_killed_in_the_middle_is_replaced(workers, folder: Path, rng: np.random.Generator) -> None:
    members, births = script.population([script.WAIT] * 20, rng), seeds(rng)
    before, killed = pids(), workers.faults["killed"]
    strike = Strike(folder, 0, lambda pid: os.kill(pid, signal.SIGKILL))
    same(workers.evaluate(members, births, progress=strike), serial(members, births, folder))
    assert workers.faults["killed"] == killed + 1
    assert strike.victim in before
    assert strike.victim not in pids()
    assert len(pids()) == 2


def test_a_stopped_worker_is_replaced(workers, folder: Path, rng: np.random.Generator) -> None:
    members, births = script.population([script.WAIT] * 20, rng), seeds(rng)
    hung = workers.faults["hung"]
    strike = Strike(folder, 3, lambda pid: os.kill(pid, signal.SIGSTOP))
    same(workers.evaluate(members, births, progress=strike), serial(members, births, folder))
    assert workers.faults["hung"] > hung
    assert strike.victim not in pids()


def test_workers_killed_while_they_have_nothing_to_do(workers, folder: Path, rng: np.random.Generator) -> None:
    """Who is tried next is not to blame, not even if it is alone."""
    both = Strike(folder, 3, lambda pid: None)  # the first block waits until the second is under way, too
    workers.evaluate(script.population([script.WAIT] * 6, rng), seeds(rng), progress=both)
    members, births = script.population([script.FINE], rng), seeds(rng)
    killed = workers.faults["killed"]
    idle = pids()
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    for pid in idle:  # a signal needs a moment: until then a worker could be given the member, and blame it
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    same(workers.evaluate(members, births), serial(members, births, folder))
    assert workers.faults["killed"] == killed + 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(script.CRASH, "killed its worker (signal 11, Segmentation fault)"), (script.STUCK, "did not end within 1 s")],
)
def test_a_member_that_always_ends_its_worker_fails_alone(
    workers, folder: Path, rng: np.random.Generator, fault: int, reason: str
) -> None:
    faults = [script.FINE] * 8
    culprit = int(rng.integers(8))
    faults[culprit] = fault
    members, births = script.population(faults, rng), seeds(rng, 3)
    expected = except_for(serial(members, births, folder), culprit, f"{reason}, {TRIES} times")
    same(workers.evaluate(members, births), expected)


@pytest.mark.parametrize("fault", [script.KILL_ONCE, script.HANG_ONCE])
def test_a_member_that_ends_its_worker_once_is_scored(
    workers, folder: Path, rng: np.random.Generator, fault: int
) -> None:
    faults = [script.FINE] * 8
    faults[int(rng.integers(8))] = fault
    members, births = script.population(faults, rng), seeds(rng)
    same(workers.evaluate(members, births), serial(members, births, folder))


def test_all_members_fail(workers, rng: np.random.Generator) -> None:
    tried = workers.evaluate(script.population([script.EXIT], rng), seeds(rng))
    np.testing.assert_array_equal(tried.fitness, [[np.nan, np.nan]])
    assert tried.failures == {f"killed its worker (exit status 3), {TRIES} times": 2}


def test_what_the_task_raises_is_raised(workers, folder: Path, rng: np.random.Generator) -> None:
    with pytest.raises(ArgumentError, match="expected sense; got none") as caught:
        workers.evaluate(script.population([script.RAISE], rng), seeds(rng))
    assert "in suffer" in caught.value.__notes__[0]  # where it was raised
    with pytest.raises(WorkerError, match="StrangeError: 7: odd"):
        workers.evaluate(script.population([script.STRANGE], rng), seeds(rng))
    members, births = script.population([script.FINE] * 5, rng), seeds(rng)
    same(workers.evaluate(members, births), serial(members, births, folder))


def test_an_evaluation_that_is_given_up_leaves_no_trace(workers, folder: Path, rng: np.random.Generator) -> None:
    """Its late answers come while the next one is under way, which has other members and fewer of them."""

    class Enough(Exception):
        pass

    def give_up(done: int, total: int) -> None:
        if (folder / "at-0").exists() and (folder / "at-3").exists():
            raise Enough

    with pytest.raises(Enough):
        workers.evaluate(script.population([script.WAIT] * 12, rng), seeds(rng), progress=give_up)
    (folder / "go").touch()
    members, births = script.population([script.WAIT] * 7, rng), seeds(rng, 1)
    same(workers.evaluate(members, births), serial(members, births, folder))


def test_progress_is_told_while_nothing_ends(workers, folder: Path, rng: np.random.Generator) -> None:
    class Enough(Exception):
        pass

    def give_up(done: int, total: int) -> None:
        if (folder / "at-0").exists():
            assert done == 0
            raise Enough

    with pytest.raises(Enough):
        workers.evaluate(script.population([script.WAIT], rng), seeds(rng), progress=give_up)
    (folder / "go").touch()


def test_a_task_that_workers_cannot_read(tmp_path: Path, rng: np.random.Generator) -> None:
    task = script.Unreadable(tmp_path)
    with (
        ProcessEvaluator(task, 2, tries=1) as evaluator,
        pytest.raises(WorkerError, match="workers cannot start: ImportError: no module named 'moon'"),
    ):
        evaluator.evaluate(script.population([script.FINE], rng), seeds(rng))


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
