"""What two worker processes do in the time of one: a generation of the Hebbian quadruped with a short horizon.

Evaluators of one and of more workers try the same population in turns, so that a busy machine is busy for all of
them; the shortest generation counts. ``ceiling`` is what the machine gives: as many evaluators of one worker each, at
the same time, each with the whole population. ``startup`` is what the first generation takes longer, workers' start
included.

    python benchmarks/workers.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from neuroplastic.evaluate.base import Evaluator
from neuroplastic.evaluate.processes import ProcessEvaluator, cores
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import SampledPopulation


def measure(counts: list[int], members: int, horizon: int, generations: int) -> list[dict[str, float]]:
    """A line for each number of workers. Rates are environment steps a second, start-up is seconds."""
    task = build_task(load_recipe("quadruped-hebbian", [f"task.horizon={horizon}"]))
    pairs = np.repeat(np.arange(members // 2, dtype=np.uint64), 2), np.tile(np.array([1, -1], np.int8), members // 2)
    population = SampledPopulation(torch.zeros(task.layout.size), 1.0, *pairs)
    seeds = episode_seeds(0, "train", 0, 1)
    steps = 0

    def seconds(*evaluators: Evaluator) -> float:
        """Until all of them have tried the population, at the same time."""
        nonlocal steps
        started = time.perf_counter()
        for tried in threads.map(lambda evaluator: evaluator.evaluate(population, seeds), evaluators):
            steps = int(tried.steps.sum())
        return time.perf_counter() - started

    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(max(counts)))
        lonely = [stack.enter_context(ProcessEvaluator(task, 1)) for _ in range(max(counts))]
        seconds(*lonely)
        evaluators, first = [], []
        for count in counts:
            started = time.perf_counter()
            evaluators.append(stack.enter_context(ProcessEvaluator(task, count) if count else SerialEvaluator(task)))
            seconds(evaluators[-1])
            first.append(time.perf_counter() - started)
        taken = np.full((generations, 2, len(counts)), np.nan)
        for generation in range(generations):
            for column, (count, evaluator) in enumerate(zip(counts, evaluators, strict=True)):
                taken[generation, 0, column] = seconds(evaluator)
                taken[generation, 1, column] = seconds(*lonely[:count]) / count if count else np.nan
    best, together = taken.min(axis=0)
    return [
        {
            "workers": count,
            "startup": start - best[column],
            "rate": steps / best[column],
            "times one": best[counts.index(1)] / best[column],
            "ceiling": best[counts.index(1)] / together[column],
        }
        for column, (count, start) in enumerate(zip(counts, first, strict=True))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="about a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as a list of objects")
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts = sorted({0, 1, 2, cores()})
    members, horizon, generations = (48, 100, 4) if options.quick else (96, 200, 5)
    table = measure(counts, members, horizon, generations)
    print("  ".join(f"{name:>10}" for name in table[0]))
    for line in table:
        print("  ".join(f"{value:10,.{0 if name in ('workers', 'rate') else 2}f}" for name, value in line.items()))
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
