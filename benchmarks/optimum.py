"""How many evaluations a strategy takes to find a minimum to 1e-8, beside the searchers of others, over 15 seeds.

Functions of 20 numbers in float64, λ = 12, the same start and first σ for all; everything else as it comes:

    sphere        Σ x_i²                                      from (1, …, 1), σ = 0.5
    ellipsoid     Σ 10^(6 i/(n-1)) x_i²                       from (1, …, 1), σ = 0.5
    rosenbrock    Σ 100 (x_(i+1) - x_i²)² + (1 - x_i)²        from 0, σ = 0.1; it has a second minimum, of about 4

and the last two in space turned by a random rotation, another one for each seed, with the start turned as well: to who
learns a full covariance matrix it is the same function. A cell is how many of the seeds got there within the budget,
the mean of their evaluations (of whole generations), and its 95 % bootstrap interval. A search that says that going on
is pointless is not started again. OpenAI-ES, whose steps do not shrink, and the genetic algorithm are not for this.

    python benchmarks/optimum.py [--quick] [--json FILE]
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from searchers import Make, Start, cmaes, evotorch, installed, ours, pycma

from neuroplastic.errors import SearchWarning, check_output
from neuroplastic.experiment.scores import bootstrap_interval
from neuroplastic.search import CMAES, PGPE, SNES, XNES, SeparableCMAES

N, POPULATION, TARGET = 20, 12, 1e-8

Function = Callable[[np.ndarray], np.ndarray]  # rows [p, N] -> [p], minimised


@dataclass(frozen=True)
class Problem:
    function: Function
    start: float
    sigma: float
    turned: bool = False


def sphere(x: np.ndarray) -> np.ndarray:
    return (x**2).sum(axis=1)


def ellipsoid(x: np.ndarray) -> np.ndarray:
    return x**2 @ 10 ** (6 * np.arange(N) / (N - 1))


def rosenbrock(x: np.ndarray) -> np.ndarray:
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(axis=1)


PROBLEMS = {
    "sphere": Problem(sphere, 1.0, 0.5),
    "ellipsoid": Problem(ellipsoid, 1.0, 0.5),
    "rotated ellipsoid": Problem(ellipsoid, 1.0, 0.5, turned=True),
    "rosenbrock": Problem(rosenbrock, 0.0, 0.1),
    "rotated rosenbrock": Problem(rosenbrock, 0.0, 0.1, turned=True),
}


def contestants() -> dict[str, Make]:
    found: dict[str, Make] = {
        "cma-es": ours(CMAES),
        "xnes": ours(XNES),
        "sep-cma-es": ours(SeparableCMAES),
        "snes": ours(SNES),
        "pgpe": ours(PGPE),
    }
    found |= {"pycma": pycma} if installed("cma") else {}
    found |= {"EvoTorch CMAES": evotorch("CMAES")} if installed("evotorch") else {}
    if installed("cmaes"):
        found |= {f"cmaes {kind}": cmaes(kind) for kind in ("CMA", "XNES", "SepCMA")}
    return found


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix [N, N], all equally likely (Mezzadri 2007)."""
    Q, R = np.linalg.qr(rng.standard_normal((N, N)))
    return Q * np.sign(np.diag(R))


def attempt(make: Make, problem: Problem, seed: int, budget: int) -> tuple[int, float]:
    """(evaluations, the smallest value found) until the target is reached, or a whole generation more is too much."""
    R = rotation(np.random.default_rng(seed)) if problem.turned else np.eye(N)
    evaluations, best = 0, np.inf

    def look(rows: np.ndarray) -> np.ndarray:
        nonlocal evaluations, best
        values = problem.function(rows @ R.T)
        evaluations, best = evaluations + len(rows), min(best, values.min())
        return -values

    generation = make(Start(np.full(N, problem.start) @ R, problem.sigma, POPULATION, seed))
    while best > TARGET and evaluations + POPULATION <= budget:
        generation(look)
    return evaluations, float(best)


def cell(attempts: list[tuple[int, float]]) -> dict[str, Any]:
    """Of all seeds' attempts."""
    taken = np.array([evaluations for evaluations, best in attempts if best <= TARGET], np.float64)
    return {
        "solved": len(taken),
        "mean": float(taken.mean()) if len(taken) else None,
        "interval": bootstrap_interval(taken) if len(taken) else None,
        "evaluations": taken.astype(int).tolist(),
        "missed": [best for _, best in attempts if best > TARGET],
    }


def text(found: dict[str, Any], seeds: int) -> str:
    if not found["solved"]:
        return f"0 of {seeds}"
    low, high = found["interval"]
    return f"{found['solved']} of {seeds}: {found['mean']:,.0f} ({low:,.0f} … {high:,.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 seeds, a fifth of the budget")
    parser.add_argument("--seeds", type=int, default=15, help="from 1 on")
    parser.add_argument("--budget", type=int, default=100_000, help="evaluations that an attempt may take")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.budget = 2, arguments.budget // 5
    if arguments.json:
        check_output("--json", arguments.json)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", SearchWarning)  # who has converged and goes on is told so

    began, seeds = time.perf_counter(), range(1, arguments.seeds + 1)
    report: dict[str, Any] = {"n": N, "population": POPULATION, "target": TARGET, "budget": arguments.budget}
    report |= {"seeds": arguments.seeds, "contestants": {}}
    print(f"| evaluations to {TARGET:g}, of at most {arguments.budget:,} | " + " | ".join(PROBLEMS) + " |")
    print("| --- |" + " --- |" * len(PROBLEMS))
    for name, make in contestants().items():
        cells = {
            title: cell([attempt(make, problem, seed, arguments.budget) for seed in seeds])
            for title, problem in PROBLEMS.items()
        }
        report["contestants"][name] = cells
        print(f"| {name} | " + " | ".join(text(each, arguments.seeds) for each in cells.values()) + " |", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
