"""What plastic networks reach on a GPU, beside the floors of that GPU and what torch makes of the same formulas.

One call measures everything, in less than eight minutes, and writes ``results/gpu-DEVICE.json`` and ``.md``: the
bandwidth of a large copy and the cost of a launch; the fused step of a population for each way to keep coefficients;
the same step by torch's operations, and by what torch.compile makes of them; normalisers and switches beside the plain
step; agent-steps a second; and a generation of CarRacing's network, convolutions included.

A step must move 28 bytes a synapse if five float32 coefficients are stored: the weight in and out, A, B, C, D and η.
``floor`` is the time in which a copy moves as many. (Ours are 24, as η is multiplied in at birth; 16 with bfloat16; 8
if coefficients are made, and then arithmetic is the limit.) All steps are replayed from CUDA graphs, so that what is
compared is the work; each is the median of many, in one process.

    python benchmarks/gpu.py [--quick] [--json FILE]
    python benchmarks/gpu.py --rehearse       without a GPU: everything once at tiny sizes, no figure among it

What is measured is written at once, so that a run that is cut short leaves what it had.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import prod
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch
from gpu_tables import markdown

RESULTS = Path(__file__).parent / "results"
NETWORKS = {"28-128-64-8": (28, 128, 64, 8), "648-128-64-3": (648, 128, 64, 3)}
BYTES = {"stored": 28, "float32": 24, "bfloat16": 16, "made": 8}  # a synapse and step at least
Step = Callable[[], object]


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        lives: of the fused step.
        many: of the agent-steps a second.
        agents, steps: of CarRacing's generation.
        copied: bytes of the large copy.
        seconds: for each measurement.
        networks: name -> sizes.
        quadruped: sizes of the one whose agent-steps are counted.
        picture: what CarRacing's network sees.
    """

    lives: int = 4096
    many: int = 16_384
    agents: int = 200
    steps: int = 1000
    copied: int = 4 << 30
    seconds: float = 2.0
    networks: Mapping[str, Sequence[int]] = field(default_factory=lambda: NETWORKS)
    quadruped: Sequence[int] = NETWORKS["28-128-64-8"]
    picture: tuple[int, int, int] = (84, 84, 3)


TINY = (5, 6, 4, 2)
REHEARSAL = Scale(
    lives=8, many=8, agents=1, steps=1, copied=1 << 16, networks={"tiny": TINY}, quadruped=TINY, picture=(24, 24, 1)
)


class Clock:
    """Times steps on a device: the median of replays of a CUDA graph; on the cpu, of one call."""

    def __init__(self, device: torch.device, seconds: float) -> None:
        self.device, self.seconds = device, seconds

    def __call__(self, step: Step, together: int = 10) -> float:
        """Seconds of a step."""
        if self.device.type == "cpu":
            begun = time.perf_counter()
            step()
            return time.perf_counter() - begun
        replay = recorded(step, together)
        times, end = [], time.perf_counter() + self.seconds
        while time.perf_counter() < end or len(times) < 5:
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            replay()
            last.record()
            last.synchronize()
            times.append(first.elapsed_time(last) / 1e3 / together)
        return median(times)


def recorded(step: Step, together: int) -> Step:
    """What replays so many steps."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(together):
            step()
    return graph.replay


def copy_bandwidth(clock: Clock, size: int) -> float:
    """Bytes read and written a second by a copy of random numbers on the device."""
    source = torch.randn(size // 4, device=clock.device)
    target = torch.empty_like(source)
    return 2 * size / clock(lambda: target.copy_(source), 3)


def launch_seconds(clock: Clock) -> float:
    """Of the smallest kernel there is, in a graph."""
    one = torch.zeros(1, device=clock.device)
    return clock(lambda: one.add_(1), 1000 if clock.device.type == "cuda" else 1)


def sample_of(layout: Any, members: int, episodes: int, random: np.random.Generator) -> Any:
    """Antithetic members around a random center, each in so many episodes: neighbours share a stream."""
    from neuroplastic.genome import Sample

    lives = members * episodes
    streams = random.integers(0, 2**64, -(-members // 2), dtype=np.uint64).repeat(2 * episodes)[:lives]
    signs = np.tile(np.repeat(np.array([1, -1], np.int8), episodes), -(-members // 2))[:lives]
    center = torch.from_numpy(0.01 * random.standard_normal(layout.size, np.float32))
    return Sample(center, 0.01, streams, signs)


def newborn(sizes: Sequence[int], lives: int, device: torch.device, episodes: int = 1, **options: Any) -> Any:
    """A network of so many lives, on the device; ``options`` are of the rule and of the network."""
    from neuroplastic.plastic import HebbianRule, PlasticNetwork

    own = {name: options.pop(name) for name in ("coefficients", "front", "output_activation") if name in options}
    inputs = own.pop("inputs", sizes[0])
    network = PlasticNetwork(
        inputs, sizes[-1], sizes[1:-1], rule=HebbianRule(**options), backend="gpu", **{"device": None, **own}
    )
    sample = sample_of(network.layout, lives // episodes, episodes, np.random.default_rng())
    network.birth(sample, range(lives))
    return network


def step_of(network: Any, inputs: int, lives: int, device: torch.device) -> Step:
    """A step of all lives by their layers, as `PlasticNetwork` records it."""
    observations, rewards = torch.randn(lives, inputs, device=device), torch.rand(lives, device=device)
    rows = torch.arange(lives, device=device)
    return lambda: network._step(observations, rewards, rows)


def chain(sizes: Sequence[int], lives: int, device: torch.device) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The plain step by torch's operations, each a pass over population x synapses, and its arguments."""
    from neuroplastic.plastic.kernels import reference

    layers = [
        (
            0.1 * torch.randn(lives, after, before, device=device),
            {name: 0.01 * torch.randn(lives, after, before, device=device) for name in ("A", "B", "C", "D", "lr")},
        )
        for before, after in pairwise(sizes)
    ]

    def step(layers: Any, activity: torch.Tensor) -> torch.Tensor:
        for weights, coefficients in layers:
            post = reference.forward(weights, activity, "tanh")
            weights.add_(reference.change(weights, coefficients, activity, post))
            activity = post
        return activity

    return step, (layers, torch.randn(lives, sizes[0], device=device))


