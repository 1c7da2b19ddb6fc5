"""What a generation of search costs beside the trials: ask, make every row once, tell. One thread.

The contestants take turns in one process, some generations at a time, with fitness drawn by chance: the ratios hold on
any machine, milliseconds and megabytes only on this one. A time is the mean over all generations, of the processor's
time alone, so that others on the machine hardly count. Peers take part where they are installed (`pip install
'neuroplastic[bench]'`; evosax, which JAX compiles, is not of that extra). Three parts:

covariance
    CMA-ES at n = 20, 100 and 500, in float64, each with the cadence of eigendecompositions that it comes with, and all
    with ours. pycma's is ours; EvoTorch's is one generation less and a Cholesky decomposition; cmaes and evosax have
    one in every generation. cmaes is made to keep its last one, evosax cannot be.
diagonal
    PGPE and SNES at D = 100,000, P = 200, and what share of their time the drawing of normals takes.
center
    OpenAI-ES at D = 458,002, P = 200, and the memory that it takes. NumPy is the antithetic OpenAI-ES that one would
    write by hand, with its noise [P/2, D] kept from ask to tell. EvoTorch's PGPE adapts its σ as well.

    python benchmarks/search.py [--quick] [--part NAME] [--json FILE]
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
os.environ |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "JAX_PLATFORMS": "cpu"}

import argparse
import json
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from searchers import Generation, Look, Make, Start, cmaes, evosax, evotorch, installed, ours, pycma

from neuroplastic.errors import check_output
from neuroplastic.noise import normal
from neuroplastic.search import CMAES, PGPE, SNES, OpenAIES
from neuroplastic.search.shaping import centered_rank

POPULATION, BATCH, SIGMA, LEARNING_RATE = 200, 8, 0.1, 0.2
BLOCKS = 10
SIZES = {20: 12, 100: 17, 500: 22}  # n -> λ
COMPILED = "evosax (JIT, float32)"


def numpy_es(start: Start) -> Generation:
    rng, center, P = np.random.Generator(np.random.SFC64()), start.center.copy(), start.population

    def generation(look: Look) -> None:
        epsilon = rng.standard_normal((P // 2, len(center)), dtype=np.float32)
        fitness = []
        for first in range(0, P // 2, BATCH // 2):
            noise = start.sigma * epsilon[first : first + BATCH // 2]
            fitness.append(look(np.concatenate([center + noise, center - noise])).reshape(2, -1))
        plus, minus = centered_rank(np.concatenate(fitness, axis=1).ravel()).astype(np.float32).reshape(2, -1)
        np.add(center, LEARNING_RATE / (P * start.sigma) * ((plus - minus) @ epsilon), out=center)

    return generation


def covariance_contestants() -> dict[str, Make]:
    found: dict[str, Make] = {"cma-es": ours(CMAES)}
    found |= {"pycma": pycma} if installed("cma") else {}
    found |= {"cmaes": cmaes()} if installed("cmaes") else {}
    found |= {"EvoTorch": evotorch("CMAES")} if installed("evotorch") else {}
    return found | ({COMPILED: evosax("CMA_ES")} if installed("evosax", "jax") else {})


def diagonal_contestants(name: str) -> dict[str, Make]:
    found = {name.lower(): ours(PGPE if name == "PGPE" else SNES, BATCH)}
    rates = {"center_learning_rate": 0.1, "stdev_learning_rate": 0.1} if name == "PGPE" else {}
    found |= {"EvoTorch": evotorch(name, **rates)} if installed("evotorch") else {}
    return found | ({COMPILED: evosax(name)} if installed("evosax", "jax") else {})


def center_contestants() -> dict[str, Make]:
    es = {"learning_rate": LEARNING_RATE}
    found: dict[str, Make] = {
        "openai-es": ours(OpenAIES, BATCH, **es),
        "openai-es, penalty": ours(OpenAIES, BATCH, penalty=0.01, **es),
        "openai-es, adam": ours(OpenAIES, BATCH, optimizer="adam", **es),
        "NumPy": numpy_es,
    }
    pgpe = evotorch(
        "PGPE",
        stdev_learning_rate=0.1,
        center_learning_rate=LEARNING_RATE,
        optimizer="sgd",
        ranking_method="centered",
    )
    return found | ({"EvoTorch PGPE": pgpe} if installed("evotorch") else {})


def milliseconds(playing: Mapping[str, Generation], generations: int) -> dict[str, np.ndarray]:
    """Of a generation of each contestant, the mean of each block: [BLOCKS]."""
    rng = np.random.default_rng()

    def look(rows: np.ndarray) -> np.ndarray:
        return rng.standard_normal(len(rows))

    times: dict[str, list[float]] = {name: [] for name in playing}
    for generation in playing.values():
        for _ in range(3):  # JAX compiles twice
            generation(look)
    for _ in range(BLOCKS):
        for name, generation in playing.items():
            began = time.process_time()
            for _ in range(generations):
                generation(look)
            times[name].append(1000 * (time.process_time() - began) / generations)
    return {name: np.array(values) for name, values in times.items()}


def compared(times: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Mean milliseconds of each contestant, and how many times the first one's that is: median and range of blocks."""
    first = next(iter(times.values()))
    return {
        name: {
            "ms": float(each.mean()),
            "ratio": float(np.median(each / first)),
            "range": [float((each / first).min()), float((each / first).max())],
        }
        for name, each in times.items()
    }


