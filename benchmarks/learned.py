"""How fast networks learn by BLUR, batched over genomes: beside one genome at a time, and beside matrix products.

``small``: P genomes, 2-20-1, 10 updates of batch 128, at once and in a loop over genomes.
``large``: one update of 196-512-10 (k = 2, batch 128), and the products alone that the equations ask for: k of [B, I]
[I, H] and of [B, H] [H, O] forward, of [B, O] [O, H] backward, and as many for the change of each synapse, each as one
`torch.bmm` over genomes into memory that is there. ``floor/step`` is the share of their rate that the update reaches.
With a GPU the same on it, ``small`` for 1,024 genomes beside the CPU. One thread.

    python benchmarks/learned.py [--quick] [--json FILE] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from neuroplastic.errors import check_output
from neuroplastic.learned.base import State
from neuroplastic.learned.blur import Blur

SMALL, LARGE = (2, 20, 1), (196, 512, 10)
BATCH, UPDATES = 128, 10
RULE = Blur()


def best_seconds(steps: list[Callable[[], object]], seconds: float, device: str) -> list[float]:
    """The shortest time of each, tried in turns so that a busy machine is busy for all of them."""

    def timed(step: Callable[[], object]) -> float:
        if device != "cpu":
            torch.cuda.synchronize()
        started = time.perf_counter()
        step()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    best, end = [timed(step) for step in steps], time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = [min(before, timed(step)) for before, step in zip(best, steps, strict=True)]
    return best


def lesson(genomes: int, sizes: tuple[int, ...], device: str) -> tuple[torch.Tensor, State, torch.Tensor, torch.Tensor]:
    drawn = torch.stack([RULE.drawn(n) for n in range(genomes)]).float().to(device)
    state = {name: array.contiguous() for name, array in RULE.birth(drawn, sizes, np.array([1])).items()}
    x = torch.randn(1, 1, BATCH, sizes[0], device=device)
    return drawn, state, x, torch.randn(1, 1, BATCH, sizes[-1], device=device).sign()


def learned(genomes: torch.Tensor, state: State, x: torch.Tensor, targets: torch.Tensor, updates: int) -> State:
    for _ in range(updates):
        state = RULE.learn(genomes, state, x, targets)
    return state


def one_by_one(genomes: torch.Tensor, state: State, x: torch.Tensor, targets: torch.Tensor) -> None:
    for n in range(len(genomes)):
        learned(genomes[n : n + 1], {name: array[n : n + 1] for name, array in state.items()}, x, targets, UPDATES)


def products(genomes: int, sizes: tuple[int, ...], device: str) -> Callable[[], object]:
    """What an update multiplies, and nothing else."""
    number, (inputs, hidden, outputs) = genomes * RULE.states, sizes
    shapes = [(BATCH, inputs, hidden), (BATCH, hidden, outputs), (BATCH, outputs, hidden)]
    shapes += [(inputs, BATCH, hidden), (hidden, BATCH, outputs), (outputs, BATCH, hidden)]
    parts = [(torch.randn(number, a, b, device=device), torch.randn(number, b, c, device=device)) for a, b, c in shapes]
    into = [torch.empty(number, a, c, device=device) for a, _, c in shapes]

    def multiply() -> None:
        for (first, second), out in zip(parts, into, strict=True):
            torch.bmm(first, second, out=out)

    return multiply


def small(genomes: int, device: str, seconds: float) -> dict[str, str | int | float]:
    given = lesson(genomes, SMALL, device)
    at_once, loop = best_seconds([lambda: learned(*given, UPDATES), lambda: one_by_one(*given)], seconds, device)
    return {
        "what": "small",
        "device": device,
        "genomes": genomes,
        "batched, ms": 1e3 * at_once,
        "loop, ms": 1e3 * loop,
        "loop/batched": loop / at_once,
    }


def large(genomes: int, device: str, seconds: float) -> dict[str, str | int | float]:
    given = lesson(genomes, LARGE, device)
    step, floor = best_seconds([lambda: learned(*given, 1), products(genomes, LARGE, device)], seconds, device)
    return {
        "what": "large",
        "device": device,
        "genomes": genomes,
        "step, ms": 1e3 * step,
        "floor, ms": 1e3 * floor,
        "floor/step": floor / step,
    }


def beside_cpu(genomes: int, device: str, seconds: float) -> dict[str, str | int | float]:
    here = {name: lesson(genomes, SMALL, name) for name in ("cpu", device)}
    cpu, gpu = (best_seconds([lambda g=g: learned(*g, UPDATES)], seconds, name)[0] for name, g in here.items())
    return {
        "what": "beside CPU",
        "device": device,
        "genomes": genomes,
        "cpu, ms": 1e3 * cpu,
        f"{device}, ms": 1e3 * gpu,
        f"cpu/{device}": cpu / gpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="two seconds a line")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as a list of objects")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if options.json:
        check_output("json", options.json)
    torch.set_num_threads(1)
    seconds, table = 2 if options.quick else 15, []
    with torch.inference_mode():
        for device in dict.fromkeys(["cpu", options.device]):
            for kind, genomes in ((small, 40), (large, 1), (large, 8)):
                table.append(kind(genomes, device, seconds))
                print(table[-1], flush=True)
        if options.device != "cpu":
            table.append(beside_cpu(1024, options.device, seconds))
            print(table[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
