"""What a generation of search costs beside the trials: ask, make every row once, tell. One thread.

The contestants take turns in one process, with the same made-up fitness: the ratios hold on any machine, milliseconds
and megabytes only on this one. NumPy is the antithetic OpenAI-ES that one would write by hand, with its noise [P/2, D]
kept from ask to tell. EvoTorch's PGPE takes part where it is installed; it adapts its σ as well.

    python benchmarks/search.py [--quick] [--json FILE]
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import importlib.util
import json
import logging
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from neuroplastic.noise import normal
from neuroplastic.search import OpenAIES
from neuroplastic.search.shaping import centered_rank

POPULATION, BATCH, SIGMA, LEARNING_RATE = 200, 8, 0.1, 0.2

Generation = Callable[[np.ndarray], None]  # fitness [P] -> one generation done


def openai_es(D: int, **options) -> Generation:
    strategy = OpenAIES(torch.zeros(D), population=POPULATION, sigma=SIGMA, learning_rate=LEARNING_RATE, **options)

    def generation(fitness: np.ndarray) -> None:
        population = strategy.ask()
        for first in range(0, POPULATION, BATCH):
            population.rows(range(first, first + BATCH))
        strategy.tell(fitness)

    return generation


def numpy_es(D: int) -> Generation:
    center, rng = np.zeros(D, np.float32), np.random.Generator(np.random.SFC64())

    def generation(fitness: np.ndarray) -> None:
        epsilon = rng.standard_normal((POPULATION // 2, D), dtype=np.float32)
        for first in range(0, POPULATION // 2, BATCH // 2):
            noise = SIGMA * epsilon[first : first + BATCH // 2]
            np.concatenate([center + noise, center - noise])
        F = centered_rank(fitness).astype(np.float32)
        step = LEARNING_RATE / (POPULATION * SIGMA) * ((F[0::2] - F[1::2]) @ epsilon)
        np.add(center, step, out=center)

    return generation


def evotorch_pgpe(D: int) -> Generation:
    from evotorch import Problem
    from evotorch.algorithms import PGPE
    from evotorch.decorators import vectorized

    logging.disable(logging.INFO)
    told = torch.zeros(POPULATION)

    @vectorized
    def look_up(rows: torch.Tensor) -> torch.Tensor:
        return told

    searcher = PGPE(
        Problem("max", look_up, solution_length=D, initial_bounds=(0, 0)),
        popsize=POPULATION,
        center_init=torch.zeros(D),
        stdev_init=SIGMA,
        stdev_learning_rate=0.1,
        center_learning_rate=LEARNING_RATE,
        optimizer="sgd",
        ranking_method="centered",
    )

    def generation(fitness: np.ndarray) -> None:
        told.copy_(torch.from_numpy(fitness))
        searcher.step()

    return generation


def contestants() -> dict[str, Callable[[int], Generation]]:
    found: dict[str, Callable[[int], Generation]] = {
        "NumPy": numpy_es,
        "openai-es": openai_es,
        "openai-es, penalty": lambda D: openai_es(D, penalty=0.01),
        "openai-es, adam": lambda D: openai_es(D, optimizer="adam"),
    }
    return found | ({"EvoTorch PGPE": evotorch_pgpe} if importlib.util.find_spec("evotorch") else {})


def peak_megabytes(name: str, D: int) -> float:
    """What one generation holds at most above a strategy with its center. Linux; elsewhere NaN."""

    def high_water_mark() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    fitness = np.random.default_rng().standard_normal(POPULATION)
    make = contestants()[name]
    make(1000)(fitness)  # compiles
    generation = make(D)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the mark
    except OSError:
        return float("nan")
    before = high_water_mark()
    generation(fitness)
    return high_water_mark() - before


def milliseconds_per_generation(D: int, generations: int) -> dict[str, float]:
    """The median of each contestant."""
    rng = np.random.default_rng()
    playing = {name: make(D) for name, make in contestants().items()}
    times: dict[str, list[float]] = {name: [] for name in playing}
    for number in range(generations + 1):  # the first warms up
        fitness = rng.standard_normal(POPULATION)
        for name, generation in playing.items():
            start = time.perf_counter()
            generation(fitness)
            if number:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def nanoseconds_per_normal(numbers: int = 1_000_000) -> dict[str, float]:
    """The best of 10 draws of a million each."""
    rng, tensor = np.random.Generator(np.random.Philox()), torch.empty(numbers)
    draws = {
        "neuroplastic": lambda: normal(1, numbers),
        "NumPy, Philox": lambda: rng.standard_normal(numbers, dtype=np.float32),
        "torch": tensor.normal_,
    }
    best = {}
    for name, draw in draws.items():
        times = []
        for _ in range(10):
            start = time.perf_counter()
            draw()
            times.append(time.perf_counter() - start)
        best[name] = 1e9 * min(times) / numbers
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 generations at D = 61,440 instead of 10 at D = 458,002")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    D, generations = (61_440, 3) if arguments.quick else (458_002, 10)
    milliseconds = milliseconds_per_generation(D, generations)
    with get_context("spawn").Pool(
        1, maxtasksperchild=1
    ) as fresh:  # a process each: none inherits another's free memory
        memory = {name: fresh.apply(peak_megabytes, (name, D)) for name in milliseconds}
    normals = nanoseconds_per_normal()
    print(f"D = {D:,}, P = {POPULATION}; a center is {4 * D / 2**20:.1f} MB\n")
    print(f"{'':22}{'ms/generation':>14}{'of NumPy':>10}{'peak MB':>9}")
    for name, time_taken in milliseconds.items():
        print(f"{name:22}{time_taken:14.0f}{time_taken / milliseconds['NumPy']:10.2f}{memory[name]:9.0f}")
    print(f"\n{'':22}{'ns/normal':>14}")
    for name, time_taken in normals.items():
        print(f"{name:22}{time_taken:14.2f}")
    if arguments.json:
        report = {
            "D": D,
            "population": POPULATION,
            "generations": generations,
            "milliseconds_per_generation": milliseconds,
            "of_numpy": {name: value / milliseconds["NumPy"] for name, value in milliseconds.items()},
            "peak_megabytes": memory,
            "nanoseconds_per_normal": normals,
            "machine": platform.processor() or platform.machine(),
            "versions": {name: version(name) for name in ("numba", "numpy", "torch")}
            | {"python": platform.python_version()},
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
