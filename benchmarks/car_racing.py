"""Steps per second of CarRacing on one core: ours against stock.

All drive by turns, in one thread: gas now and then, steering at random, each held for ten frames, for whole episodes. A
second is one of CPU time. The whole Hebbian agent-step is the recipe `carracing-hebbian` (84 × 84 pictures,
convolutions, three plastic layers, births, rewards), its patience off, against the stock environment stepped with the
same network in plain torch. EnvPool's CarRacing-v3 takes part if it is installed (`pip install '.[bench]'`), 8 cars and
one thread too; its cars go on at once on another track when they have ended.

The last table says where the time of such an agent-step goes, beside what each part takes at least on this machine,
measured in the same run: parts where they are used, floors by themselves and at their best. Physics and tiles are one
compiled call; repeating some of its steps tells how it divides. Multiply-adds go at the rate of torch's product of two
large matrices.

    python benchmarks/car_racing.py [--quick] [--json FILE]
"""

import argparse
import importlib.util
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from kernels import BYTES, FRONT, PICTURE, best_seconds, repeat, triad
from neuroplastic_envs.car_racing import physics, race, solver, tiles, track
from neuroplastic_envs.car_racing.resize import SIZE
from neuroplastic_envs.car_racing.vector import CarRacingVectorEnv
from numba import njit
from watch import watched

from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork
from neuroplastic.plastic.kernels.convolution import FusedFront
from neuroplastic.plastic.kernels.cpu import HebbianLayer
from neuroplastic.search.base import DensePopulation

ROWS = 8

Run = Callable[[], int]  # drives; returns the steps


def timed(run: Run) -> float:
    """Microseconds of CPU time a step."""
    began = time.process_time()
    steps = run()
    return 1e6 * (time.process_time() - began) / steps


