"""Which strategy finds Hebbian rules for CartPole, Pendulum and Acrobot, and does luck not? At equal numbers of lives.

    python benchmarks/control.py [--quick] [--seeds N] [--json FILE] [--plot FILE]

The recipes as they are, but for their search: the same population, episodes and generations for all, so the same
number of lives. Random search draws its members from N(0, σ²); the others start at one draw from N(0, 1). Everything
else a strategy is told is its default, except one number, its first σ. OpenAI-ES and PGPE climb by Adam as in the
recipes, at a learning rate of σ (PGPE's own ClipUp makes steps 15 times shorter, too short for so few generations).
That σ is tuned for all of them alike: each of three values on each task with half the generations, seed 101 and test
episodes of its own; the value whose ranks over the tasks have the smallest sum is taken for all tasks.

Then for each seed: the mean return of the center that a run ends with over 100 test episodes, the same ones for all. Of
the genetic algorithm and of random search the center is the fittest member; ``best`` is what a run chose by trying its
fittest members again. The interval is a 95 % bootstrap over seeds and episodes; a seed counts as solved where its mean
reaches the threshold that Gymnasium states. Every run is a run folder: stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from evolution import evolved, interval, newborn, random_search, returns, row, with_search

from neuroplastic.errors import check_output
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.recipe import Recipe, load_recipe
from neuroplastic.experiment.run import read_metrics

GENERATIONS = {"cartpole-hebbian": 20, "pendulum-hebbian": 32, "acrobot-hebbian": 20}
POPULATION = 64
STRATEGIES = ("openai-es", "pgpe", "snes", "xnes", "cma-es", "genetic", "random")
BY_GRADIENT = ("openai-es", "pgpe")
SIGMAS = (0.1, 0.3, 1.0)
TUNING_SEED = 101


class Comparison:
    """Runs and their returns, kept in a folder.

    Args:
        folder: of the runs.
        share: of the generations that are done.
        episodes: of a test.
        workers: processes.
    """

    def __init__(self, folder: Path, share: float, episodes: int, workers: int) -> None:
        self.folder, self.share, self.episodes, self.workers = folder, share, episodes, workers

    def recipe(self, task: str, seed: int, share: float = 1.0) -> Recipe:
        generations = max(1, round(self.share * share * GENERATIONS[task]))
        return load_recipe(task, [f"generations={generations}", f"seed={seed}", f"evaluate.workers={self.workers}"])

    def run(self, task: str, strategy: str, sigma: float, seed: int, share: float = 1.0) -> Path:
        """A run's folder, once it is complete."""
        recipe = self.recipe(task, seed, share)
        if strategy == "random":
            recipe = random_search(recipe, sigma)
        else:
            own = {"optimizer": "adam", "learning_rate": sigma} if strategy in BY_GRADIENT else {}
            recipe = with_search(recipe, name=strategy, population=POPULATION, sigma=sigma, **own)
        return evolved(recipe, self.folder / task / f"{strategy}-{sigma}-{seed}")

    def returns(self, run: Path, which: str = "center", seed: int = 0) -> list[float]:
        """Of an agent's test, which is remembered in its folder."""
        file = run / f"returns-{which}.json"
        if file.exists() and len(known := json.loads(file.read_text())) == self.episodes:
            return known
        found = returns(Agent.load(run, which), self.episodes, self.workers, seed)
        file.write_text(json.dumps(found))
        return found

    def tune(self, strategy: str) -> dict[str, list[float]]:
        """The mean return with each of `SIGMAS` on each task."""
        found: dict[str, list[float]] = {}
        for task in GENERATIONS:
            runs = [self.run(task, strategy, sigma, TUNING_SEED, share=0.5) for sigma in SIGMAS]
            found[task] = [float(np.mean(self.returns(run, seed=TUNING_SEED))) for run in runs]
        return found


def chosen(tuned: dict[str, list[float]]) -> float:
    """The σ whose ranks over the tasks have the smallest sum; the first one on a tie."""
    ranks = [(np.array(means)[:, None] < np.array(means)).sum(axis=1) for means in tuned.values()]
    return SIGMAS[int(np.sum(ranks, axis=0).argmin())]


