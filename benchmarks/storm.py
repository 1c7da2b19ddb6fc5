"""A run on a Ray cluster in a storm: every few seconds something is killed, and the numbers stay those of a quiet run.

    python benchmarks/storm.py --seconds 1800 --every 10 --json results/storm.json

A cluster of a head and two nodes is started on this machine, and `neuroplastic evolve` works on it as a process of its
own. Meanwhile workers are killed or stopped, raylets are killed (new ones join), all nodes leave for some seconds, and
the driver is killed and the same command typed again: each of it at least once, and the run goes on after the last. In
the end the generations done are evolved once more in one process without a cluster, and everything that was found is
compared bit for bit. Lives wait for a twentieth of a second, so that two cores are enough for all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table
from safetensors import safe_open

from neuroplastic.experiment.run import read_metrics
from neuroplastic.learners.evolution import FAULT

HERE = Path(__file__).parent
COMMAND = [
    sys.executable,
    "-m",
    "neuroplastic",
    "evolve",
    "cartpole-hebbian",
    "search.population=40",
    "task.env=slow_cartpole:SlowCartPole-v0",
    "task.horizon=100",
    "task.episodes=1",
    "checkpoint_seconds=5",
    "evaluate.limit=3",
]
AWAY = 5.0
"""Seconds that all nodes are away."""


class Driver:
    """`neuroplastic evolve` on the cluster; killed, it is started again by the same words."""

    def __init__(self, run: Path, address: str, log: Path) -> None:
        self.run, self.log = run, log
        self.words = [*COMMAND, "generations=1000000", "task.env_options.delay=0.05"]
        self.words += ["--run", str(run), "--cluster", address, "--resume", "auto"]
        self.repeated = 0  # generations that were done after the last checkpoint before a kill
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.words, stdout=log, stderr=log, env=environment())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if (self.run / "checkpoints").exists():
            saved = max((int(file.stem) for file in (self.run / "checkpoints").glob("*.safetensors")), default=0)
            self.repeated += max(0, self.done() - saved)
        self.start()

    def done(self) -> int:
        """Generations in its metrics."""
        file = self.run / "metrics.jsonl"
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def check(self, status: int | None = None) -> None:
        """Raises SystemExit unless it has ended with this status; None: unless it is alive."""
        if self.process.poll() != status:
            raise SystemExit(f"the driver ended by itself: {self.log.read_text()[-3000:]}")

    def go_on_to(self, generations: int) -> None:
        """Waits until so many are in its metrics."""
        while self.done() < generations:
            self.check()
            time.sleep(0.1)

    def end(self) -> None:
        """Asks it to stop, with a checkpoint."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.check(130)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}


def workers(cluster: Cluster) -> list[int]:
    """Processes of the actors on the cluster's nodes."""
    raylets = {node.all_processes["raylet"][0].process.pid for node in cluster.worker_nodes}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and b"TrialServer" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def strike(kind: str, cluster: Cluster, driver: Driver) -> bool:
    """Does it; False if there was nobody to do it to."""
    match kind:
        case "a worker killed" | "a worker stopped":
            victims = workers(cluster)
            if not victims:
                return False
            os.kill(random.choice(victims), signal.SIGKILL if kind == "a worker killed" else signal.SIGSTOP)
        case "a raylet killed, a node joins":
            cluster.remove_node(random.choice(list(cluster.worker_nodes)), allow_graceful=False)
            cluster.add_node(num_cpus=1)
        case "all nodes away":
            for node in list(cluster.worker_nodes):
                cluster.remove_node(node, allow_graceful=False)
            time.sleep(AWAY)
            cluster.add_node(num_cpus=1)
            cluster.add_node(num_cpus=1)
        case "the driver killed":
            driver.kill()
    return True


KINDS = (
    "a worker killed",
    "a worker stopped",
    "a raylet killed, a node joins",
    "all nodes away",
    "the driver killed",
)


def storm(seconds: float, every: float, seed: int, folder: Path, console: Console) -> dict[str, Any]:
    """The quiet part, the storm and the comparison."""
    random.seed(seed)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    strikes: Counter[str] = Counter()
    try:
        driver = Driver(folder / "run", cluster.address, folder / "driver.log")
        driver.go_on_to(5)  # workers have started
        first, begun = driver.done(), time.monotonic()
        while time.monotonic() - begun < min(30.0, seconds / 3):
            time.sleep(0.1)
        quiet = (time.monotonic() - begun) / max(1, driver.done() - first)

        first, begun, kinds = driver.done(), time.monotonic(), []
        while time.monotonic() - begun < seconds or len(strikes) < len(KINDS):
            time.sleep(every)
            driver.check()
            kinds = kinds or random.sample(KINDS, len(KINDS))
            kind = kinds.pop()
            if strike(kind, cluster, driver):
                strikes[kind] += 1
            console.print(f"{time.monotonic() - begun:6.0f} s  generation {driver.done()}  {kind}", highlight=False)
        stormy = (time.monotonic() - begun) / max(1, driver.done() - first)
        driver.go_on_to(driver.done() + 1)
        driver.end()
    finally:
        cluster.shutdown()
    metrics = read_metrics(folder / "run")
    console.print(f"{len(metrics)} generations; now once more in one process")
    again = [*COMMAND, f"generations={len(metrics)}", "evaluate.workers=1", "--run", str(folder / "alone")]
    with (folder / "alone.log").open("w") as log:
        subprocess.run(again, check=True, env=environment(), stdout=log, stderr=log)
    faults: Counter[str] = Counter()
    for row in metrics:
        faults.update({name.removeprefix(FAULT): int(row[name]) for name in row if name.startswith(FAULT)})
    return {
        "seconds": seconds,
        "strikes": dict(strikes),
        "generations": len(metrics),
        "evaluations": int(metrics[-1]["evaluations"]),
        "generations lost": differences(folder / "run", folder / "alone"),
        "generations repeated after kills of the driver": driver.repeated,
        "faults in the metrics": dict(faults),
        "seconds a generation, quiet": round(quiet, 2),
        "seconds a generation, in the storm": round(stormy, 2),
    }


def differences(run: Path, alone: Path) -> int:
    """Generations whose metrics differ in any bit, times and faults aside.

    Raises:
        SystemExit: the agents found are not the same.
    """
    ours, theirs = (
        [{k: v for k, v in row.items() if k != "seconds" and not k.startswith(FAULT)} for row in read_metrics(each)]
        for each in (run, alone)
    )
    for name in ("center", "best"):
        genomes = []
        for each in (run, alone):
            with safe_open(each / f"{name}.safetensors", "numpy") as file:
                genomes.append({key: file.get_tensor(key).tobytes() for key in file.keys()})  # noqa: SIM118
        if genomes[0] != genomes[1]:
            raise SystemExit(f"{name}: the agents differ")
    return sum(repr(one) != repr(other) for one, other in zip(ours, theirs, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the storm lasts, at least")
    parser.add_argument("--every", type=float, default=10.0, help="seconds from one strike to the next")
    parser.add_argument("--seed", type=int, default=0, help="chooses what is struck")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    words = parser.parse_args()
    console = Console(soft_wrap=True)
    with tempfile.TemporaryDirectory() as folder:
        found = storm(words.seconds, words.every, words.seed, Path(folder), console)
    table = Table("", "", box=None)
    for name, value in found.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for part, number in rows:
            table.add_row(f"{name} {part}", str(number))
    console.print(table)
    if words.json:
        words.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if found["generations lost"]:
        raise SystemExit("generations differ from those of the quiet run")


if __name__ == "__main__":
    main()
