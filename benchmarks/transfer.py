"""What PathNet carries from one task to the next, beside those who go without a part of it (`learners/transfer.py`).

    python benchmarks/transfer.py [--pairs NAME ...] [--quick] [--seeds N] [--runs FOLDER] [--json FILE]

Pairs of tasks, each seed with other ones:

- ``teacher``: classes named by two teachers that see the same features, which are dear to learn;
- ``apart``: the same, but the teachers have nothing in common;
- ``cartpole``: a pole to be balanced for 200 steps, then with left and right exchanged, by actor-critic;
- ``digits``: two digits against each other, then two other ones, a fifth of the pixels salt and pepper.

All arms are shown equally many minibatches (of the pole: rollouts). Steps to the threshold are minibatches until the
score first reaches it: on test examples; of the pole the return in training, of the better path where there are more.
A seed that never does counts as one round more than there are. Speed-ups are geometric means of
ratios paired by seed, with 95 % bootstrap intervals over seeds. Settings and thresholds were chosen on seeds from 101
on, these are 1 on. Each finished seed is a line of FOLDER/NAME.jsonl: stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuroplastic.errors import check_output
from neuroplastic.learners.pathnet import Tournament
from neuroplastic.learners.transfer import ARMS, Score, Setting, compare, mean_interval, rounds_to, speed_up
from neuroplastic.noise import stream
from neuroplastic.pathnet import Descent, Linear, SuperNetwork
from neuroplastic.tasks.pathnet.base import PathTask
from neuroplastic.tasks.pathnet.control import ControlTask
from neuroplastic.tasks.pathnet.digits import digit_pairs, digit_tasks, digit_test
from neuroplastic.tasks.pathnet.supervised import accuracy
from neuroplastic.tasks.pathnet.teacher import teacher_tasks

NOISE = 0.2
Tasks = tuple[Sequence[PathTask], Sequence[Score | None]]


@dataclass(frozen=True)
class Pair:
    """Two tasks for each seed, how they are learned, and the score that counts as learned."""

    setting: Setting
    tasks: Callable[[int], Tasks]
    threshold: float


def _score(x: torch.Tensor, y: torch.Tensor) -> Score:
    return lambda predict: accuracy(predict(x), y)


def _teachers(common: bool) -> Callable[[int], Tasks]:
    def make(seed: int) -> Tasks:
        tasks = teacher_tasks(stream(seed, "teachers") >> 1, inputs=16, hidden=4, outputs=4, common=common)
        return tasks, [_score(*task.draw(stream(seed, "test", task.name), 2000, 0)) for task in tasks]

    return make


def _digits(seed: int) -> Tasks:
    pairs = digit_pairs(seed)
    scores = [_score(*digit_test(pair, NOISE, stream(seed, "test"), copies=4)) for pair in pairs]
    return digit_tasks(*pairs, noise=NOISE), scores


def _cartpoles(seed: int) -> Tasks:
    make = partial(ControlTask, "CartPole-v1", options={"max_episode_steps": 200}, environments=8, moves=16, scale=0.1)
    return [make(name="cartpole"), make(name="mirrored", mirrored=True)], [None, None]


def _setting(
    inputs: int, layers: int, steps: int, learning_rate: float, rounds: tuple[int, int], always_active: bool
) -> Setting:
    network = SuperNetwork.alike(inputs, [Linear(20)] * layers, 10)
    tournament = Tournament(population=8, genes=3, steps=steps)
    return Setting(network, tournament, Descent("sgd", learning_rate), rounds, always_active)


TEACHERS = _setting(16, 2, 25, 0.05, (150, 60), always_active=True)
CONTROL = Setting(
    # A readout without an opinion: what is frozen is loud, and a loud readout of it would not explore.
    replace(SuperNetwork.alike(4, [Linear(20)] * 2, 10), readout=partial(Linear, activation="linear", gain=0.0)),
    Tournament(population=8, genes=3, steps=20, pairs=2),
    Descent("adam", 0.003),
    (20, 20),
    always_active=True,
)
PAIRS = {
    "teacher": Pair(TEACHERS, _teachers(common=True), 0.75),
    "apart": Pair(TEACHERS, _teachers(common=False), 0.75),
    "cartpole": Pair(CONTROL, _cartpoles, 150),
    "digits": Pair(_setting(64, 3, 10, 0.02, (150, 100), always_active=False), _digits, 0.9),
}


def results(pair: Pair, seeds: Sequence[int], file: Path) -> list[dict[str, Any]]:
    """Of each seed; those in the file are not done again."""
    fingerprint = f"{pair.setting} {pair.threshold}"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {line["seed"]: line for line in lines if line["setting"] == fingerprint}
    for seed in seeds:
        if seed not in done:
            done[seed] = {"seed": seed, "arms": compare(pair.setting, *pair.tasks(seed), seed), "setting": fingerprint}
            with file.open("a") as out:
                out.write(json.dumps(done[seed]) + "\n")
    return [done[seed] for seed in seeds]


def table(pair: Pair, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of all arms; speed-ups of PathNet over each of the others."""
    tournament, arms = pair.setting.tournament, {}
    per_round = 2 * tournament.pairs * tournament.steps
    curves = {arm: np.array([line["arms"][arm]["curve"] for line in lines]) for arm in ARMS}
    rounds = {arm: rounds_to(curve, pair.threshold) for arm, curve in curves.items()}
    for arm, curve in curves.items():
        own = [line["arms"][arm] for line in lines]
        arms[arm] = {
            "steps": vars(mean_interval(per_round * rounds[arm])),
            "reached": int((rounds[arm] <= curve.shape[1]).sum()),
            "area": vars(mean_interval(curve.mean(axis=1))),
            "last": vars(mean_interval(curve[:, -1])),
            "curve": curve.mean(axis=0).round(4).tolist(),
        }
        for name in ("first", "forgotten"):
            if name in own[0]:
                arms[arm][name] = vars(mean_interval(np.array([line[name] for line in own])))
        if arm != "pathnet":
            arms[arm]["speed-up of pathnet"] = vars(speed_up(rounds[arm], rounds["pathnet"]))
            arms[arm]["sooner"] = int((rounds["pathnet"] < rounds[arm]).sum())
            arms[arm]["area gained"] = vars(mean_interval((curves["pathnet"] - curve).mean(axis=1)))
    shared = np.array([line["arms"]["pathnet"]["overlap"] for line in lines])
    gain = np.log(rounds["independent"] / rounds["pathnet"])
    varies = shared.sum(axis=1).std() > 0 and gain.std() > 0
    return {
        "seeds": len(lines),
        "threshold": pair.threshold,
        "arms": arms,
        "overlap": shared.mean(axis=0).tolist(),
        "correlation of overlap and speed-up": float(np.corrcoef(shared.sum(axis=1), gain)[0, 1]) if varies else None,
    }