def of_fastest(table: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How long the first one takes beside the fastest of the others that no JIT compiles."""
    mine, *others = (name for name in table if name != COMPILED)
    peer = min(others, key=lambda name: table[name]["ratio"], default=mine)
    print(f"  {mine} takes {1 / table[peer]['ratio']:.2f} x the time of {peer}, the fastest that no JIT compiles")
    return {"peer": peer, "ratio": 1 / table[peer]["ratio"]}


def show(title: str, table: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"\n{title:46}{'ms':>9}{'ratio':>8}   of blocks")
    for name, line in table.items():
        low, high = line["range"]
        more = f"{line['peak_megabytes']:10.0f} MB" if "peak_megabytes" in line else ""
        print(f"  {name:44}{line['ms']:9.3f}{line['ratio']:8.2f}   {low:.2f} … {high:.2f}{more}")


def covariance(quick: bool) -> list[dict[str, Any]]:
    found = []
    for n, population in SIZES.items():
        generations = 5 if quick else max(10, 1000 // n)  # of a block, which has as many decompositions as the next
        lag = CMAES(torch.zeros(n), population=population).constants.lag
        for cadence in (0, lag):
            start = Start(np.ones(n), 0.5, population, cadence=cadence)
            fixed = {COMPILED} if cadence > 1 else set()
            playing = {name: make(start) for name, make in covariance_contestants().items() if name not in fixed}
            table = compared(milliseconds(playing, generations))
            kind = f"decomposed every {lag}" if cadence else "as they come"
            show(f"CMA-ES, n = {n}, λ = {population}, {kind}", table)
            what = {"n": n, "population": population, "cadence": cadence or None, "generations": BLOCKS * generations}
            found.append(what | {"contestants": table, "of_fastest": of_fastest(table)})
    return found


def diagonal(quick: bool) -> dict[str, Any]:
    D, generations = (10_000, 1) if quick else (100_000, 10)
    drawn = nanoseconds_per_normal(D)["neuroplastic"]
    written = milliseconds_per_row(D)
    found: dict[str, Any] = {"D": D, "population": POPULATION, "generations": BLOCKS * generations}
    for name, streams in {"PGPE": POPULATION // 2, "SNES": POPULATION}.items():
        start = Start(np.zeros(D, np.float32), SIGMA, POPULATION)
        table = compared(
            milliseconds({key: make(start) for key, make in diagonal_contestants(name).items()}, generations)
        )
        show(f"{name}, D = {D:,}, P = {POPULATION}", table)
        fastest = of_fastest(table)
        mine, normals = table[name.lower()]["ms"], 2 * streams * D  # of which the rows are made, and of the update
        shares = {"normals": 1e-6 * drawn * normals / mine, "rows": written * POPULATION / mine}
        print(f"  limit: {normals / 1e6:g} million normals at {drawn:.2f} ns each take {shares['normals']:.0%} of it,")
        print(f"         storing {POPULATION} rows without computing anything {shares['rows']:.0%}")
        found[name] = {"contestants": table, "of_fastest": fastest, "shares": shares}
    return found


def center(quick: bool) -> dict[str, Any]:
    D, generations = (61_440, 1) if quick else (458_002, 10)
    start = Start(np.zeros(D, np.float32), SIGMA, POPULATION)
    table = compared(milliseconds({name: make(start) for name, make in center_contestants().items()}, generations))
    with get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:  # none inherits another's free memory
        for name, line in table.items():
            line["peak_megabytes"] = fresh.apply(peak_megabytes, (name, D))
    show(f"D = {D:,}, P = {POPULATION}; a center is {4 * D / 2**20:.1f} MB", table)
    normals = nanoseconds_per_normal(1_000_000)
    print(f"\n{'':46}{'ns/normal':>9}")
    for name, taken in normals.items():
        print(f"  {name:44}{taken:9.2f}")
    return {
        "D": D,
        "population": POPULATION,
        "generations": BLOCKS * generations,
        "contestants": table,
        "nanoseconds_per_normal": normals,
    }


def peak_megabytes(name: str, D: int) -> float:
    """What one generation holds at most above a strategy with its center. Linux; elsewhere NaN."""

    def high_water_mark() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    def look(rows: np.ndarray) -> np.ndarray:
        return np.random.default_rng().standard_normal(len(rows))

    make = center_contestants()[name]
    make(Start(np.zeros(1000, np.float32), SIGMA, POPULATION))(look)  # compiles
    generation = make(Start(np.zeros(D, np.float32), SIGMA, POPULATION))
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the mark
    except OSError:
        return float("nan")
    before = high_water_mark()
    generation(look)
    return high_water_mark() - before


def shortest(call: Callable[[], Any], times: int = 30) -> float:
    """Seconds of the processor."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return min(taken)


def nanoseconds_per_normal(numbers: int) -> dict[str, float]:
    """The best of some draws of so many."""
    rng, tensor = np.random.Generator(np.random.Philox()), torch.empty(numbers)
    draws: dict[str, Callable[[], Any]] = {
        "neuroplastic": lambda: normal(1, numbers),
        "NumPy, Philox": lambda: rng.standard_normal(numbers, dtype=np.float32),
        "torch": tensor.normal_,
    }
    return {name: 1e9 * shortest(draw) / numbers for name, draw in draws.items()}


def milliseconds_per_row(D: int) -> float:
    """The best of some times that a batch of rows [BATCH, D] is stored anew."""
    return 1000 * shortest(lambda: torch.empty(BATCH, D).fill_(1.0)) / BATCH


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("numba", "numpy", "torch", "cma", "cmaes", "evotorch", "evosax", "jax"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    parts = {"covariance": covariance, "diagonal": diagonal, "center": center}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer generations, shorter vectors: about a minute")
    parser.add_argument("--part", action="append", choices=parts, help="only this one; may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    if arguments.json:
        check_output("--json", arguments.json)
    torch.set_num_threads(1)
    report: dict[str, Any] = {name: parts[name](arguments.quick) for name in arguments.part or parts}
    if arguments.json:
        report |= {"machine": platform.processor() or platform.machine(), "versions": versions()}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
