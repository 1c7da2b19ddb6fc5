"""Steps per second of CarRacing on one core: ours against stock.

All drive by turns, in one thread: gas now and then, steering at random, each held for ten frames, for whole episodes. A
second is one of CPU time. The whole Hebbian agent-step is the recipe `carracing-hebbian` (84 × 84 pictures,
convolutions, three plastic layers, births, rewards), its patience off, against the stock environment stepped with the
same network in plain torch. The last table says what a step of the environment is made of.

    python benchmarks/car_racing.py [--quick] [--json FILE]
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from neuroplastic_envs.car_racing import cars as module
from neuroplastic_envs.car_racing import race
from neuroplastic_envs.car_racing.cars import Cars
from neuroplastic_envs.car_racing.vector import CarRacingVectorEnv

from neuroplastic.experiment.build import build_task, checked
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork
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


def resets(env: Any, seed: int) -> int:
    """Resets onto new tracks; returns how many cars."""
    env.reset(seed=seed)
    return getattr(env, "num_envs", 1)


def stock_with_torch(env: gymnasium.Env, seed: int, steps: int) -> int:
    """The stock environment with the network of the recipe in plain torch."""
    network = PlasticNetwork(
        (84, 84, 3), 3, [128, 64], rule=HebbianRule(normaliser="max"), front=ConvolutionalFront(),
        output_activation="linear", backend="reference",
    )  # fmt: skip
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


def parts(rng: np.random.Generator, steps: int) -> dict[str, float]:
    """Microseconds of what an environment's step is made of, and of a track."""
    seeds = rng.integers(2**31, size=200).tolist()
    began = time.process_time()
    for seed in seeds:
        module.make_track(np.random.default_rng(seed))
    table = {"a track, at each reset": 1e6 * (time.process_time() - began) / len(seeds)}

    taken = {"physics and tiles": 0.0, "picture": 0.0}
    step, draw = Cars.step, race.draw

    def watch(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*values: Any) -> Any:
            began = time.perf_counter()
            told = call(*values)
            taken[part] += time.perf_counter() - began
            return told

        return watching

    env, actions = CarRacingVectorEnv(ROWS), driving(rng, steps)
    ours(env, 0, actions[:10])
    Cars.step, race.draw = watch("physics and tiles", step), watch("picture", draw)
    try:
        began = time.perf_counter()
        count = ours(env, 1, actions)
        whole = time.perf_counter() - began
    finally:
        Cars.step, race.draw = step, draw
    table |= {part: 1e6 * seconds / count for part, seconds in taken.items()}
    return table | {"the rest": 1e6 * (whole - sum(taken.values())) / count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 rounds instead of 5")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng, rounds = np.random.default_rng(), 2 if arguments.quick else 5

    eight, stock, live = CarRacingVectorEnv(ROWS), gymnasium.make("CarRacing-v3"), hebbian(2 * ROWS)
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
        for name, run in contest.items():
            spent = timed(run)
            if number:
                taken.setdefault(name, []).append(spent)

    medians = {name: float(np.median(spent)) for name, spent in taken.items()}
    pairs = [("stock", f"ours, {ROWS} cars"), ("stock, torch agent", "ours, Hebbian agent")]
    pairs += [("stock, reset", "ours, reset")]
    ratios = {f"{slow} / {fast}": float(np.median(np.divide(taken[slow], taken[fast]))) for slow, fast in pairs}
    print(f"{'':40}{'µs':>9}")
    for name, spent in medians.items():
        print(f"{name:40}{spent:9.1f}")
    print(f"\n{'times faster':40}")
    for name, ratio in ratios.items():
        print(f"{name:40}{ratio:9.1f}")
    table = parts(rng, 1000)
    print(f"\n{f'one step of {ROWS} cars':40}{'µs':>9}")
    for name, spent in table.items():
        print(f"{name:40}{spent:9.1f}")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"microseconds": medians, "ratios": ratios, "parts": table, "rounds": rounds}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