def driving(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Actions [steps, ROWS, 3], each held for ten frames."""
    held = rng.uniform([-0.6, 0, 0], [0.6, 0.4, 0.05], (steps // 10 + 1, ROWS, 3))
    return held.repeat(10, axis=0)[:steps].astype(np.float32)


def ours(env: CarRacingVectorEnv, seed: int, actions: np.ndarray) -> int:
    env.reset(seed=seed)
    steps = 0
    for action in actions:
        steps += int(env.active.sum())
        env.step(action)
    return steps


def one_by_one(env: gymnasium.Env, seed: int, actions: np.ndarray) -> int:
    env.reset(seed=seed)
    for step, action in enumerate(actions[:, 0]):
        if env.step(action)[2]:
            return step + 1
    return len(actions)


def pooled(env: Any, actions: np.ndarray) -> int:
    """EnvPool, which chooses its tracks by itself."""
    env.reset()
    for action in actions:
        env.step(action)
    return len(actions) * ROWS


def resets(env: Any, seed: int) -> int:
    """Resets onto new tracks; returns how many cars."""
    env.reset(seed=seed)
    return getattr(env, "num_envs", 1)


def plastic_network(**options: Any) -> PlasticNetwork:
    """That of the recipe."""
    return PlasticNetwork(
        PICTURE, 3, [128, 64], rule=HebbianRule(normaliser="max"), front=ConvolutionalFront(),
        output_activation="linear", **options,
    )  # fmt: skip


def stock_with_torch(env: gymnasium.Env, seed: int, steps: int) -> int:
    """The stock environment with the network of the recipe in plain torch."""
    network = plastic_network(backend="reference")
    network.birth(torch.randn(1, network.layout.size), [seed])
    observation, _ = env.reset(seed=seed)
    reward = torch.zeros(1)
    for _ in range(steps):
        picture = torch.from_numpy(observation).permute(2, 0, 1)[None].float() / 255
        small = torch.nn.functional.interpolate(picture, (84, 84), mode="area").permute(0, 2, 3, 1).reshape(1, -1)
        raw = network.act(small, reward, [0])[0].numpy()
        action = np.array([np.tanh(raw[0]), 0.5 + 0.5 * np.tanh(raw[1] / 2), 0.5 + 0.5 * np.tanh(raw[2] / 2)])
        observation, paid, *_ = env.step(action.astype(np.float32))
        reward[0] = float(paid)
    return steps


def hebbian(members: int) -> Callable[[int], int]:
    """Lives of a population by the recipe; patience is off, so that they are whole episodes."""
    task = build_task(checked(load_recipe("carracing-hebbian", ["task.patience=0"])))

    def live(seed: int) -> int:
        population = DensePopulation(torch.randn(members, task.layout.size))
        seeds = np.random.default_rng(seed).integers(2**31, size=(members, 1))
        return int(task.evaluate(population, range(members), seeds).steps.sum())

    return live


PARTS: dict[str, list[tuple[Any, str]]] = {
    "physics and tiles": [(physics, "step")],
    "picture": [(race, "look_all")],
    "84 × 84 of it": [(race, "paper_all")],
    "convolutions": [(FusedFront, "step")],
    "plastic layers": [(HebbianLayer, "step_arrays")],
    "tracks": [(track, "_track_of")],
    "environment around these": [(CarRacingVectorEnv, "step"), (race.Race, "reset")],
    "network around these": [(PlasticNetwork, "act"), (PlasticNetwork, "birth"), (DensePopulation, "rows")],
}


class Part(NamedTuple):
    """Microseconds of one agent's step, or of a track."""

    ours: float
    floor: float = 0.0
    what: str = ""  # the floor is


@njit(nogil=True)
def _move(row, state):
    """A step of a car that touches nothing."""
    body, joint, poses = state.bodies[row], state.joints[row], state.poses[row]
    physics.drive(state.memory[row], state.grip[row], body, joint, poses, state.views[row])
    solver.solve(body, joint, poses)


@njit(nogil=True)
def _prepare(row, state):
    """The same up to the solver's sweeps for the velocities."""
    body, joint, poses = state.bodies[row], state.joints[row], state.poses[row]
    physics.drive(state.memory[row], state.grip[row], body, joint, poses, state.views[row])
    solver._warm_start(body, joint, poses)


@njit(nogil=True)
def _sweep(row, state):
    solver._solve_velocities(state.bodies[row], state.joints[row])


@njit(nogil=True)
def _touch(row, state):
    """What a car touches where it is."""
    number, near = state.counts[row, physics.TILES], state.counts[row, physics.NEAR]
    shapes, visited, earned = state.shapes[row, :number], state.visited[row], state.earned[row]
    tiles.contact(state.poses[row], shapes, state.near[row], near, state.grip[row], visited, earned, 0, 2.0)


def all_cars(part: Any) -> Callable[[physics.State], None]:
    """Such a part of a step, of all cars."""

    @njit(nogil=True)
    def call(state):
        for row in range(len(state.bodies)):
            part(row, state)

    return call


@njit(nogil=True)
def _turn(angles):
    for i in range(len(angles)):
        angles[i] = math.atan2(math.sin(angles[i]), math.cos(angles[i]))


def recorded_states(rng: np.random.Generator, steps: int) -> list[physics.State]:
    """What ROWS cars were before some steps, each fifth of these."""
    states: list[physics.State] = []
    step = physics.step

    def recording(*values: Any) -> None:
        states.append(copy(values[4]))
        step(*values)

    physics.step = recording
    try:
        ours(CarRacingVectorEnv(ROWS), int(rng.integers(2**30)), driving(rng, steps))
    finally:
        physics.step = step
    return states[::5]


def copy(state: physics.State) -> physics.State:
    """With copies of all that a step changes."""
    changing = [name for name in state._fields if name not in ("shapes", "circles")]
    return state._replace(**{name: getattr(state, name).copy() for name in changing})


def repeated(call: Callable[[physics.State], None], states: list[physics.State]) -> float:
    """Microseconds of CPU time for a car of each of these states, which stay as they are."""
    call(copy(states[0]))
    copies = [copy(state) for state in states]
    began = time.process_time()
    for state in copies:
        call(state)
    return 1e6 * (time.process_time() - began) / (len(states) * ROWS)


def parts_of_a_step(
    live: Callable[[int], int], rng: np.random.Generator, rounds: int, seconds: float
) -> dict[str, Part]:
    """Where the time of one agent's step goes; the last ones are the rest, and all."""
    spent = []
    for number in range(rounds + 1):
        seed = int(rng.integers(2**30))
        began = time.perf_counter()
        steps = live(seed)
        whole = time.perf_counter() - began
        with watched(PARTS) as taken:
            watched_steps = live(seed + 1)  # other tracks, as no track is made twice
        if number:
            spent.append([*(1e6 * part / watched_steps for part in taken.values()), 1e6 * whole / steps])
    *means, whole = np.median(spent, axis=0).tolist()
    mean = dict(zip(PARTS, means, strict=True))

    states = recorded_states(rng, 500)
    prepared = [copy(state) for state in states]
    prepare = all_cars(_prepare)
    for state in prepared:
        prepare(state)
    moving, touching, sweeping = (
        repeated(all_cars(part), of) for part, of in ((_move, states), (_touch, states), (_sweep, prepared))
    )
    car = mean.pop("physics and tiles") / (moving + touching)
    near = np.mean([state.counts[:, physics.NEAR] for state in states])

    picture, matrix = np.zeros((SIZE, SIZE, 3), np.uint8), torch.rand(768, 768)
    synapses = sum(layer.inputs * layer.outputs for layer in plastic_network().layers)
    read = picture.size + 4 * math.prod(PICTURE)
    steps = [
        partial(repeat, lambda: picture.fill(7), 1000),
        partial(repeat, triad(read), 100),
        triad(BYTES * synapses * ROWS),
        lambda: matrix @ matrix,
    ]
    write, resize, layers, matrices = (1e6 * best for best in best_seconds(steps, seconds))
    rate = len(matrix) ** 3 / matrices
    macs = sum(math.prod((*stage.filters, *stage.outputs[1:], stage.pool**2)) for stage in FRONT.stages(PICTURE))
    floors = {
        "picture": (write / 1000, f"its {picture.size} bytes written"),
        "84 × 84 of it": (resize / 100, f"a triad over the {read} bytes of both"),
        "convolutions": (macs / rate, f"{macs / 1e6:.2f} million multiply-adds, {rate / 1e3:.0f} a nanosecond"),
        "plastic layers": (layers / ROWS, f"a triad over their {BYTES * synapses} bytes"),
    }
    table = {
        "physics": Part(car * moving, sweeping, "the solver's sweeps for the velocities, nothing else"),
        "tiles": Part(car * touching, 20 * near / rate, f"5 multiply-adds for each edge of {near:.0f} near tiles"),
    }
    table |= {name: Part(spent, *floors.get(name, ())) for name, spent in mean.items()}
    table["the rest"] = Part(whole - sum(part.ours for part in table.values()))
    return table | {"all": Part(whole, sum(part.floor for part in table.values()))}


def a_track(rng: np.random.Generator, seconds: float) -> Part:
    """Microseconds of a track, which is made at a reset."""
    seeds, angles = rng.integers(2**31, size=200).tolist(), rng.uniform(-3, 3, 1024)
    began = time.process_time()
    tracks = [track.make_track(np.random.default_rng(seed)) for seed in seeds]
    spent = 1e6 * (time.process_time() - began) / len(seeds)
    steps = (track.LAPS + 1) * np.mean([len(made.points) for made in tracks])
    (turn,) = best_seconds([lambda: _turn(angles)], seconds)
    what = f"arctangent, sine and cosine in each of the {steps:.0f} steps of its pen"
    return Part(spent, 1e6 * turn * steps / len(angles), what)


def next_limit(parts: dict[str, Part]) -> str:
    """Which part takes longest, and which is farthest above its floor."""
    whole, known = parts["all"].ours, [name for name, part in parts.items() if part.what]
    longest = max(known, key=lambda name: parts[name].ours)
    above = {name: parts[name].ours - parts[name].floor for name in known}
    farthest = max(known, key=above.__getitem__)
    return (
        f"the next limit: {longest}, {parts[longest].ours / whole:.0%} of a step and"
        f" {parts[longest].ours / parts[longest].floor:.1f} × the floor; most above its floor: {farthest},"
        f" by {above[farthest] / whole:.0%} of a step"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 rounds instead of 5")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng, rounds = np.random.default_rng(), 2 if arguments.quick else 5

    eight, stock, live = CarRacingVectorEnv(ROWS), gymnasium.make("CarRacing-v3"), hebbian(2 * ROWS)
    pool = None
    if importlib.util.find_spec("envpool"):
        pool = importlib.import_module("envpool").make_gymnasium("CarRacing-v3", num_envs=ROWS, num_threads=1)
    taken: dict[str, list[float]] = {}
    for number in range(rounds + 1):  # the first warms up
        seed, actions = int(rng.integers(2**30)), driving(rng, 1000 if number else 20)
        contest: dict[str, Run] = {
            f"ours, {ROWS} cars": partial(ours, eight, seed, actions),
            "stock": partial(one_by_one, stock, seed, actions),
            "ours, Hebbian agent": partial(live, seed),
            "stock, torch agent": partial(stock_with_torch, stock, seed, 200),
            "ours, reset": partial(resets, eight, seed + 7),
            "stock, reset": partial(resets, stock, seed + 7),
        }
        if pool:
            contest["EnvPool"] = partial(pooled, pool, actions)
        for name, run in contest.items():
            spent = timed(run)
            if number:
                taken.setdefault(name, []).append(spent)

    medians = {name: float(np.median(spent)) for name, spent in taken.items()}
    pairs = [("stock", f"ours, {ROWS} cars"), ("stock, torch agent", "ours, Hebbian agent")]
    pairs += [("stock, reset", "ours, reset")] + [("EnvPool", f"ours, {ROWS} cars")] * bool(pool)
    ratios = {f"{slow} / {fast}": float(np.median(np.divide(taken[slow], taken[fast]))) for slow, fast in pairs}
    print(f"{'':40}{'µs':>9}")
    for name, spent in medians.items():
        print(f"{name:40}{spent:9.1f}")
    print(f"\n{'times faster':40}")
    for name, ratio in ratios.items():
        print(f"{name:40}{ratio:9.1f}")
    parts = parts_of_a_step(live, rng, rounds, 0.5 if arguments.quick else 2)
    limit = next_limit(parts)
    print(f"\n{f'µs of one agent-step, batch of {ROWS}':36}{'ours':>9}{'floor':>9}  the floor is")
    for name, (spent, floor, what) in parts.items():
        print(f"{name:36}{spent:9.1f}{floor:9.2f}  {what}")
    parts["a track, at a reset"] = a_track(rng, 0.2)
    print("{:36}{:9.1f}{:9.2f}  {}".format("a track, at a reset", *parts["a track, at a reset"]))
    print(limit)
    if arguments.json:
        report = {"microseconds": medians, "ratios": ratios, "rounds": rounds}
        report |= {"parts": {name: part._asdict() for name, part in parts.items()}}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
