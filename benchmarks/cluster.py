"""What a Ray cluster costs beside worker processes: bytes, the driver's time, throughput, and where it would end.

    python benchmarks/cluster.py [--quick] [--json FILE]

1. `wire`: a generation of the paper's car race (458,002 numbers, 200 members) with lives that cost nothing: what a
   worker receives and sends, and what the driver takes longer than in one process.
2. `throughput`: quadrupeds by two actors and by two worker processes, by turns in one run; the shortest counts.
3. `scaling`: on paper, from constants that are measured here: the driver's time in a generation of 10,000 members with
   10 to 10,000 workers. Sending is not measured: one machine has no network. 10 Gbit/s, nodes of 64 cores and a driver
   that serves every node itself are assumed.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroplastic.evaluate.base import Evaluator
from neuroplastic.evaluate.cluster import ClusterEvaluator, gathered
from neuroplastic.evaluate.processes import ProcessEvaluator
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.evaluate.trials import block_size
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.genome import Layout
from neuroplastic.learners.evolution import WithCenter
from neuroplastic.noise import episode_seeds
from neuroplastic.search import OpenAIES
from neuroplastic.search.base import Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics

GENES, MEMBERS, WORKERS = 458_002, 200, 2
BANDWIDTH, CORES = 1.25e9, 64  # bytes a second, cores of a node: assumed


@dataclass
class Free:
    """Lives that cost nothing: what is left is the way there and back."""

    size: int
    batch: int = 8

    @property
    def layout(self) -> Layout:
        return Layout((("genes", (self.size,)),))

    def evaluate(
        self, population: Population, index: Sequence[int], seeds: NDArray[np.int64], shared: Statistics | None = None
    ) -> Evaluation:
        return Evaluation(seeds % 1000 / 1000.0, np.ones(seeds.shape, np.int64))

    def close(self) -> None: ...


def seconds(evaluator: Evaluator, population: Population) -> tuple[float, Evaluation]:
    started = time.perf_counter()
    tried = evaluator.evaluate(population, episode_seeds(0, "train", 0, 1))
    return time.perf_counter() - started, tried


def wire(address: str, generations: int) -> dict[str, float]:
    search = OpenAIES(torch.zeros(GENES), population=MEMBERS)
    everybody = WithCenter(search.ask(), search.center)
    task = Free(GENES)
    with ClusterEvaluator(task, address, workers=WORKERS) as cluster, SerialEvaluator(task) as alone:
        seconds(cluster, everybody)
        there = [seconds(cluster, everybody)[0] for _ in range(generations)]
        here = [seconds(alone, everybody)[0] for _ in range(generations)]
    size = block_size(len(everybody), task.batch, WORKERS)
    answer = len(pickle.dumps(task.evaluate(everybody, range(size), np.zeros((size, 1), np.int64))))
    seeds = episode_seeds(0, "train", 0, 1)
    shared = len(pickle.dumps((everybody, np.broadcast_to(seeds, (len(everybody), 1)), None)))
    blocks = -(-len(everybody) // size) / WORKERS
    return {
        "MB to and from a worker": (shared + blocks * answer) / 1e6,
        "driver, ms more than in process": 1e3 * (median(there) - median(here)),
    }


def throughput(address: str, members: int, horizon: int, generations: int) -> dict[str, float]:
    task = build_task(load_recipe("quadruped-hebbian", [f"task.horizon={horizon}"]))
    population = OpenAIES(torch.zeros(task.layout.size), population=members, sigma=1.0).ask()
    with (
        ClusterEvaluator(task, address, workers=WORKERS) as cluster,
        ProcessEvaluator(task, WORKERS) as processes,
    ):
        expected = [seconds(each, population)[1] for each in (cluster, processes)]
        assert expected[0].fitness.tobytes() == expected[1].fitness.tobytes()
        taken = [[seconds(each, population)[0] for each in (cluster, processes)] for _ in range(generations)]
    steps = int(expected[0].steps.sum())
    actors, workers = (steps / min(column) for column in zip(*taken, strict=True))
    ratios = [row[1] / row[0] for row in taken]
    return {
        "actors, steps/s": actors,
        "processes, steps/s": workers,
        "actors / processes": actors / workers,
        "lowest of a generation": min(ratios),
        "highest": max(ratios),
    }


def scaling(address: str, members: int = 10_000) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Constants in seconds, and a line for each number of workers."""
    task = Free(8, batch=1)
    tiny = OpenAIES(torch.zeros(8), population=4 * WORKERS * 250).ask()  # blocks of four, or of one
    with ClusterEvaluator(task, address, workers=WORKERS) as cluster:
        seconds(cluster, tiny)
        size = block_size(len(tiny), task.batch, WORKERS)
        taken = []
        for _ in range(3):
            started = time.process_time()  # of all the driver's threads; the workers have machines of their own
            seconds(cluster, tiny)
            taken.append(time.process_time() - started)
        a_block = min(taken) / (len(tiny) / size)
    search = OpenAIES(torch.zeros(GENES), population=MEMBERS)
    fitness = np.random.default_rng(0).standard_normal(MEMBERS)
    learned = []
    for _ in range(3):
        started = time.perf_counter()
        search.ask()
        search.tell(fitness)
        learned.append(time.perf_counter() - started)
    a_member = min(learned) / MEMBERS
    shared = 4 * GENES + 9 * members
    constants = {"a block, driver's CPU": a_block, "ask and tell, a member": a_member, "MB to a node": shared / 1e6}
    lines = []
    for workers in (10, 100, 1_000, 10_000):
        blocks = members / block_size(members, 1, workers)
        parts = {
            "ask and tell": members * a_member,
            "blocks": blocks * a_block,
            "sending": max(1, workers / CORES) * shared / BANDWIDTH,
        }
        first = max(parts, key=lambda part: parts[part])
        lines.append({"workers": workers, **parts, "driver": sum(parts.values()), "first bottleneck": first})
    return constants, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="about a minute and a half")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    words = parser.parse_args()
    torch.set_num_threads(1)
    members, horizon, generations = (48, 150, 4) if words.quick else (96, 300, 8)
    with gathered("auto") as address:
        assert address is not None
        found: dict[str, Any] = {"wire": wire(address, 10)}
        found["throughput"] = throughput(address, members, horizon, generations)
        found["constants"], found["scaling"] = scaling(address)
    for part in ("wire", "throughput"):
        for name, value in found[part].items():
            print(f"{name:>34}  {value:,.3g}" if value < 100 else f"{name:>34}  {value:,.0f}")
    for name, value in found["constants"].items():
        print(f"{name:>34}  {value:.3g}")
    print("\nseconds of the driver in a generation of 10,000 members, on paper")
    for line in [dict.fromkeys(found["scaling"][0]), *found["scaling"]]:
        cells = [name if line[name] is None else line[name] for name in line]
        print("  ".join(f"{cell:>16,.2f}" if isinstance(cell, float) else f"{cell:>16}" for cell in cells))
    if words.json:
        words.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
