"""Steps per second of the quadruped environment, against bare Bullet and the stock environment, on one core.

All of them live the same episodes (same seeds, same actions), by turns, in one thread; a second is one of CPU time. The
ratios hold on any machine, the steps per second only on this one. Bare Bullet is the least that any agent needs:
torques in, `stepSimulation`, states of the joints and the torso out. Worlds that are stepped by turns are slower than
one alone, since they share the processor's caches; what bare Bullet loses by it is told too.

The second table says where the time of one agent's step goes, beside what bare Bullet takes for it in a world alone.

    python benchmarks/quadruped.py [--quick] [--json FILE]
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import gymnasium
import numpy as np
import pybullet_envs_gymnasium  # noqa: F401  registers AntBulletEnv-v0
from neuroplastic_envs.quadruped.body import JOINTS, TORQUE
from neuroplastic_envs.quadruped.bullet import pybullet
from neuroplastic_envs.quadruped.simulation import WATCHED, Simulation
from numpy.typing import NDArray

ID = "neuroplastic/Quadruped-v0"
ROWS = 8  # episodes of a round, and rows of the vector environment
QUIET = {"disable_env_checker": True}

Round = Callable[[list[int], NDArray[np.float32]], None]  # seeds [ROWS] and actions [steps, ROWS, 8]
Call = Callable[[Simulation, list[float]], object]

BARE: dict[str, Call] = {
    "torques in": lambda s, torques: pybullet.setJointMotorControlArray(
        s.ant, JOINTS, pybullet.TORQUE_CONTROL, forces=torques, physicsClientId=s.client
    ),
    "stepSimulation": lambda s, _: pybullet.stepSimulation(s.client),
    "joint states": lambda s, _: pybullet.getJointStates(s.ant, JOINTS, s.client),
    "position and orientation": lambda s, _: pybullet.getBasePositionAndOrientation(s.ant, s.client),
    "velocity": lambda s, _: pybullet.getBaseVelocity(s.ant, s.client),
}
MORE: dict[str, Call] = {
    "link states": lambda s, _: pybullet.getLinkStates(s.ant, WATCHED, 0, 0, s.client),
    "contacts": lambda s, _: pybullet.getContactPoints(s.ant, s.floor, -2, -2, s.client),
}


def start(simulation: Simulation, seed: int) -> None:
    simulation.reset(np.random.default_rng(seed).uniform(-0.1, 0.1, 8).tolist())


def bare(worlds: int) -> Round:
    """Bullet alone; episodes in this many worlds side by side."""
    simulations = [Simulation() for _ in range(worlds)]

    def live(seeds: list[int], actions: NDArray[np.float32]) -> None:
        for first in range(0, len(seeds), worlds):
            for simulation, seed in zip(simulations, seeds[first:], strict=False):
                start(simulation, seed)
            for step in (TORQUE * actions[:, first : first + worlds].astype(np.float64)).tolist():
                for simulation, torques in zip(simulations, step, strict=True):
                    ant, client = simulation.ant, simulation.client
                    pybullet.setJointMotorControlArray(
                        ant, JOINTS, pybullet.TORQUE_CONTROL, forces=torques, physicsClientId=client
                    )
                    pybullet.stepSimulation(client)
                    pybullet.getJointStates(ant, JOINTS, client)
                    pybullet.getBasePositionAndOrientation(ant, client)
                    pybullet.getBaseVelocity(ant, client)

    return live


def one_by_one(env: gymnasium.Env) -> Round:
    def live(seeds: list[int], actions: NDArray[np.float32]) -> None:
        for row, seed in enumerate(seeds):
            env.reset(seed=seed)
            for action in actions[:, row]:
                env.step(action)

    return live


def side_by_side(rows: int) -> Round:
    env = gymnasium.make_vec(ID, num_envs=rows, reward="full", terminate=False)

    def live(seeds: list[int], actions: NDArray[np.float32]) -> None:
        for first in range(0, len(seeds), rows):
            env.reset(seed=seeds[first : first + rows])  # pyright: ignore[reportArgumentType]
            for action in actions[:, first : first + rows]:
                env.step(action)

    return live


def contestants() -> dict[str, Round]:
    ours = gymnasium.make(ID, reward="full", terminate=False, **QUIET)
    return {
        "bare Bullet": bare(1),
        f"bare Bullet, {ROWS} worlds by turns": bare(ROWS),
        f"ours, vector of {ROWS}": side_by_side(ROWS),
        f"ours, vector of {ROWS // 2}": side_by_side(ROWS // 2),
        f"ours, vector of {ROWS // 4}": side_by_side(ROWS // 4),
        "ours, single": one_by_one(ours.unwrapped),
        "ours, single, as made": one_by_one(ours),
        "stock AntBulletEnv-v0, as made": one_by_one(gymnasium.make("AntBulletEnv-v0", **QUIET)),
    }


def measure(rounds: int, steps: int, rng: np.random.Generator) -> dict[str, float]:
    """Steps of one agent per second of CPU time of each contestant, the median of its rounds."""
    rates: dict[str, list[float]] = {}
    players = contestants()
    for number in range(rounds + 1):  # the first warms up
        seeds = rng.integers(2**31, size=ROWS).tolist()
        actions = rng.uniform(-1, 1, (steps, ROWS, 8)).astype(np.float32)
        for name, live in players.items():
            began = time.process_time()
            live(seeds, actions)
            if number:
                rates.setdefault(name, []).append(steps * ROWS / (time.process_time() - began))
    return {name: float(np.median(rate)) for name, rate in rates.items()}


def time_calls(calls: dict[str, Call], worlds: list[Simulation], steps: int, rng: np.random.Generator) -> list[float]:
    """Mean seconds of each call, made in this order in each of the worlds by turns."""
    for simulation in worlds:
        start(simulation, int(rng.integers(2**31)))
    clock = time.thread_time
    made = [lambda s, t: None, *calls.values()]  # the first tells what the clock itself takes
    taken = [0.0] * len(made)
    for _ in range(steps):
        for simulation in worlds:
            torques = rng.uniform(-TORQUE, TORQUE, 8).tolist()
            for number, call in enumerate(made):
                began = clock()
                call(simulation, torques)
                taken[number] += clock() - began
    clock_itself, *means = (seconds / (steps * len(worlds)) for seconds in taken)
    return [mean - clock_itself for mean in means]


def time_steps(env: gymnasium.vector.VectorEnv, steps: int, rng: np.random.Generator) -> float:
    """Mean seconds of a step of one agent."""
    env.reset(seed=int(rng.integers(2**31)))
    began = time.thread_time()
    for actions in rng.uniform(-1, 1, (steps, ROWS, 8)).astype(np.float32):
        env.step(actions)
    return (time.thread_time() - began) / (steps * ROWS)


def parts_of_a_step(rounds: int, steps: int, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Microseconds of each part of one agent's step: in the vector environment, and in bare Bullet alone."""
    env = gymnasium.make_vec(ID, num_envs=ROWS, reward="full", terminate=False)
    worlds = [Simulation() for _ in range(ROWS)]
    all_calls = BARE | MORE
    measured = [  # by turns, since the machine may be busier at one time than at another
        [
            *time_calls(all_calls, worlds, steps, rng),
            time_steps(env, steps, rng),
            *time_calls(BARE, worlds[:1], steps * ROWS, rng),
        ]
        for _ in range(rounds)
    ]
    medians = (1e6 * np.median(measured, axis=0)).tolist()
    ours, total, floor = medians[: len(all_calls)], medians[len(all_calls)], medians[len(all_calls) + 1 :]
    parts = dict(zip(all_calls, zip(ours, floor + [0.0] * len(MORE), strict=True), strict=True))
    return parts | {"the rest: Python and NumPy": (total - sum(ours), 0.0), "all": (total, sum(floor))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 short rounds instead of 9 of 500 steps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()

    rng = np.random.default_rng()
    rounds, steps = (3, 50) if arguments.quick else (9, 500)
    rates, parts = measure(rounds, steps, rng), parts_of_a_step(rounds, steps, rng)
    floor = rates["bare Bullet"]
    print(f"{'':34}{'steps/s':>9}{'µs':>9}{'of bare':>9}")
    for name, rate in rates.items():
        print(f"{name:34}{rate:9.0f}{1e6 / rate:9.1f}{rate / floor:9.2f}")
    print(f"\n{f'µs of one step, vector of {ROWS}':34}{'ours':>9}{'floor':>9}")
    for name, (ours, least) in parts.items():
        print(f"{name:34}{ours:9.1f}{least:9.1f}")
    if arguments.json:
        report = {
            "steps_per_second": rates,
            "of_bare": {name: rate / floor for name, rate in rates.items()},
            "microseconds": {name: {"ours": ours, "floor": least} for name, (ours, least) in parts.items()},
            "rounds": rounds,
            "steps": steps * ROWS,
            "machine": platform.processor() or platform.machine(),
            "versions": {name: version(name) for name in ("pybullet", "gymnasium", "numpy")}
            | {"python": platform.python_version()},
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
