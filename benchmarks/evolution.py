"""Does evolution find what luck does not? A recipe against random search at equal evaluations, over several seeds.

    python benchmarks/evolution.py quadruped-quick --seeds 3 --json results/quadruped-quick.json

For each seed: the center before the first generation, what random search returns, and what the recipe's strategy
returns, each as the mean over the same test episodes. The interval is a 95 % bootstrap over all episodes of all seeds,
drawn seed by seed. Runs are resumed where they were interrupted. `control.py` compares many strategies in this way.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from neuroplastic.evaluate.processes import cores
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import checked
from neuroplastic.experiment.kinds.evolution import build_learner, build_task
from neuroplastic.experiment.loop import evolve
from neuroplastic.experiment.recipe import Recipe, load_recipe
from neuroplastic.experiment.report import PlainReporter
from neuroplastic.experiment.run import RunFolder
from neuroplastic.experiment.scores import score


def evolved(recipe: Recipe, path: Path) -> Path:
    """The folder of the recipe's whole run, which goes on if it was begun before."""
    recipe = checked(recipe)
    if (path / "recipe.toml").exists():
        run = RunFolder.open(path, [f"generations={recipe.generations}"])
        if run.recipe.fingerprint() != recipe.fingerprint():
            raise SystemExit(f"{path}: a run of another recipe; choose another folder by --runs, or remove it")
    else:
        run = RunFolder.create(path, recipe)
    with run:
        if not evolve(run, PlainReporter(Console(stderr=True))):
            raise SystemExit("stopped; the same command goes on")
    return path


def newborn(recipe: Recipe) -> Agent:
    """The center before the first generation."""
    complete = checked(recipe)
    task = build_task(complete)
    with SerialEvaluator(task) as evaluator:
        found = build_learner(complete, task, evaluator).found()["center"]
        return Agent(found.genome, complete, task.layout, 0, found.statistics)


def with_search(recipe: Recipe, **search: Any) -> Recipe:
    """The recipe with another section of that name."""
    return recipe.model_copy(update={"search": recipe.search.model_validate(search)})


def random_search(recipe: Recipe, sigma: float) -> Recipe:
    """As many members in a generation, all drawn from N(0, σ²)."""
    population = recipe.search.options["population"]
    return with_search(recipe, name="random", center_std=0.0, sigma=sigma, population=population)


def returns(agent: Agent, episodes: int, workers: int, seed: int = 0) -> list[float]:
    """Of the test episodes that a seed chooses, the same ones for all agents."""
    (scored,), failures = score(agent, [agent.recipe.task.variations[0]], episodes, seed, workers)
    if failures:
        raise SystemExit(f"test episodes failed: {failures}")
    return scored.returns.tolist()


def interval(returns: np.ndarray, resamples: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of returns [seeds, episodes]: seeds are drawn, then episodes within them."""
    rng = np.random.default_rng(0)
    seeds, episodes = returns.shape
    means = [
        returns[rng.integers(seeds, size=seeds)[:, None], rng.integers(episodes, size=(seeds, episodes))].mean()
        for _ in range(resamples)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def row(name: str, figures: np.ndarray) -> str:
    """A line of a table: each seed, the mean and its interval, of returns [seeds, episodes]."""
    seeds = ", ".join(f"{mean:.1f}" for mean in figures.mean(axis=1))
    low, high = interval(figures)
    return f"| {name} | {seeds} | {figures.mean():.1f} | {low:.1f} … {high:.1f} |"


def asked(parser: argparse.ArgumentParser, seeds: int, episodes: int, few: int, runs: str) -> argparse.Namespace:
    """The command line's words, with those of a comparison over seeds; a quick one is of one seed, ``few`` episodes."""
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--episodes", type=int, default=episodes)
    parser.add_argument("--runs", type=Path, default=Path(runs), help="folder of the runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all returns there")
    parser.add_argument("--quick", action="store_true", help="one seed, few episodes")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.episodes = 1, few
    return arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    arguments = asked(parser, seeds=3, episodes=20, few=5, runs="runs/benchmark")
    torch.set_num_threads(1)

    def run(recipe: Recipe, kind: str) -> Agent:
        return Agent.load(evolved(recipe, arguments.runs / f"{arguments.recipe}-{kind}-{recipe.seed}"))

    contenders = {
        "generation 0": newborn,
        # Members are drawn as the recipe's search draws its start.
        "random search": lambda recipe: run(random_search(recipe, recipe.search.center_std), "random"),
        "the recipe": lambda recipe: run(recipe, "as-it-is"),
    }
    figures: dict[str, list[list[float]]] = {}
    rows = [f"| {arguments.recipe} | each seed | mean | 95 % interval |", "| --- | --- | --- | --- |"]
    for name, find in contenders.items():
        recipes = [load_recipe(arguments.recipe, [f"seed={seed}"]) for seed in range(1, arguments.seeds + 1)]
        figures[name] = [returns(find(recipe), arguments.episodes, cores()) for recipe in recipes]
        rows.append(row(name, np.array(figures[name])))
    print("\n".join(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