def show(name: str, found: dict[str, Any]) -> None:
    print(f"\n| {name}, {found['seeds']} seeds | steps to {found['threshold']:g} | reached | area | last |", end="")
    print(" forgotten | speed-up of pathnet | sooner |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for arm, figures in found["arms"].items():
        cells = [_cell(figures["steps"], ".0f"), f"{figures['reached']}"]
        cells += [_cell(figures["area"], ".3f"), _cell(figures["last"], ".3f")]
        cells += [_cell(figures["forgotten"], ".3f") if "forgotten" in figures else "-"]
        cells += [_cell(figures["speed-up of pathnet"], ".2f") if arm != "pathnet" else "-"]
        cells += [f"{figures['sooner']} of {found['seeds']}" if arm != "pathnet" else "-"]
        print(f"| {arm} | {' | '.join(cells)} |")
    correlation = found["correlation of overlap and speed-up"]
    print(
        f"overlap of the paths, layer by layer: {', '.join(f'{each:.2f}' for each in found['overlap'])} of "
        f"{PAIRS[name].setting.tournament.genes}; its correlation with the speed-up over independent learning: "
        + ("-" if correlation is None else f"{correlation:.2f}")
    )


def _cell(interval: dict[str, float], digits: str) -> str:
    mean, low, high = (format(interval[key], digits) for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--quick", action="store_true", help="2 seeds, a tenth of the rounds: shows that it runs")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"), help="folder of the finished seeds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there; other pairs in it stay")
    options = parser.parse_args()
    if options.json:
        check_output("--json", options.json)
    torch.set_num_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    report = {}
    for name in options.pairs:
        pair = PAIRS[name]
        if options.quick:
            short = tuple(max(1, number // 10) for number in pair.setting.rounds)
            pair, options.seeds = replace(pair, setting=replace(pair.setting, rounds=short)), 2
        seeds = range(options.first, options.first + options.seeds)
        report[name] = table(pair, results(pair, seeds, options.runs / f"{name}.jsonl"))
        show(name, report[name])
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps(before | report, indent=1) + "\n")


if __name__ == "__main__":
    main()
