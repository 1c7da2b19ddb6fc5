"""Workers that die, hang, raise and answer nonsense, for real: processes and Ray actors alike against one process."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scripted_task as script
import torch
from outcomes import Strike, ended, except_for, gone, same, seeds, serial

from neuroplastic.errors import ArgumentError, OrderError, WorkerError
from neuroplastic.evaluate.base import Evaluator
from neuroplastic.evaluate.cluster import ClusterEvaluator
from neuroplastic.evaluate.processes import ProcessEvaluator
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.rollout import RolloutTask
from neuroplastic.tasks.statistics import Statistics

pytestmark = pytest.mark.xdist_group("ray")
TRIES = 2


@pytest.fixture(scope="module", params=["processes", pytest.param("cluster", marks=pytest.mark.slow)])
def evaluator_of(request: pytest.FixtureRequest) -> Callable[..., Evaluator]:
    """Makes an evaluator of two workers. Actors take a quarter of a core each, so that several evaluators have room."""
    if request.param == "processes":
        return lambda task, **options: ProcessEvaluator(task, **({"workers": 2} | options))
    cluster = request.getfixturevalue("cluster")
    return lambda task, **options: ClusterEvaluator(task, cluster.address, **({"workers": 2, "cpus": 0.25} | options))


@pytest.fixture
def folder(workers, rng: np.random.Generator) -> Iterator[Path]:
    """Where the trials of one test leave their notes."""
    path = workers.task.folder
    yield path
    (path / "go").touch()  # somebody may still wait: who takes long is helped, and then nobody waits for its answer
    both_at_work(workers, path, rng)
    clear(path)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, evaluator_of: Callable[..., Evaluator]) -> Iterator[Evaluator]:
    """One evaluator for all faults: it has to be as good as new after each."""
    task = script.Scripted(tmp_path_factory.mktemp("notes"))
    with evaluator_of(task, tries=TRIES, warm_up=3.0) as evaluator:
        yield evaluator


def clear(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def both_at_work(workers: Evaluator, folder: Path, rng: np.random.Generator) -> set[int]:
    """The processes of both workers, once both are there and have nothing else to do."""
    pids: set[int] = set()
    while len(pids) < 2:
        workers.evaluate(script.population([script.NAP] * 6, rng), seeds(rng))
        pids = {int((folder / f"at-{member}").read_text()) for member in range(6)}
    return pids


@contextmanager
def impatience(workers, folder: Path, rng: np.random.Generator) -> Iterator[None]:
    """Two seconds a member, while somebody hangs. Elsewhere nobody is late, however slow the machine."""
    both_at_work(workers, folder, rng)
    clear(folder)
    patience, workers.limit = workers.limit, 2.0
    try:
        yield
    finally:
        workers.limit = patience


def test_cartpole_is_the_same_as_in_one_process(evaluator_of, rng: np.random.Generator) -> None:
    policy = partial(PlasticNetwork, hidden=[5], rule=HebbianRule(normaliser="max"))
    task = RolloutTask("CartPole-v1", policy, batch=4)
    members = DensePopulation(torch.from_numpy(rng.standard_normal((19, task.layout.size)).astype(np.float32)))
    births = seeds(rng)
    with SerialEvaluator(task) as one, evaluator_of(task, workers=3) as several:
        expected = one.evaluate(members, births)
        for _ in range(2):
            same(several.evaluate(members, births), expected)
        assert not several.faults["killed"] + several.faults["hung"]


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
    killed = workers.faults["killed"]
    strike = Strike(folder, 0, lambda pid: os.kill(pid, signal.SIGKILL))
    same(workers.evaluate(members, births, progress=strike), serial(members, births, folder))
    assert workers.faults["killed"] == killed + 1
    assert strike.victim
    assert gone(strike.victim)


def test_a_stopped_worker_is_replaced(workers, folder: Path, rng: np.random.Generator) -> None:
    members, births = script.population([script.WAIT] * 20, rng), seeds(rng)
    hung, expected = workers.faults["hung"], serial(members, births, folder)
    strike = Strike(folder, 3, lambda pid: os.kill(pid, signal.SIGSTOP))
    with impatience(workers, folder, rng):
        same(workers.evaluate(members, births, progress=strike), expected)
        assert strike.victim
        while not ended(strike.victim):  # its block may have been tried elsewhere, too, before it was late
            same(workers.evaluate(members, births), expected)
            time.sleep(0.1)
    assert workers.faults["hung"] > hung
    assert strike.victim not in both_at_work(workers, folder, rng)


def test_workers_killed_while_they_have_nothing_to_do(workers, folder: Path, rng: np.random.Generator) -> None:
    """Who is tried next is not to blame, not even if it is alone."""
    idle = both_at_work(workers, folder, rng)
    members, births = script.population([script.FINE], rng), seeds(rng)
    killed = workers.faults["killed"]
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    assert all(map(gone, idle))  # a signal needs a moment: until then a worker could be given the member, and blame it
    same(workers.evaluate(members, births), serial(members, births, folder))
    assert workers.faults["killed"] == killed + 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(script.CRASH, "killed its worker"), (script.STUCK, "did not end within 2 s")],
)
def test_a_member_that_always_ends_its_worker_fails_alone(
    workers, folder: Path, rng: np.random.Generator, fault: int, reason: str
) -> None:
    faults = [script.FINE] * 8
    culprit = int(rng.integers(8))
    faults[culprit] = fault
    members, births = script.population(faults, rng), seeds(rng, 3)
    with impatience(workers, folder, rng):
        tried = workers.evaluate(members, births)
    ((said, count),) = tried.failures.items()
    assert re.fullmatch(f"{reason}.*, {TRIES} times", said)
    assert count == 3
    same(tried, except_for(serial(members, births, folder), culprit, said))


@pytest.mark.parametrize("fault", [script.KILL_ONCE, script.HANG_ONCE])
def test_a_member_that_ends_its_worker_once_is_scored(
    workers, folder: Path, rng: np.random.Generator, fault: int
) -> None:
    faults = [script.FINE] * 8
    faults[int(rng.integers(8))] = fault
    members, births = script.population(faults, rng), seeds(rng)
    with impatience(workers, folder, rng):
        same(workers.evaluate(members, births), serial(members, births, folder))


def test_all_members_fail(workers, rng: np.random.Generator) -> None:
    tried = workers.evaluate(script.population([script.EXIT], rng), seeds(rng))
    np.testing.assert_array_equal(tried.fitness, [[np.nan, np.nan]])
    ((said, count),) = tried.failures.items()
    assert re.fullmatch(f"killed its worker.*, {TRIES} times", said)
    assert count == 2


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


def test_nonsense_is_tried_again(workers, folder: Path, rng: np.random.Generator) -> None:
    """Who always answers with it is failed."""
    faults = [script.FINE] * 7
    once, always = rng.permutation(7)[:2]
    faults[once], faults[always] = script.NONSENSE_ONCE, script.NONSENSE
    members, births = script.population(faults, rng), seeds(rng)
    tried = workers.evaluate(members, births)
    ((said, _),) = tried.failures.items()
    assert re.fullmatch(rf"answered with .*, {TRIES} times", said)
    same(tried, except_for(serial(members, births, folder), int(always), said))


def test_closed_is_closed(evaluator_of, tmp_path: Path, rng: np.random.Generator) -> None:
    evaluator = evaluator_of(script.Scripted(tmp_path))
    evaluator.close()
    evaluator.close()
    with pytest.raises(OrderError, match="closed"):
        evaluator.evaluate(script.population([script.FINE], rng), seeds(rng))


def test_a_task_that_workers_cannot_read(evaluator_of, tmp_path: Path, rng: np.random.Generator) -> None:
    with (
        evaluator_of(script.Unreadable(tmp_path), tries=1) as evaluator,
        pytest.raises(WorkerError, match="workers cannot start.*ImportError: no module named 'moon'"),
    ):
        evaluator.evaluate(script.population([script.FINE], rng), seeds(rng))


def test_workers_have_one_thread(evaluator_of, tmp_path: Path, rng: np.random.Generator) -> None:
    environment = dict(os.environ)
    with evaluator_of(script.Threads(tmp_path)) as evaluator:
        tried = evaluator.evaluate(script.population([script.FINE], rng), seeds(rng, 1))
    assert tried.fitness.tolist() == [[1.0]]
    assert dict(os.environ) == environment


@pytest.mark.parametrize(("argument", "value"), [("workers", 0), ("limit", 0), ("tries", 0), ("warm_up", -1)])
def test_numbers_out_of_range(evaluator_of, tmp_path: Path, argument: str, value: int) -> None:
    with pytest.raises(ArgumentError, match=f"^{argument}: expected .*; got {value}"):
        evaluator_of(script.Scripted(tmp_path), **{argument: value})
