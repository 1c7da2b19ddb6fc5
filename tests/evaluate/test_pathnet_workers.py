"""Rounds of paths on workers: the numbers of one process, whatever happens to a worker."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from outcomes import Strike, gone
from torch import Tensor
from waiting_paths import WaitingTeacher

from neuroplastic.errors import ArgumentError
from neuroplastic.evaluate.base import Evaluator
from neuroplastic.evaluate.cluster import ClusterEvaluator
from neuroplastic.evaluate.processes import ProcessEvaluator
from neuroplastic.learners.pathnet import PathNet, Stage, Tournament
from neuroplastic.pathnet import Descent, Linear, SuperNetwork
from neuroplastic.tasks.pathnet.control import ControlTask
from neuroplastic.tasks.pathnet.supervised import SupervisedTask
from neuroplastic.tasks.pathnet.teacher import Teacher
from neuroplastic.tasks.pathnet.training import Round, merged

pytestmark = pytest.mark.xdist_group("ray")
NETWORK = SuperNetwork.alike(4, [Linear(6)] * 2, 5)


@pytest.fixture(params=["processes", pytest.param("cluster", marks=pytest.mark.slow)])
def evaluator_of(request: pytest.FixtureRequest) -> Callable[..., Evaluator]:
    if request.param == "processes":
        return lambda task: ProcessEvaluator(task, 2, tries=2)
    address = request.getfixturevalue("cluster").address
    return lambda task: ClusterEvaluator(task, address, workers=2, cpus=0.25, tries=2)


def learner(folder: Path, seed: int, **options) -> PathNet:
    """Two tasks of two rounds each: one of examples, one of control."""
    draw = WaitingTeacher(Teacher(4, 3, 3, seed, seed + 1), folder)
    small = {"environments": 2, "moves": 5}
    tasks = [SupervisedTask("teacher", (4,), 3, draw, batch=4), ControlTask("CartPole-v1", **small)]
    tournament = Tournament(population=8, genes=2, steps=4, pairs=3, exchange="round")
    options = {"tournament": tournament, "descent": Descent("adam", 0.01), "seed": seed} | options
    return PathNet(NETWORK, [Stage(task, 2) for task in tasks], **options)


def state(pathnet: PathNet) -> dict:
    return {name: each.clone() if isinstance(each, Tensor) else each for name, each in pathnet.state_dict().items()}


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, Tensor):
            assert value.numpy().tobytes() == other[name].numpy().tobytes(), name
        else:
            assert value == other[name], name


@pytest.fixture
def seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def test_workers_that_die_in_the_middle_of_a_round_leave_no_trace(evaluator_of, tmp_path: Path, seed: int) -> None:
    alone, several = learner(tmp_path, seed), learner(tmp_path, seed)
    logs: tuple[list, list] = [], []
    while not alone.stopped:
        logs[0].append(alone.step())
    with evaluator_of(several.trials) as evaluator:
        several.evaluator = evaluator
        logs[1].append(several.step())
        (tmp_path / "wait").touch()
        several.progress = strike = Strike(tmp_path, 0, lambda pid: os.kill(pid, signal.SIGKILL))
        logs[1].append(several.step())
        assert strike.victim
        assert gone(strike.victim)
        assert evaluator.faults["killed"] == 1
        while not several.stopped:
            logs[1].append(several.step())
    same(state(alone), state(several))
    assert sum(metrics.get("fault_killed", 0) for metrics in logs[1]) == 1
    for one, other in zip(*logs, strict=True):
        other = {name: value for name, value in other.items() if not name.startswith("fault_")}
        np.testing.assert_equal(one | {"seconds": 0}, other | {"seconds": 0})


def test_a_round_that_is_interrupted_leaves_the_learner_as_it_was(evaluator_of, tmp_path: Path, seed: int) -> None:
    alone, several = learner(tmp_path, seed), learner(tmp_path, seed)
    (tmp_path / "wait").touch()

    def stop(done: int, total: int) -> None:
        if (tmp_path / "at-0").exists():
            raise KeyboardInterrupt

    before = state(several)
    with evaluator_of(several.trials) as evaluator:
        several.evaluator, several.progress = evaluator, stop
        with pytest.raises(KeyboardInterrupt):
            several.step()
        same(before, state(several))
        (tmp_path / "go").touch()
        several.progress = None
        several.step()
    alone.step()
    same(state(alone), state(several))


def test_a_path_that_always_kills_its_worker_loses_and_changes_nothing(tmp_path: Path, seed: int) -> None:
    pathnet = learner(tmp_path, seed)
    asked: list[tuple[Round, np.ndarray]] = []
    with ProcessEvaluator(pathnet.trials, 2, tries=2) as evaluator:
        right = evaluator.evaluate

        def evaluate(population, seeds, shared=None, progress=None):
            (tmp_path / "deadly").write_text(str(int(seeds[3, 0])))
            asked.append((population, seeds))
            return right(population, seeds, shared, progress)

        evaluator.evaluate = evaluate
        pathnet.evaluator = evaluator
        metrics = pathnet.step()
    assert metrics["fault_killed"] == 2
    (tmp_path / "deadly").unlink()
    ((paths, seeds),) = asked
    outcomes = [*pathnet.trials.evaluate(paths, range(6), seeds).outcomes]
    outcomes[3] = None
    for name, tensor in merged(NETWORK, paths, outcomes).items():
        assert torch.equal(pathnet.tensors[name], tensor), name
    assert metrics["steps"] == 5 * 4 * 4
    assert np.isfinite(pathnet.fitness).sum() == 3  # the winners of three pairs


def test_an_evaluator_takes_paths_that_are_trained_each_by_itself(tmp_path: Path) -> None:
    pathnet = learner(tmp_path, 1)
    with (
        ProcessEvaluator(pathnet.trials, 1) as evaluator,
        pytest.raises(ArgumentError, match="evaluator: expected none"),
    ):
        learner(tmp_path, 1, tournament=Tournament(8, 2, 4), evaluator=evaluator)
