"""How fast plastic networks step, beside a triad that moves the same bytes and the torch reference. One thread.

A step reads and writes 24 bytes a synapse at least: the weight in and out and four coefficients, η within them. The
triad a = b + s c moves as many bytes through arrays as large in all, which is what this machine can do. Each row is a
life with its own coefficients, so the whole population passes through the core in every step. ``triad/fused`` is the
share of the triad's rate that the fused step reaches, everything that `PlasticNetwork.act` does included.

    python benchmarks/kernels.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import torch
from numba import njit

from neuroplastic.plastic import HebbianRule, PlasticNetwork

NETWORKS = {"quadruped": [28, 128, 64, 8], "car racing": [648, 128, 64, 3]}
BYTES = 24  # a synapse


@njit(nogil=True, cache=True)
def _triad(a, b, c, s):
    for i in range(len(a)):
        a[i] = b[i] + s * c[i]


def triad(size: int) -> Callable[[], object]:
    """a = b + s c that moves ``size`` bytes: two reads and a write of 4 bytes each."""
    a, b, c = (torch.rand(size // 12).numpy() for _ in range(3))
    return lambda: _triad(a, b, c, np.float32(1.5))


def network_step(sizes: list[int], normaliser: str, rows: int, backend: str) -> Callable[[], object]:
    network = PlasticNetwork(sizes[0], sizes[-1], sizes[1:-1], rule=HebbianRule("ABCD+lr", normaliser), backend=backend)
    network.birth(0.01 * torch.randn(rows, network.layout.size), range(rows))
    observations, rewards = torch.randn(rows, sizes[0]), torch.zeros(rows)
    return lambda: network.act(observations, rewards, range(rows))


def best_seconds(steps: list[Callable[[], object]], seconds: float) -> list[float]:
    """The shortest time of each, tried in turns so that a busy machine is busy for all of them."""
    for step in steps:
        step()
    best, end = [float("inf")] * len(steps), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for n, step in enumerate(steps):
            started = time.perf_counter()
            step()
            best[n] = min(best[n], time.perf_counter() - started)
    return best


def measure(name: str, normaliser: str, rows: int, seconds: float) -> dict[str, str | int | float]:
    """One line of the table; times are microseconds a row."""
    sizes = NETWORKS[name]
    size = BYTES * rows * sum(before * after for before, after in pairwise(sizes))
    fused, moved = best_seconds([network_step(sizes, normaliser, rows, "cpu"), triad(size)], seconds)
    (reference,) = best_seconds([network_step(sizes, normaliser, rows, "reference")], seconds / 4)
    return {
        "network": name,
        "sizes": "-".join(map(str, sizes)),
        "normaliser": normaliser,
        "rows": rows,
        "megabytes": size / 1e6,
        "fused": 1e6 * fused / rows,
        "triad": 1e6 * moved / rows,
        "reference": 1e6 * reference / rows,
        "triad/fused": moved / fused,
        "reference/fused": reference / fused,
    }


def show(cells: Iterable[str | int | float]) -> None:
    print("  ".join(f"{cell:15.2f}" if isinstance(cell, float) else f"{cell:>15}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a second a line")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as a list of objects")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = []
    for name, normaliser, rows in product(NETWORKS, ("none", "max"), (8, 64)):
        line = measure(name, normaliser, rows, seconds=0.8 if options.quick else 5)
        if not table:
            show(line)
        show(line.values())
        table.append(line)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
