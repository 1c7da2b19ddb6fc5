"""Does plasticity help where the world changes in mid-life? Rules beside each other, with equal budgets and controls.

    python benchmarks/plasticity.py --seeds 5 --json results/plasticity.json

In each world every contender has the same network, search and number of lives, in bodies that change in mid-life at a
step nobody can know and in bodies that do not. Then each agent lives through test episodes no evolution has seen, as it
is and with its weights frozen at birth, shortly before the earliest change, or its rule's coefficients drawn at random.
Intervals are 95 % bootstraps over seeds, and episodes within them; differences are paired by seed and episode. Runs go
on where they were interrupted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evolution import asked, evolved, interval, with_search

from neuroplastic.evaluate.processes import cores
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.controls import LIVING, Plan, Trial
from neuroplastic.experiment.recipe import Recipe, load_recipe
from neuroplastic.plastic.published import PUBLISHED

Figures = dict[str, dict[str, dict[str, list[list[float]]]]]
"""Contender -> "changing" or "unchanging" -> what was done to it -> returns [seeds, episodes]."""

HEBBIAN = "hebbian-abcd"
SEARCHED = "random search"


@dataclass(frozen=True)
class World:
    """A body, how it changes, and what the search may spend.

    Attributes:
        base: the recipe whose network and search are used.
        words: what is otherwise.
        change: damage in mid-life.
        before: a step before the earliest change, at which weights are frozen.
    """

    base: str
    words: Sequence[str]
    change: str
    before: int


_NETWORK = ["policy.hidden=[32,16]", "task.batch=64"]

WORLDS = {
    "pendulum": World(
        "pendulum-hebbian",
        [
            *_NETWORK,
            'task.env="neuroplastic_envs:neuroplastic/ChangingPendulum-v0"',
            "search.population=64",
            "task.episodes=4",
            "generations=120",
        ],
        "mirrored@60-140",
        50,
    ),
    "acrobot": World(
        "acrobot-hebbian",
        [
            *_NETWORK,
            'task.env="neuroplastic_envs:neuroplastic/ChangingAcrobot-v0"',
            "search.population=64",
            "task.episodes=4",
            "generations=60",
        ],
        "mirrored@10-60",
        8,
    ),
}

CONTENDERS: dict[str, Sequence[str]] = {  # beside their published switches
    "static": (),
    "static-gru": (),
    HEBBIAN: (),
    "nchl": (),
    "hebbian-shared": (),
    "evolve-and-merge": (),
    "reward-modulated": (),
    SEARCHED: (),
}


def recipe_of(world: World, contender: str, seed: int) -> Recipe:
    """The world's recipe with the contender's rule, and all else equal."""
    published = PUBLISHED[HEBBIAN if contender == SEARCHED else contender]
    variations = f'task.variations=[{{damage="{world.change}"}}, {{}}]'
    words = [*world.words, variations, f"seed={seed}"]
    words += [f"policy.{name}={value}" for name, value in published.network.items()]
    recipe = load_recipe(world.base, words)
    switches: dict[str, Any] = dict(published.switches)
    if "normaliser" not in switches and switches.get("terms") != "":
        switches["normaliser"] = recipe.rule.options.get("normaliser", "none")
    values = recipe.model_dump(exclude_none=True) | {"rule": {"name": "hebbian", **switches}}
    if published.merged:
        values["merge"] = [{"generation": recipe.generations // 2, "groups": published.merged}]
    recipe = Recipe.model_validate(values)
    if contender == SEARCHED:  # members are drawn as the others' searches draw their start
        population = recipe.search.options["population"]
        reach = recipe.search.center_std
        recipe = with_search(recipe, name="random", center_std=0.0, sigma=reach, population=population)
    return recipe


def plan(agent: Agent, world: World, changing: bool) -> Plan:
    """The agent as it is, frozen at two moments, and with a random rule: in bodies that change, or that do not."""
    variations: Sequence[Mapping[str, Any]] = [{"damage": world.change}] if changing else [{}]
    done = {"living": ()}
    if agent.recipe.rule.options["terms"]:
        done |= {
            "frozen at birth": ("freeze=0",),
            "frozen before": (f"freeze={world.before}",),
            "random rule": ("random_rule",),
        }
    return Plan(
        [
            Trial(LIVING if name == "living" else name, "living" if name == "living" else "own", words, variations, 1)
            for name, words in done.items()
        ],
        window=10,
    )


def tried(
    world: World, contender: str, seeds: int, episodes: int, runs: Path
) -> dict[str, dict[str, list[list[float]]]]:
    """Returns of a contender's agents, one for each seed."""
    found: dict[str, dict[str, list[list[float]]]] = {"changing": {}, "unchanging": {}}
    for seed in range(1, seeds + 1):
        agent = Agent.load(
            evolved(recipe_of(world, contender, seed), runs / f"{world.base}-{contender}-{seed}".replace(" ", "-"))
        )
        for name, lives in found.items():
            answers, failures = plan(agent, world, name == "changing").run(agent, episodes, 0, cores())
            if failures:
                raise SystemExit(f"{contender}: test episodes failed: {failures}")
            for answer in answers:
                lives.setdefault(answer.trial.name, []).append(answer.returns.tolist())
    return found


def cell(returns: np.ndarray) -> str:
    low, high = interval(returns)
    return f"{returns.mean():.0f} ({low:.0f} … {high:.0f})"


def table(world: str, figures: Figures) -> str:
    """Markdown: a line for each contender."""
    rows = [
        f"| {world} | changes in mid-life | does not change | frozen at birth | frozen before the change | random rule "
        "| each seed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for contender, lives in figures.items():
        returns = {name: np.array(values) for name, values in lives["changing"].items()}
        living = returns[LIVING]
        others = [
            cell(returns[name] - living) if name in returns else "-"
            for name in ("frozen at birth", "frozen before", "random rule")
        ]
        each = ", ".join(f"{mean:.0f}" for mean in living.mean(axis=1))
        unchanged = cell(np.array(lives["unchanging"][LIVING]))
        rows.append(f"| {contender} | {cell(living)} | {unchanged} | {' | '.join(others)} | {each} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    arguments = asked(parser, seeds=5, episodes=100, few=10, runs="runs/plasticity")
    torch.set_num_threads(1)
    everything: dict[str, Figures] = {}
    for world in arguments.worlds:
        everything[world] = {
            contender: tried(WORLDS[world], contender, arguments.seeds, arguments.episodes, arguments.runs)
            for contender in arguments.contenders
        }
        print(table(world, everything[world]), end="\n\n", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(everything) + "\n")


if __name__ == "__main__":
    main()
