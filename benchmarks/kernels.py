"""How fast plastic networks and convolutional fronts step, beside what the machine can do and torch. One thread.

A step reads and writes 24 bytes a synapse at least: the weight in and out and four coefficients, η within them. The
triad a = b + s c moves as many bytes through arrays as large in all, which is what this machine can do. Each row is a
life with its own coefficients, so the whole population passes through the core in every step. ``triad/fused`` is the
share of the triad's rate that the fused step reaches, everything that `PlasticNetwork.act` does included.

The switches of a rule stand beside the plain step of the same network, which has A, B, C, D and η at every synapse, in
the same run: ``x plain`` is how much longer a step takes for each synapse. ``kernel`` says what runs it on the cpu.

A front is bound by its multiplications instead, of which those count that pooling needs. Beside it stand torch's
grouped convolutions, with as many filter banks, and the rate of torch's product of two large matrices.

    python benchmarks/kernels.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numba import njit
from torch.nn.functional import conv2d, max_pool2d

from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork
from neuroplastic.plastic.kernels import NORMALISERS
from neuroplastic.plastic.modulation import MODULATIONS
from neuroplastic.plastic.published import PUBLISHED
from neuroplastic.plastic.rules import SHARINGS

NETWORKS = {"quadruped": [28, 128, 64, 8], "car racing": [648, 128, 64, 3]}
BYTES = 24  # a synapse
FRONT, PICTURE = ConvolutionalFront(), (84, 84, 3)


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


PLAIN = "plain"
SWITCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # of the rule, of the network
    PLAIN: ({}, {}),
    **{
        f"sharing {name}": ({"sharing": name}, {}) for name in SHARINGS if name not in ("synapse", "groups", "low-rank")
    },
    "sharing groups (384)": ({"sharing": "groups", "groups": 384}, {}),
    "sharing low-rank (2)": ({"sharing": "low-rank", "rank": 2}, {}),
    **{f"normaliser {name}": ({"normaliser": name}, {}) for name in NORMALISERS if name != "none"},
    **{f"modulation {name}": ({"modulation": name}, {}) for name in MODULATIONS if name != "none"},
    "trace": ({"trace": 0.9}, {}),
    "reward and trace": ({"modulation": "reward", "trace": 0.9}, {}),
    "decay": ({"terms": "ABCD+lr+decay"}, {}),
    "every 5": ({"every": 5}, {}),
    "fixed": ({"fixed": True}, {}),
    "bias": ({}, {"bias": True}),
    "recurrent": ({}, {"kind": "recurrent"}),
    "gru": ({}, {"kind": "gru"}),
    **{f"rule {name}": (dict(one.switches), dict(one.network)) for name, one in PUBLISHED.items()},
}


def switched(sizes: list[int], switches: str, rows: int, backend: str = "cpu") -> PlasticNetwork:
    """A newborn network of the setting; its genomes are made by its codec."""
    rule, network = SWITCHES[switches]
    made = PlasticNetwork(
        sizes[0], sizes[-1], sizes[1:-1], rule=HebbianRule(**rule), output_activation="tanh", backend=backend, **network
    )
    made.birth(made.codec.decode(0.01 * torch.randn(rows, made.codec.layout.size)), range(rows))
    return made


def step_of(network: PlasticNetwork, inputs: int, rows: int) -> Callable[[], object]:
    observations, rewards, every = torch.randn(rows, inputs).numpy(), np.full(rows, 0.1, np.float32), list(range(rows))
    return lambda: network.act(observations, rewards, every)


def kernel_of(network: PlasticNetwork) -> str:
    """What runs its layers."""
    modules = set()
    for layer in network.layers:
        nobody = {
            name: torch.empty(0, *shape) for name, shape in network.rule.layout(layer.inputs, layer.outputs).shapes
        }
        modules.add(type(network.rule.birth(layer, nobody, [])).__module__)
    return "fused" if modules == {"neuroplastic.plastic.kernels.cpu"} else "reference"


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


def measure_switches(name: str, rows: int, switches: str, seconds: float) -> dict[str, str | int | float]:
    """One line of the table of switches; times are microseconds a row."""
    sizes = NETWORKS[name]
    networks = [switched(sizes, PLAIN, rows), switched(sizes, switches, rows)]
    before, synapses = (sum(layer.inputs * layer.outputs for layer in network.layers) for network in networks)
    plain, fused = best_seconds([step_of(network, sizes[0], rows) for network in networks], seconds / 3)
    (slow,) = best_seconds([step_of(switched(sizes, switches, rows, "reference"), sizes[0], rows)], seconds / 12)
    return {
        "network": name,
        "rows": rows,
        "switches": switches,
        "kernel": kernel_of(networks[1]),
        "synapses": synapses,
        "step": 1e6 * fused / rows,
        "x plain": fused / synapses / (plain / before),
        "reference/fused": slow / fused,
    }


def front_steps(rows: int) -> list[Callable[[], object]]:
    """The front fused, by torch's convolutions, and as the reference has it: each row with filters of its own."""
    filters = {name: 0.2 * torch.randn(rows, *shape) for name, shape in FRONT.layout(PICTURE).shapes}
    pictures, every = torch.rand(rows, *PICTURE), torch.arange(rows)
    fused, reference = (FRONT.birth(PICTURE, filters, backend) for backend in ("cpu", "reference"))
    banks = [bank.flatten(0, 1) for bank in filters.values()]

    def by_torch() -> object:
        activity = pictures.permute(0, 3, 1, 2).reshape(1, -1, *PICTURE[:2])
        for bank, stride, pool in zip(banks, FRONT.strides, FRONT.pools, strict=True):
            activity = max_pool2d(conv2d(activity, bank, stride=stride, groups=rows), pool).tanh_()
        return activity

    return [lambda: fused.step(pictures, every), by_torch, lambda: reference.step(pictures, every)]


