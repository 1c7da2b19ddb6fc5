"""Paths trained together beside paths trained one at a time, in the shapes of the paper's MNIST.

    python benchmarks/pathnet.py [--parts together rounds] [--quick] [--json FILE]

L = 3, M = 10, N = 3, modules linear 20 with ReLU, one thread, float32.

The part ``together``: pictures of 784 numbers (random ones: the time is the same), two classes, minibatches of 16,
plain gradient descent.

- ``together``: `learners.pathnet.train` of all paths at once, each with minibatches of its own;
- ``one minibatch``: the same, all paths shown the same minibatch in a step;
- ``one at a time``: the same function, path after path;
- ``torch``: path after path, each an ordinary `torch.nn.Module` of its modules with `torch.optim.SGD`.

All are measured in turns, and the shortest of each counts. ``evolved`` has what a population is in the end: paths of
few different modules.

The part ``rounds``: a tournament round whose paths exchange gradients in every step, in one process; whose paths are
trained each by itself (`Tournament.exchange` = "round"), in one process; and the same by two worker processes. Digits:
T = 50, minibatches of 16. CartPole and LunarLander: actor-critic, T = 20 rollouts of 8 environments by 16 moves.
Workers pay from about as many on as the column ``round × step`` says: so many times as long paths take that are not
trained side by side. The load of the machine is told: where others use its cores two workers are no faster than one.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neuroplastic.errors import check_output
from neuroplastic.evaluate.processes import ProcessEvaluator
from neuroplastic.learners.pathnet import PathNet, Stage, Tournament
from neuroplastic.pathnet import Descent, Linear, SuperNetwork, active, random_paths
from neuroplastic.tasks.pathnet.base import PathTask
from neuroplastic.tasks.pathnet.control import ControlTask
from neuroplastic.tasks.pathnet.digits import digit_tasks
from neuroplastic.tasks.pathnet.supervised import Examples, SupervisedTask
from neuroplastic.tasks.pathnet.training import train

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
            x = torch.stack([module(x).relu() for module in layer]).sum(0)
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


def together(quick: bool) -> list[dict[str, Any]]:
    steps, turns = (5, 2) if quick else (50, 5)
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
    return rows


def round_seconds(task: PathTask, descent: Descent, tournament: Tournament, turns: int) -> dict[str, float]:
    """Seconds of a round, each way."""
    network = SuperNetwork.alike(task.inputs, [Linear(UNITS)] * LAYERS, MODULES)
    alone = replace(tournament, exchange="round")
    with ExitStack() as stack:
        ways: dict[str, PathNet] = {}
        for name, evolve in {"step": tournament, "round": alone, "2 workers": alone}.items():
            ways[name] = PathNet(network, [Stage(task, 10**6)], tournament=evolve, descent=descent, seed=1)
        ways["2 workers"].evaluator = stack.enter_context(ProcessEvaluator(ways["2 workers"].trials, 2))
        best = dict.fromkeys(ways, float("inf"))
        for turn in range(turns + 2):  # two rounds build and compile, in both workers
            for name, learner in ways.items():
                seconds = learner.step()["seconds"]
                best[name] = min(best[name], seconds) if turn > 1 else best[name]
    return best


def rounds(quick: bool) -> list[dict[str, Any]]:
    turns, rows = (2, []) if quick else (5, [])
    scenes: dict[str, tuple[Callable[[], PathTask], int, Descent]] = {
        "digits": (lambda: digit_tasks((0, 1))[0], 50, Descent("sgd", 0.02)),
        "CartPole": (lambda: ControlTask("CartPole-v1", environments=8), 20, Descent("adam", 0.003)),
        "LunarLander": (lambda: ControlTask("LunarLander-v3", environments=8), 20, Descent("adam", 0.003)),
    }
    print(
        "\n| a round of | paths | step, ms | round, ms | 2 workers, ms | 2 workers × round | 2 workers × step |", end=""
    )
    print(" round × step | load before |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (make, steps, descent) in scenes.items():
        for pairs in (1, 8):
            evolve = Tournament(genes=GENES, steps=max(1, steps // 10) if quick else steps, pairs=pairs)
            row: dict[str, Any] = {"task": name, "paths": 2 * pairs, "steps": evolve.steps, "load": os.getloadavg()[0]}
            row["seconds"] = seconds = round_seconds(make(), descent, evolve, turns)
            row |= {f"ratio {other}": seconds[other] / seconds["2 workers"] for other in ("round", "step")}
            row["workers to pay"] = seconds["round"] / seconds["step"]
            rows.append(row)
            times = " | ".join(f"{1e3 * each:.0f}" for each in seconds.values())
            ratios = " | ".join(f"{row[key]:.2f}" for key in ("ratio round", "ratio step", "workers to pay"))
            print(f"| {name} | {2 * pairs} | {times} | {ratios} | {row['load']:.1f} |", flush=True)
    return rows


PARTS = {"together": together, "rounds": rounds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps, 2 turns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there; other parts in it stay")
    options = parser.parse_args()
    if options.json:
        check_output("--json", options.json)
    torch.set_num_threads(1)
    report = {name: PARTS[name](options.quick) for name in options.parts}
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps(before | report, indent=1) + "\n")


if __name__ == "__main__":
    main()
