"""Steps per second of the quadruped environment, against bare Bullet and the stock environment, on one core.

All of them run the same episodes (same seeds, same actions), by turns, in one thread; a second is one of CPU time. The
ratios hold on any machine, the steps per second only on this one. Bare Bullet is the least that any agent needs:
torques in, `stepSimulation`, joint states out.

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
from neuroplastic_envs.quadruped.simulation import Simulation
from numpy.typing import NDArray

Episode = Callable[[int, NDArray[np.float32]], None]


def bare() -> Episode:
    simulation = Simulation()
    client, ant = simulation.client, simulation.ant

    def episode(seed: int, actions: NDArray[np.float32]) -> None:
        simulation.reset(np.random.default_rng(seed).uniform(-0.1, 0.1, 8).tolist())
        for torques in (TORQUE * actions.astype(np.float64)).tolist():
            pybullet.setJointMotorControlArray(
                ant, JOINTS, pybullet.TORQUE_CONTROL, forces=torques, physicsClientId=client
            )
            pybullet.stepSimulation(physicsClientId=client)
            pybullet.getJointStates(ant, JOINTS, physicsClientId=client)

    return episode


def of(env: gymnasium.Env) -> Episode:
    def episode(seed: int, actions: NDArray[np.float32]) -> None:
        env.reset(seed=seed)
        for action in actions:
            env.step(action)

    return episode


def contestants() -> dict[str, Episode]:
    ours = gymnasium.make("neuroplastic/Quadruped-v0", reward="full", terminate=False, disable_env_checker=True)
    stock = gymnasium.make("AntBulletEnv-v0", disable_env_checker=True)
    return {
        "bare Bullet": bare(),
        "neuroplastic/Quadruped-v0, unwrapped": of(ours.unwrapped),
        "neuroplastic/Quadruped-v0, as made": of(ours),
        "AntBulletEnv-v0, as made": of(stock),
    }


def measure(episodes: int, steps: int) -> dict[str, float]:
    """Steps per second of CPU time of each contestant, the median of its episodes."""
    rates: dict[str, list[float]] = {}
    rng = np.random.default_rng()
    players = contestants()
    for number in range(episodes + 1):  # the first warms up
        seed = int(rng.integers(2**31))
        actions = rng.uniform(-1, 1, (steps, 8)).astype(np.float32)
        for name, episode in players.items():
            start = time.process_time()
            episode(seed, actions)
            if number:
                rates.setdefault(name, []).append(steps / (time.process_time() - start))
    return {name: float(np.median(rate)) for name, rate in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 short episodes each instead of 20 of 1000 steps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()

    episodes, steps = (3, 300) if arguments.quick else (20, 1000)
    rates = measure(episodes, steps)
    floor = rates["bare Bullet"]
    print(f"{'':38}{'steps/s':>9}{'of bare':>9}")
    for name, rate in rates.items():
        print(f"{name:38}{rate:9.0f}{rate / floor:9.2f}")
    if arguments.json:
        report = {
            "steps_per_second": rates,
            "of_bare": {name: rate / floor for name, rate in rates.items()},
            "episodes": episodes,
            "steps": steps,
            "machine": platform.processor() or platform.machine(),
            "versions": {name: version(name) for name in ("pybullet", "gymnasium", "numpy")}
            | {"python": platform.python_version()},
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
