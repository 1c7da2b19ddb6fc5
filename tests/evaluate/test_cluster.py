"""A Ray cluster whose nodes come and go, against one process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import scripted_task as script
import torch
from outcomes import same, seeds, serial

from neuroplastic.errors import WorkerError
from neuroplastic.evaluate import cluster as module
from neuroplastic.evaluate.cluster import ClusterEvaluator
from neuroplastic.search.base import DensePopulation

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def workers(tmp_path: Path, cluster, notes: list[str]) -> Iterator[ClusterEvaluator]:
    """As many as there is room for."""
    with ClusterEvaluator(script.Scripted(tmp_path), cluster.address, limit=300.0, note=notes.append) as evaluator:
        yield evaluator


def in_turn(*strikes: tuple[Callable[[int], bool], Callable[[], object]]) -> Callable[[int, int], None]:
    """Progress that strikes in this thread, each time once: (when, told how many members are done; what is done)."""
    left = list(strikes)

    def progress(done: int, total: int) -> None:
        if left and left[0][0](done):
            left.pop(0)[1]()

    return progress


def leave(cluster) -> None:
    """Kills the raylets of all nodes but the head."""
    for node in list(cluster.worker_nodes):
        cluster.remove_node(node, allow_graceful=False)


def slow(members: int, rng: np.random.Generator) -> DensePopulation:
    """Members that take a tenth of a second each."""
    return script.population([script.NAP] * members, rng)


def at_work(folder: Path) -> set[str]:
    """The processes that have tried members."""
    return {file.read_text() for file in folder.glob("at-*")}


def test_a_node_that_is_killed(workers, cluster, rng: np.random.Generator, tmp_path: Path) -> None:
    """What its worker was trying is tried elsewhere; nobody else is free to help before its death is known."""
    node = cluster.add_node(num_cpus=1)
    members, births = script.population([script.WAIT] * 60, rng), seeds(rng)
    progress = in_turn(
        (lambda done: len(at_work(tmp_path)) >= 3, lambda: cluster.remove_node(node, allow_graceful=False)),  # SIGKILL
        (lambda done: workers.faults["killed"] > 0, (tmp_path / "go").touch),
    )
    same(workers.evaluate(members, births, progress=progress), serial(members, births, tmp_path))
    assert workers.faults["killed"] == 1
    assert workers.faults["repeated"] >= workers.task.batch


def test_a_node_that_joins(workers, cluster, rng: np.random.Generator, tmp_path: Path) -> None:
    """Its cores are used in the generation that is under way."""
    members, births, joined = script.population([script.WAIT] * 60, rng), seeds(rng), []
    progress = in_turn(
        (lambda done: len(at_work(tmp_path)) >= 2, lambda: joined.append(cluster.add_node(num_cpus=1))),
        (lambda done: len(at_work(tmp_path)) >= 3, (tmp_path / "go").touch),
    )
    same(workers.evaluate(members, births, progress=progress), serial(members, births, tmp_path))
    cluster.remove_node(joined[0])


def test_all_workers_gone_for_a_while(
    workers, cluster, notes: list[str], rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, says so, and goes on."""
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    members, births = slow(60, rng), seeds(rng)
    workers.evaluate(slow(2, rng), births)
    waits = workers.faults["waits"]
    progress = in_turn(
        (bool, lambda: leave(cluster)),
        (lambda done: workers.faults["waits"] > waits, lambda: cluster.add_node(num_cpus=2)),
    )
    same(workers.evaluate(members, births, progress=progress), serial(members, births, tmp_path))
    assert workers.faults["waits"] == waits + 1
    assert notes[-2].startswith("no worker for 1 s: waiting for the cluster, which reports room for ")
    assert notes[-1].startswith("workers are back after ")


def test_nodes_that_die_while_workers_start_there(cluster, rng: np.random.Generator, tmp_path: Path) -> None:
    """However many are lost with them: that does not count among the starts that failed."""
    members, births = script.population([script.FINE] * 5, rng), seeds(rng)

    def back() -> None:
        (tmp_path / "go").touch()
        cluster.add_node(num_cpus=2)

    with ClusterEvaluator(script.Late(tmp_path), cluster.address, tries=1) as evaluator:
        assert evaluator.size == 2
        progress = in_turn(
            (lambda done: len(at_work(tmp_path)) == 2, lambda: leave(cluster)),
            (lambda done: evaluator.size == 1, back),  # it asks for one, and waits
        )
        same(evaluator.evaluate(members, births, progress=progress), serial(members, births, tmp_path))


def test_who_takes_long_is_helped(workers, rng: np.random.Generator, tmp_path: Path) -> None:
    """One member sleeps for ever where it is tried first; nobody waits until it is late."""
    faults = [script.NAP] * 12
    faults[int(rng.integers(12))] = script.HANG_ONCE
    members, births = script.population(faults, rng), seeds(rng)
    workers.evaluate(slow(12, rng), births)  # from here on it knows how long a member takes
    same(workers.evaluate(members, births), serial(members, births, tmp_path))
    assert workers.faults["stragglers"] >= 1
    assert not workers.faults["hung"]


def test_a_full_object_store(rng: np.random.Generator, tmp_path: Path, notes: list[str]) -> None:
    """Others fill it, and the disk behind it; it waits until they leave."""
    import ray
    from ray.cluster_utils import Cluster

    if ray.is_initialized():
        ray.shutdown()
    config = {"automatic_object_spilling_enabled": False, "local_fs_capacity_threshold": 0.0001}
    small = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "object_store_memory": 80_000_000,
            "include_dashboard": False,
            "_system_config": config,
        },
    )
    try:
        with ClusterEvaluator(script.Scripted(tmp_path), small.address, note=notes.append) as evaluator:
            members, births = script.population([script.FINE] * 5, rng), seeds(rng)
            others = [ray.put(np.zeros(4_000_000)) for _ in range(2)]  # 64 MB
            wide = torch.cat([members.matrix, torch.zeros(5, 1_500_000)], dim=1)  # 30 MB

            def leave(done: int, total: int) -> None:
                others.clear()

            tried = evaluator.evaluate(DensePopulation(wide), births, progress=leave)
            assert evaluator.faults["full"] >= 1
            assert any("object store has no room" in note for note in notes)
        same(tried, serial(members, births, tmp_path))
    finally:
        small.shutdown()


def test_cores_and_fractions_of_gpus(workers, cluster, tmp_path: Path, rng: np.random.Generator) -> None:
    """As many actors as both leave room for; a worker knows which GPU is its own."""
    assert workers.size == 2
    node = cluster.add_node(num_cpus=1, num_gpus=1)
    with ClusterEvaluator(script.Devices(tmp_path), cluster.address, cpus=0.25, gpus=0.5) as evaluator:
        assert evaluator.size == 2
        tried = evaluator.evaluate(script.population([script.FINE], rng), seeds(rng, 1))
    assert tried.measures["gpus"].tolist() == [[1.0]]
    cluster.remove_node(node)


def test_there_is_no_cluster_there(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="--cluster: expected 'auto' or the address .* got '127.0.0.1:1'"):
        ClusterEvaluator(script.Scripted(tmp_path), "127.0.0.1:1")