def fused(name: str, scale: Scale, clock: Clock, bandwidth: float) -> list[dict[str, Any]]:
    """The plain step of a network for each way to keep coefficients, and by torch."""
    sizes, lives, device = scale.networks[name], scale.lives, clock.device
    synapses = lives * sum(before * after for before, after in pairwise(sizes))
    times: dict[str, float] = {}
    for label, options in {
        "float32": {},
        "bfloat16": {"coefficients": "bfloat16"},
        "made": {"coefficients": "made"},
        "made, 4 episodes": {"coefficients": "made", "episodes": 4},
    }.items():
        network = newborn(sizes, lives, device, **options)
        times[label] = clock(step_of(network, sizes[0], lives, device))
        network.close()
        say(f"{name}, {label}", f"{1e6 * times[label]:,.1f} us")
    step, arguments = chain(sizes, lives, device)
    times["torch"] = clock(lambda: step(*arguments), 3)
    say(f"{name}, torch", f"{1e6 * times['torch']:,.1f} us")
    if device.type == "cuda":  # nothing to rehearse: it would compile for the cpu
        compiled = torch.compile(step)
        try:
            times["compiled"] = clock(lambda: compiled(*arguments), 3)
            say(f"{name}, torch.compile", f"{1e6 * times['compiled']:,.1f} us")
        except Exception as error:  # of many kinds; without a C compiler it cannot, and the other figures hold
            say(f"{name}, torch.compile", repr(error).splitlines()[0])
    floor = BYTES["stored"] * synapses / bandwidth
    lines = []
    for label, seconds in times.items():
        kind = label.partition(",")[0]
        moved = BYTES.get(kind, BYTES["stored"])
        lines.append(
            {
                "what": f"step {name}",
                "how": label,
                "lives": lives,
                "us": 1e6 * seconds,
                "floor/step": floor / seconds,
                "own bytes/synapse": moved if kind in BYTES else None,
                "share of bandwidth": moved * synapses / seconds / bandwidth if kind in BYTES else None,
                "x float32": times["float32"] / seconds,
                "gigabytes": lives * network_bytes(sizes, kind) / 1e9 if kind in BYTES else None,
            }
        )
    return lines


def network_bytes(sizes: Sequence[int], kind: str) -> int:
    """Memory of a life's weights and coefficients."""
    return (4 + {"float32": 16, "bfloat16": 8, "made": 0}[kind]) * sum(a * b for a, b in pairwise(sizes))


SETTINGS: dict[str, dict[str, Any]] = {
    "normaliser max": {"normaliser": "max"},
    "normaliser row": {"normaliser": "row"},
    "normaliser clip": {"normaliser": "clip"},
    "normaliser standardise": {"normaliser": "standardise"},
    "modulation reward": {"modulation": "reward"},
    "modulation unit": {"modulation": "unit"},
    "trace": {"trace": 0.9},
    "decay": {"terms": "ABCD+lr+decay"},
    "every 5": {"every": 5},
    "fixed": {"fixed": True},
}


def settings(name: str, scale: Scale, clock: Clock) -> list[dict[str, Any]]:
    """What each switch costs beside the plain step."""
    sizes, lives, device = scale.networks[name], scale.lives, clock.device
    plain, lines = 0.0, []
    for label, options in {"plain": {}, **SETTINGS}.items():
        network = newborn(sizes, lives, device, **options)
        seconds = clock(step_of(network, sizes[0], lives, device))
        network.close()
        plain = plain or seconds
        lines.append({"what": f"switch {name}", "how": label, "us": 1e6 * seconds, "x plain": seconds / plain})
        say(f"{name}, {label}", f"{1e6 * seconds:,.1f} us, {seconds / plain:.2f} x plain")
    return lines


