"""Does evolution find what luck does not? A recipe against random search at equal evaluations, over several seeds.

    python benchmarks/evolution.py quadruped-quick --seeds 3 --json results/quadruped-quick.json

For each seed: the center before the first generation, what random search returns, and what the recipe's strategy
returns, each as the mean over the same test episodes. The interval is a 95 % bootstrap over all episodes of all seeds,
drawn seed by seed. Runs are resumed where they were interrupted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from neuroplastic.evaluate.processes import cores
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.build import build_learner, build_task, checked
from neuroplastic.experiment.loop import evolve
from neuroplastic.experiment.recipe import load_recipe
from neuroplastic.experiment.report import PlainReporter
from neuroplastic.experiment.run import RunFolder
from neuroplastic.experiment.scores import score


def evolved(recipe: str, seed: int, words: list[str], folder: Path) -> Agent:
    """The center after a whole run, which is resumed if it was begun before."""
    path = folder / f"{recipe}-{'-'.join(words) or 'as-it-is'}-{seed}"
    if (path / "recipe.toml").exists():
        run = RunFolder.open(path)
    else:
        found = load_recipe(recipe)
        if "search.name=random" in words:
            # Members are drawn as the recipe's search draws its start: from N(0, center_std²).
            drawn = {"sigma": found.search.center_std, "population": found.search.options["population"]}
            search = found.search.model_validate({"name": "random", "center_std": 0.0, **drawn})
            found = found.model_copy(update={"search": search})
        run = RunFolder.create(path, checked(found.model_copy(update={"seed": seed})))
    with run:
        if not evolve(run, PlainReporter(Console(stderr=True))):
            raise SystemExit("stopped; the same command goes on")
    return Agent.load(path)


def newborn(recipe: str, seed: int) -> Agent:
    """The center before the first generation."""
    complete = checked(load_recipe(recipe, [f"seed={seed}"]))
    task = build_task(complete)
    with SerialEvaluator(task) as evaluator:
        learner = build_learner(complete, task, evaluator)
        found = learner.found()["center"]
        return Agent(found.genome, complete, task.layout, 0, found.statistics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="one seed, few episodes")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.episodes = 1, 5
    torch.set_num_threads(1)

    contenders = {
        "generation 0": lambda seed: newborn(arguments.recipe, seed),
        "random search": lambda seed: evolved(arguments.recipe, seed, ["search.name=random"], arguments.runs),
        "the recipe": lambda seed: evolved(arguments.recipe, seed, [], arguments.runs),
    }
    figures: dict[str, list[list[float]]] = {}
    rows = [f"| {arguments.recipe} | each seed | mean | 95 % interval |", "| --- | --- | --- | --- |"]
    for name, find in contenders.items():
        returns = []
        for seed in range(1, arguments.seeds + 1):
            agent = find(seed)
            (scored,), _ = score(agent, [agent.recipe.task.variations[0]], arguments.episodes, workers=cores())
            returns.append(scored.returns.tolist())
        figures[name] = returns
        low, high = interval(np.array(returns))
        seeds = ", ".join(f"{np.mean(each):.1f}" for each in returns)
        rows.append(f"| {name} | {seeds} | {np.mean(returns):.1f} | {low:.1f} … {high:.1f} |")
    print("\n".join(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


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


if __name__ == "__main__":
    main()
