"""Steps per second of quadrupeds on one core, against bare Bullet and the stock environment.

Bare Bullet is the least that any agent needs: torques in, `stepSimulation`, states of the joints and the torso out. How
long Bullet takes depends on how a body moves, so within each table all live the same episodes, by turns, in one thread;
a second is one of CPU time. The ratios hold on any machine, the steps per second only on this one. Worlds that are
stepped by turns are slower than one alone, since they share the processor's caches; what bare Bullet loses by it is
told too.

1. Environments alone, with random actions.
2. A population of Hebbian quadrupeds, everything included: births, networks, plasticity, rewards, when a life ends. The
   recipe `quadruped-hebbian` with an undamaged body, members drawn as its search draws its start, at several batches;
   bare Bullet repeats their torques. The stock environment is stepped with the same networks in plain torch.
3. Where the time of one agent's step goes, each part beside what it takes at least: for Bullet's calls in a world alone
   in bare Bullet, for the network the rate at which a triad moves as many bytes.

    python benchmarks/quadruped.py [--quick] [--json FILE]
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pybullet_envs_gymnasium  # noqa: F401  registers AntBulletEnv-v0
import torch
from kernels import BYTES, best_seconds, triad
from neuroplastic_envs.quadruped.body import JOINTS, TORQUE
from neuroplastic_envs.quadruped.bullet import pybullet
from neuroplastic_envs.quadruped.simulation import Simulation
from numpy.typing import NDArray
from watch import watched

from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.plastic.kernels import cpu
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.bodies import VectorBodies

ID = "neuroplastic/Quadruped-v0"
ROWS = 8  # episodes of a round, and rows of the vector environment
QUIET = {"disable_env_checker": True}

Round = Callable[[list[int], NDArray[np.float32]], None]  # seeds [ROWS] and actions [steps, ROWS, 8]
Rates = dict[str, list[float]]  # steps of one agent per second of CPU time, in each round
Parts = dict[str, tuple[float, float]]  # microseconds of one agent's step, and what it takes at least
Life = tuple[list[float], list[list[float]]]  # the joints' first angles, and the torques of every step


def start(simulation: Simulation, seed: int) -> None:
    simulation.reset(np.random.default_rng(seed).uniform(-0.1, 0.1, 8).tolist())


def bare_step(simulation: Simulation, torques: list[float]) -> None:
    ant, client = simulation.ant, simulation.client
    pybullet.setJointMotorControlArray(ant, JOINTS, pybullet.TORQUE_CONTROL, forces=torques, physicsClientId=client)
    pybullet.stepSimulation(client)
    pybullet.getJointStates(ant, JOINTS, client)
    pybullet.getBasePositionAndOrientation(ant, client)
    pybullet.getBaseVelocity(ant, client)


def bare(worlds: int) -> Round:
    """Bullet alone; episodes in this many worlds side by side."""
    simulations = [Simulation() for _ in range(worlds)]

    def live(seeds: list[int], actions: NDArray[np.float32]) -> None:
        for first in range(0, len(seeds), worlds):
            for simulation, seed in zip(simulations, seeds[first:], strict=False):
                start(simulation, seed)
            for step in (TORQUE * actions[:, first : first + worlds].astype(np.float64)).tolist():
                for simulation, torques in zip(simulations, step, strict=True):
                    bare_step(simulation, torques)

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


def measure_environments(rounds: int, steps: int, rng: np.random.Generator) -> Rates:
    rates: Rates = {}
    players = contestants()
    for number in range(rounds + 1):  # the first warms up
        seeds = rng.integers(2**31, size=ROWS).tolist()
        actions = rng.uniform(-1, 1, (steps, ROWS, 8)).astype(np.float32)
        for name, live in players.items():
            began = time.process_time()
            live(seeds, actions)
            if number:
                rates.setdefault(name, []).append(steps * ROWS / (time.process_time() - began))
    return rates


class Hebbians:
    """A population of Hebbian quadrupeds that lives by the recipe, and what bare Bullet and the stock make of it."""

    def __init__(self, members: int, batches: list[int]) -> None:
        self.recipe = checked(load_recipe("quadruped-hebbian", ["task.variations=[{}]"]))
        task = self.recipe.task
        self.tasks = {
            batch: build_task(self.recipe.model_copy(update={"task": task.model_copy(update={"batch": batch})}))
            for batch in batches
        }
        self.layout = self.tasks[batches[0]].layout
        self.members, self.world = members, Simulation()
        self.network = PlasticNetwork(28, 8, self.recipe.policy.hidden, rule=HebbianRule(), backend="reference")
        self.stock = gymnasium.make("AntBulletEnv-v0", **QUIET)

    def draw(self, rng: np.random.Generator) -> None:
        """Another population, and other seeds."""
        size = self.members, self.layout.size
        self.genomes = torch.from_numpy(rng.standard_normal(size, np.float32)) * self.recipe.search.center_std
        self.seeds = rng.integers(2**31, size=(self.members, 1))

    def live(self, batch: int) -> int:
        """All lives; returns the steps."""
        population = DensePopulation(self.genomes)
        return int(self.tasks[batch].evaluate(population, range(self.members), self.seeds).steps.sum())

    def record(self, batch: int) -> list[Life]:
        """The same, and what Bullet is asked for."""
        lives: dict[int, list[Life]] = {}
        reset, step = Simulation.reset, Simulation.step

        def recording_reset(self: Simulation, angles: list[float], *damages: Any) -> list[float]:
            lives.setdefault(self.client, []).append((list(angles), []))
            return reset(self, angles, *damages)

        def recording_step(self: Simulation, torques: list[float]) -> list[float]:
            lives[self.client][-1][1].append(torques)
            return step(self, torques)

        Simulation.reset, Simulation.step = recording_reset, recording_step  # pyright: ignore[reportAttributeAccessIssue]
        try:
            self.live(batch)
        finally:
            Simulation.reset, Simulation.step = reset, step
        return [life for world in lives.values() for life in world]

    def repeat(self, lives: list[Life]) -> int:
        """Bare Bullet with the same torques."""
        for angles, steps in lives:
            self.world.reset(angles)
            for torques in steps:
                bare_step(self.world, torques)
        return sum(len(steps) for _, steps in lives)

    def live_in_stock(self, lives: list[Life]) -> int:
        """The first member for as many steps as it lives, in the stock environment, by plain torch."""
        self.network.birth(self.genomes[:1], self.seeds[0])
        observation, _ = self.stock.reset(seed=int(self.seeds[0, 0]))
        reward, steps = torch.zeros(1), len(lives[0][1])
        for step in range(steps):
            action = np.zeros(8, np.float32)
            if step >= self.recipe.task.idle:
                action = self.network.act(torch.from_numpy(observation)[None], reward, [0])[0].numpy()
            observation, paid, *_ = self.stock.step(action)
            reward[0] = float(paid)
        return steps


def measure_populations(hebbians: Hebbians, rounds: int, rng: np.random.Generator) -> Rates:
    rates: Rates = {}
    for number in range(rounds + 1):
        hebbians.draw(rng)
        lives = hebbians.record(min(hebbians.tasks))
        contest: dict[str, Callable[[], int]] = {"bare Bullet": partial(hebbians.repeat, lives)}
        contest |= {f"population, batch of {batch}": partial(hebbians.live, batch) for batch in hebbians.tasks}
        contest["stock AntBulletEnv-v0, torch policy"] = partial(hebbians.live_in_stock, lives)
        for name, live in contest.items():
            began = time.process_time()
            steps = live()
            if number:
                rates.setdefault(name, []).append(steps / (time.process_time() - began))
    return rates


PARTS: dict[str, list[tuple[Any, str]]] = {  # what belongs to it, less what it calls of the others
    "torques in": [(pybullet, "setJointMotorControlArray")],
    "stepSimulation": [(pybullet, "stepSimulation")],
    "joint states": [(pybullet, "getJointStates")],
    "position and orientation": [(pybullet, "getBasePositionAndOrientation")],
    "velocity": [(pybullet, "getBaseVelocity")],
    "contacts": [(pybullet, "getContactPoints")],
    "kernel": [(cpu, "_step_plainly"), (cpu, "_step")],
    "network around the kernel": [(PlasticNetwork, "act")],
    "environment around Bullet": [(VectorBodies, "step")],
    "births": [(DensePopulation, "rows"), (PlasticNetwork, "birth"), (Simulation, "reset")],
}


def parts_of_a_step(hebbians: Hebbians, batch: int, rounds: int, rng: np.random.Generator) -> Parts:
    synapses = sum(layer.inputs * layer.outputs for layer in hebbians.network.layers)
    ours, least = [], []
    for number in range(rounds + 1):
        hebbians.draw(rng)
        lives = hebbians.record(batch)
        for live, spent in ((partial(hebbians.live, batch), ours), (partial(hebbians.repeat, lives), least)):
            began = time.perf_counter()
            steps = live()
            whole = time.perf_counter() - began
            with watched(PARTS) as taken:
                live()
            if number:
                spent.append([1e6 * seconds / steps for seconds in (*taken.values(), whole)])
    *parts, whole = np.median(ours, axis=0).tolist()
    *floors, floor = np.median(least, axis=0).tolist()
    table = dict(zip(PARTS, zip(parts, floors, strict=True), strict=True))
    kernel = 1e6 * best_seconds([triad(BYTES * synapses * batch)], 0.5)[0] / batch
    table["kernel"] = table["kernel"][0], kernel
    return table | {"the rest": (whole - sum(parts), 0.0), "all": (whole, floor + kernel)}


def show(title: str, rates: Rates) -> dict[str, dict[str, float]]:
    """Prints a table, and returns it: medians over the rounds, the ratio being taken within each."""
    print(f"\n{title:36}{'steps/s':>9}{'µs':>9}{'of bare':>9}")
    table = {}
    for name, rate in rates.items():
        ratio = float(np.median(np.divide(rate, rates["bare Bullet"])))
        table[name] = {"steps_per_second": float(np.median(rate)), "of_bare": ratio}
        print(f"{name:36}{np.median(rate):9.0f}{1e6 / np.median(rate):9.1f}{ratio:9.2f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few short rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    rng = np.random.default_rng()
    rounds, steps, members = (3, 50, 32) if arguments.quick else (9, 500, 64)
    report: dict[str, Any] = {"environments": show("random actions", measure_environments(rounds, steps, rng))}
    hebbians = Hebbians(members, [1, 2, 4, 8, 16])
    report["populations"] = show("Hebbian networks", measure_populations(hebbians, rounds, rng))
    batch = hebbians.recipe.task.batch
    parts = parts_of_a_step(hebbians, batch, rounds, rng)
    print(f"\n{f'µs of one step, batch of {batch}':36}{'ours':>9}{'floor':>9}")
    for name, (ours, least) in parts.items():
        print(f"{name:36}{ours:9.1f}{least:9.1f}")
    if arguments.json:
        report |= {
            "microseconds": {name: {"ours": ours, "floor": least} for name, (ours, least) in parts.items()},
            "batch": batch,
            "rounds": rounds,
            "machine": platform.processor() or platform.machine(),
            "versions": {name: version(name) for name in ("pybullet", "gymnasium", "numpy", "torch", "numba")}
            | {"python": platform.python_version()},
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