def agent_steps(scale: Scale, clock: Clock, bandwidth: float) -> list[dict[str, Any]]:
    """The quadruped's network alone."""
    sizes, lines = scale.quadruped, []
    for label, options in {
        "float32": {},
        "bfloat16": {"coefficients": "bfloat16"},
        "made": {"coefficients": "made"},
    }.items():
        network = newborn(sizes, scale.many, clock.device, **options)
        rate = scale.many / clock(step_of(network, sizes[0], scale.many, clock.device))
        network.close()
        synapses = sum(before * after for before, after in pairwise(sizes))
        lines.append(
            {
                "what": "agent-steps",
                "how": label,
                "lives": scale.many,
                "million/s": rate / 1e6,
                "share of bandwidth": rate * synapses * BYTES[label] / bandwidth,
            }
        )
        say(f"agent-steps, {label}", f"{rate / 1e6:.2f} million/s")
    return lines


def car_racing(scale: Scale, clock: Clock) -> list[dict[str, Any]]:
    """The network of CarRacing alone, as a rollout asks it: pictures are there already."""
    from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork
    from neuroplastic.plastic.front import LivingFront

    device, agents, lines = clock.device, scale.agents, []
    for label in ("float32", "made"):
        network = PlasticNetwork(
            scale.picture,
            3,
            [128, 64],
            rule=HebbianRule(normaliser="max"),
            front=ConvolutionalFront(),
            output_activation="linear",
            backend="gpu",
            coefficients=label,
        )
        network.birth(sample_of(network.layout, agents, 1, np.random.default_rng()), range(agents))
        pictures, rewards = torch.rand(agents, prod(scale.picture), device=device), torch.rand(agents, device=device)
        rows, front = torch.arange(agents, device=device), cast(LivingFront, network._living_front)
        shaped = pictures.view(agents, *scale.picture)
        whole = clock(lambda n=network, p=pictures, r=rewards, i=rows: n._step(p, r, i))
        alone = clock(lambda f=front, p=shaped, i=rows: f.step(p, i))
        every = range(agents)

        def generation(network: Any = network, seen: Any = pictures, paid: Any = rewards, rows: Any = every) -> None:
            for _ in range(scale.steps):
                network.act(seen, paid, rows)
            if device.type == "cuda":
                torch.cuda.synchronize()

        generation()
        begun = time.perf_counter()
        generation()
        seconds = time.perf_counter() - begun
        network.close()
        lines.append(
            {
                "what": "car racing",
                "how": label,
                "agents": agents,
                "steps": scale.steps,
                "seconds": seconds,
                "replayed alone": scale.steps * whole,
                "of these convolutions": scale.steps * alone,
            }
        )
        say(f"car racing, {label}", f"{seconds:.3f} s, {scale.steps * whole:.3f} s without Python")
    return lines


def say(what: str, reached: str) -> None:
    print(f"{what:44} {reached}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the time for each figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go instead of results/")
    parser.add_argument("--rehearse", action="store_true", help="once and tiny, by the interpreter: no figures")
    options = parser.parse_args()
    if options.rehearse:
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is loaded
    elif not torch.cuda.is_available():
        sys.exit("gpu.py: expected a GPU that torch sees; got none (--rehearse tries everything without one)")
    device = torch.device("cpu" if options.rehearse else "cuda")
    scale = REHEARSAL if options.rehearse else Scale(seconds=0.4 if options.quick else 2.0)
    clock, begun = Clock(device, scale.seconds), time.perf_counter()
    bandwidth, launch = copy_bandwidth(clock, scale.copied), launch_seconds(clock)
    name = "the interpreter" if options.rehearse else torch.cuda.get_device_name()
    facts = {
        "device": name,
        "copy": f"{bandwidth / 1e12:.2f} TB/s",
        "launch": f"{1e6 * launch:.2f} us",
        "torch": torch.__version__,
    }
    say(name, f"copy {facts['copy']}, launch {facts['launch']}")
    path = options.json or (None if options.rehearse else RESULTS / f"gpu-{name.lower().replace(' ', '-')}.json")
    parts: list[Callable[[], list[dict[str, Any]]]] = []
    for network in scale.networks:
        parts += [partial(fused, network, scale, clock, bandwidth), partial(settings, network, scale, clock)]
    parts += [partial(agent_steps, scale, clock, bandwidth), partial(car_racing, scale, clock)]
    lines: list[dict[str, Any]] = []
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    for part in parts:
        with torch.inference_mode():
            lines += part()
        facts["minutes"] = f"{(time.perf_counter() - begun) / 60:.1f}"
        if path:
            path.write_text(json.dumps({"facts": facts, "lines": lines}, indent=1) + "\n")
            path.with_suffix(".md").write_text(markdown(facts, lines))
    print("\n" + markdown(facts, lines))
    if options.rehearse:
        print("a rehearsal: these are no figures")
    if path:
        print(f"written: {path} and {path.with_suffix('.md')}")


if __name__ == "__main__":
    main()