def draw(curves: dict[str, dict[str, list[Path]]], file: Path) -> None:
    """A panel for each task: the center's fitness over the lives so far, its median and quartiles over the seeds.

    Each point is a mean over 5 generations, because each of them has episodes of its own.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.5), layout="constrained")
    panels = figure.subplots(1, len(curves))
    for axes, (task, strategies) in zip(panels, curves.items(), strict=True):
        for number, (name, runs) in enumerate(strategies.items()):
            metrics = [read_metrics(run) for run in runs]
            length = min(map(len, metrics))
            centers = np.array([[each["center"] for each in rows[:length]] for rows in metrics])
            smooth = np.array([np.convolve(np.pad(each, 2, "edge"), np.full(5, 0.2), "valid") for each in centers])
            low, middle, high = np.quantile(smooth, [0.25, 0.5, 0.75], axis=0)
            lives = [each["evaluations"] for each in metrics[0][:length]]
            style = {"color": "black", "linestyle": "--"} if name == "random" else {"color": f"C{number}"}
            axes.plot(lives, middle, label=name, **style)
            axes.fill_between(lives, low, high, alpha=0.12, linewidth=0, color=style["color"])
        axes.set(title=task, xlabel="lives")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("return of the center")
    panels[-1].legend(fontsize="small")
    figure.savefig(file, dpi=130)


def solved(task: str, means: Iterable[float]) -> str:
    """How many means reach the environment's own threshold, if it has one."""
    threshold = gymnasium.spec(load_recipe(task).task.env).reward_threshold
    values = list(means)
    return "-" if threshold is None else f"{sum(mean >= threshold for mean in values)} of {len(values)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 seeds, an eighth of the generations, 5 test episodes")
    parser.add_argument("--seeds", type=int, default=5, help="from 1 on")
    parser.add_argument("--runs", type=Path, default=Path("runs/control"), help="folder of the runs")
    parser.add_argument("--workers", type=int, default=1, help="processes; the numbers do not depend on them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves there")
    arguments = parser.parse_args()
    for option in ("json", "plot"):
        if file := getattr(arguments, option):
            check_output(f"--{option}", file)
    torch.set_num_threads(1)
    if arguments.quick:
        arguments.seeds = 2
        comparison = Comparison(arguments.runs / "quick", 1 / 8, 5, arguments.workers)
    else:
        comparison = Comparison(arguments.runs, 1.0, 100, arguments.workers)

    tuned = {strategy: comparison.tune(strategy) for strategy in STRATEGIES}
    sigmas = {strategy: chosen(means) for strategy, means in tuned.items()}
    seeds = range(1, arguments.seeds + 1)
    runs: dict[str, dict[str, list[Path]]] = {task: {name: [] for name in STRATEGIES} for task in GENERATIONS}
    for seed in seeds:  # so that fewer seeds make a whole table, too
        for task, strategy in ((task, strategy) for task in GENERATIONS for strategy in STRATEGIES):
            runs[task][strategy].append(comparison.run(task, strategy, sigmas[strategy], seed))

    report: dict = {
        "population": POPULATION,
        "sigmas": sigmas,
        "tuning": {"sigmas": SIGMAS, "means": tuned},
        "tasks": {},
    }
    for task, strategies in runs.items():
        lives = int(read_metrics(strategies["random"][0])[-1]["evaluations"])
        print(f"\n| {task}, {lives:,} lives | σ | each seed | mean | 95 % interval | solved | best |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        untouched = np.array(
            [returns(newborn(comparison.recipe(task, seed)), comparison.episodes, arguments.workers) for seed in seeds]
        )
        print(f"{row('generation 0 | -', untouched)} {solved(task, untouched.mean(axis=1))} | - |")
        figures = report["tasks"][task] = {"generation 0": {"seeds": untouched.mean(axis=1).tolist()}}
        for strategy, folders in strategies.items():
            center = np.array([comparison.returns(run) for run in folders])
            best = np.array([comparison.returns(run, "best") for run in folders])
            means = center.mean(axis=1)
            name = f"{strategy} | {sigmas[strategy]:g}"
            print(f"{row(name, center)} {solved(task, means)} | {best.mean():.1f} |")
            last = [read_metrics(run)[-1] for run in folders]
            figures[strategy] = {
                "seeds": means.tolist(),
                "mean": float(center.mean()),
                "interval": interval(center),
                "solved": solved(task, means),
                "best": {"seeds": best.mean(axis=1).tolist(), "mean": float(best.mean()), "interval": interval(best)},
                "lives": [int(each["evaluations"]) for each in last],
                "steps": [int(each["steps"]) for each in last],
            }
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.plot:
        draw(runs, arguments.plot)


if __name__ == "__main__":
    main()