def repeat(step: Callable[[], object], times: int) -> None:
    for _ in range(times):
        step()


def measure_front(rows: int, seconds: float) -> dict[str, str | int | float]:
    """One line of the table of fronts; times are microseconds a row."""
    macs = sum(np.prod(stage.filters) * np.prod(stage.outputs[1:]) * stage.pool**2 for stage in FRONT.stages(PICTURE))
    matrix, times = torch.rand(768, 768), 64 // rows  # as often as all have seen 64 pictures, so that each is warm
    *steps, reference = (partial(repeat, step, times) for step in front_steps(rows))
    fused, by_torch, matrices = best_seconds([*steps, lambda: matrix @ matrix], seconds)
    (slow,) = best_seconds([reference], seconds / 4)
    fused, by_torch, slow = fused / times, by_torch / times, slow / times
    return {
        "front": "car racing",
        "rows": rows,
        "million MAC": macs / 1e6,
        "fused": 1e6 * fused / rows,
        "torch": 1e6 * by_torch / rows,
        "reference": 1e6 * slow / rows,
        "fused GMAC/s": macs * rows / fused / 1e9,
        "matrices GMAC/s": len(matrix) ** 3 / matrices / 1e9,
        "torch/fused": by_torch / fused,
    }


def show(cells: Iterable[str | int | float]) -> None:
    print("  ".join(f"{cell:15.2f}" if isinstance(cell, float) else f"{cell:>15}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a second a line")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as a list of objects")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seconds = 0.8 if options.quick else 5
    networks = [(measure, arguments) for arguments in product(NETWORKS, ("none", "max"), (8, 64))]
    table, before = [], None
    switches = [(measure_switches, arguments) for arguments in product(NETWORKS, (8, 64), SWITCHES)]
    for kind, arguments in [*networks, *switches, *((measure_front, (rows,)) for rows in (1, 8, 64))]:
        line = kind(*arguments, seconds=seconds)
        if kind is not before:
            show(line)
        show(line.values())
        table.append(line)
        before = kind
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
