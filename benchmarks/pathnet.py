"""Paths trained together beside paths trained one at a time, in the shapes of the paper's MNIST.

    python benchmarks/pathnet.py [--quick] [--json FILE]

L = 3, M = 10, N = 3, modules linear 20 with ReLU, pictures of 784 numbers (random ones: the time is the same), two
classes, minibatches of 16, plain gradient descent, one thread, float32.

- ``together``: `learners.pathnet.train` of all paths at once, each with minibatches of its own;
- ``one minibatch``: the same, all paths shown the same minibatch in a step;
- ``one at a time``: the same function, path after path;
- ``torch``: path after path, each an ordinary `torch.nn.Module` of its modules with `torch.optim.SGD`.

All are measured in turns, and the shortest of each counts. ``evolved`` has what a population is in the end: paths of
few different modules.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from neuroplastic.errors import check_output
from neuroplastic.learners.pathnet import train
from neuroplastic.pathnet import Descent, Linear, SuperNetwork, active, random_paths
from neuroplastic.tasks.pathnet.supervised import Examples, SupervisedTask

INPUTS, LAYERS, MODULES, GENES, UNITS, BATCH = 784, 3, 10, 3, 20, 16
NETWORK = SuperNetwork.alike(INPUTS, [Linear(UNITS)] * LAYERS, MODULES)
DESCENT = Descent("sgd", 1e-4)


class Alone(nn.Module):
    """A path as one would write it by hand."""

    def __init__(self, path: Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(INPUTS if layer == 0 else UNITS, UNITS) for _ in set(genes))
            for layer, genes in enumerate(path.tolist())
        )
        self.readout = nn.Linear(UNITS, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            x = sum((module(x).relu() for module in layer[1:]), layer[0](x).relu())
        return self.readout(x)


def by_torch(path: Tensor, task: SupervisedTask, steps: int, source: int) -> None:
    network, trial = Alone(path), task.trial(1, source)
    optimizer = torch.optim.SGD(network.parameters(), DESCENT.learning_rate)
    right = 0
    for trial.step in range(steps):
        x, y = (each[0] for each in trial.minibatch())
        outputs = network(x)
        loss = nn.functional.cross_entropy(outputs, y)
        right += int((outputs.argmax(1) == y).sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def measure(paths: Tensor, steps: int, turns: int) -> dict[str, float]:
    """Seconds of each way."""
    examples = Examples(torch.rand(2000, INPUTS), torch.randint(2, (2000,)))
    own, same = (SupervisedTask("own", (INPUTS,), 2, examples, BATCH, shared) for shared in (False, True))
    tensors, on = NETWORK.birth(1) | NETWORK.readout_birth(2, 1), active(paths, MODULES)
    ways: dict[str, Callable[[], object]] = {
        "together": lambda: train(NETWORK, tensors, on, own, steps, DESCENT, 1),
        "one minibatch": lambda: train(NETWORK, tensors, on, same, steps, DESCENT, 1),
        "one at a time": lambda: [train(NETWORK, tensors, each[None], own, steps, DESCENT, 1) for each in on],
        "torch": lambda: [by_torch(path, own, steps, 1) for path in paths],
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(turns):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 steps, 2 turns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as a list of objects")
    options = parser.parse_args()
    if options.json:
        check_output("--json", options.json)
    torch.set_num_threads(1)
    steps, turns = (5, 2) if options.quick else (50, 5)
    rows = []
    print(f"{steps} steps\n")
    print("| paths | together, ms | one minibatch, ms | one at a time, ms | torch, ms |", end="")
    print(" together × one at a time | × torch | one minibatch × one at a time |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for count in (2, 8, 64):
        newborn = random_paths(count, LAYERS, GENES, MODULES, 1)
        evolved = random_paths(1, LAYERS, GENES, MODULES, 2).repeat(count, 1, 1)
        evolved[::4, 0, 0] = (evolved[::4, 0, 0] + 1) % MODULES
        for name, paths in {"random": newborn, "evolved": evolved}.items():
            seconds = measure(paths, steps, turns)
            row = {"paths": count, "kind": name, "steps": steps, "seconds": seconds}
            row |= {f"ratio {other}": seconds[other] / seconds["together"] for other in ("one at a time", "torch")}
            row["ratio one minibatch"] = seconds["one at a time"] / seconds["one minibatch"]
            rows.append(row)
            times = " | ".join(f"{1e3 * each:.1f}" for each in seconds.values())
            ratios = f"{row['ratio one at a time']:.2f} | {row['ratio torch']:.2f} | {row['ratio one minibatch']:.2f}"
            print(f"| {count} {name} | {times} | {ratios} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
