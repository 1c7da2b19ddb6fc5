"""What learned update rules reach, beside SGD and Adam; and what a recall rule remembers.

    python benchmarks/update_rules.py evolve [--seeds 1 2 3 4 5] [--variant NAME] [--generations N] [--runs FOLDER]
    python benchmarks/update_rules.py recall|cartpole|acrobot|cartpole-life [the same options]
    python benchmarks/update_rules.py report [--seeds ...] [--runs FOLDER] [--quick] [--json FILE] [--plot FILE]

``evolve``: BLUR (k = 2, networks 2-20-1, 10 updates of batch 128) by CMA-ES on xor, and, moons. ``recall``: the recall
rule by the gradient through its life, and the same rule with frozen synapses. ``cartpole``, ``acrobot``: a BLUR agent
(k = 3) whose genome evolves while the synapses at birth are the same random ones in all lives, or, ``cartpole-life``,
other ones in each; beside it the same without learning, and random genomes. All save as they go: killed, the same
command goes on.

``report``: the best genome of each seed; the seed is chosen by nand, nor, circles, and judged by or, nxor, qand, disc:
accuracy after 1 to 100 updates, means over fresh networks and samples. SGD and Adam beside it are for each number of
updates those of a grid that do best in the same choice. Then the same genome in wider and deeper networks and on
scikit-learn's digits, neither of which it has ever seen; there the grid is chosen on glyphs. The intervals are 95 %
bootstraps over test seeds. The first plot is of the first variant, the second, FILE-recall, of recall.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from neuroplastic.errors import check_output
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.experiment.curves import Curve
from neuroplastic.experiment.grid import Choice, Grid, right_answers
from neuroplastic.experiment.learning import EXAM, PARTS, LearningScores, score_learning
from neuroplastic.experiment.learning_tables import learning_meaning
from neuroplastic.experiment.remembering import SNIPPETS, RecallScores, score_recall
from neuroplastic.experiment.scores import bootstrap_interval
from neuroplastic.learned.agent import LearnedPolicy
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.recall import Recall, frozen
from neuroplastic.learned.scaling import Scaled
from neuroplastic.learners.base import Learner
from neuroplastic.learners.estimators import Unroll
from neuroplastic.learners.evolution import Evolution, Selection
from neuroplastic.learners.meta import Curriculum, MetaGradient
from neuroplastic.noise import episode_seeds
from neuroplastic.search import CMAES
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.data import Snippets
from neuroplastic.tasks.families import boolean, digits
from neuroplastic.tasks.learning import LearningTask
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.recall import RecallTask
from neuroplastic.tasks.rollout import RolloutTask
from neuroplastic.view.learning import draw_learning, draw_recall

VARIANTS = {"plain": Blur(), "norms": Blur(synapse_norm=True, activation_norm=True)}
UPDATES = 10
SIZES = ((40,), (20, 20), (20, 20, 20))
NEURONS = 24
ENVIRONMENTS = {  # and whose the synapses at birth are
    "cartpole": ("CartPole-v1", "shared"),
    "acrobot": ("Acrobot-v1", "shared"),
    "cartpole-life": ("CartPole-v1", "life"),
}
AGENT = Blur(3, synapse_norm=True, activation="tanh", backward_activation="tanh")

# ---------------------------------------------------------------- runs


def evolution(variant: str, seed: int) -> Evolution:
    rule = VARIANTS[variant]
    codec = Scaled(rule)
    return Evolution(
        CMAES(codec.random(seed), population=40, sigma=0.3, seed=seed),
        SerialEvaluator(LearningTask(rule, boolean(), updates=UPDATES)),
        seed=seed,
        episodes=2,
        selection=Selection(every=25, top=3, episodes=16),
        codec=codec,
    )


def recall_rule(plastic: bool) -> Recall:
    rule = Recall(types=(0,) * NEURONS)
    return rule if plastic else frozen(rule)


def remembering(plastic: bool, seed: int, generations: int) -> MetaGradient:
    rule = recall_rule(plastic)
    task = RecallTask(rule, Snippets(NEURONS), length=8)
    return MetaGradient(
        Unroll(task, episodes=16, seed=seed),
        task,
        torch.stack([rule.random(100 * seed + genome) for genome in range(4)]).float(),
        curriculum=Curriculum(1, 8, generations // 2),
        learning_rate=0.01,
        clip=1.0,
        every=25,
        episodes=32,
        seed=seed,
    )


def environment(name: str) -> RolloutTask:
    env, initial = ENVIRONMENTS[name]
    policy = partial(LearnedPolicy, hidden=(16,), rule=AGENT, initial=initial)
    return RolloutTask(env, policy, batch=40, rules=LifeRules(horizon=500))


def living(name: str, seed: int) -> Evolution:
    codec = Scaled(AGENT)
    return Evolution(
        CMAES(codec.random(seed), population=40, sigma=0.5, seed=seed),
        SerialEvaluator(environment(name)),
        seed=seed,
        episodes=2,
        selection=Selection(every=10, top=3, episodes=16),
        codec=codec,
        max_failed=1.0,  # synapses that run away are common, and a bad genome like others
    )


def save(file: Path, state: dict) -> None:
    """Beside its place first: what is killed leaves a whole file."""
    tensors = {name: value.contiguous() for name, value in state.items() if isinstance(value, Tensor)}
    plain = {name: value for name, value in state.items() if name not in tensors}
    save_file(tensors, file.with_suffix(".part"), {"plain": json.dumps(plain)})
    file.with_suffix(".part").rename(file)


def load(file: Path) -> dict:
    with safe_open(file, "pt") as opened:
        plain = json.loads(opened.metadata()["plain"])
    return load_file(file) | plain


def run(learner: Learner, folder: Path, steps: int, every: int) -> None:
    """Goes on to so many steps; the metrics of each are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    file, metrics = folder / "state.safetensors", folder / "metrics.jsonl"
    if file.exists():
        learner.load_state_dict(load(file))
    kept = metrics.read_text().splitlines()[: learner.generation] if metrics.exists() else []
    metrics.write_text("".join(line + "\n" for line in kept))
    with metrics.open("a") as lines:
        while learner.generation < steps and not learner.stopped:
            line = learner.step()
            lines.write(json.dumps(line) + "\n")
            lines.flush()
            if learner.generation % every == 0 or learner.generation == steps:
                save(file, learner.state_dict())
                save(folder / "found.safetensors", {name: one.genome for name, one in learner.found().items()})
                shown = {name: round(value, 3) for name, value in line.items() if isinstance(value, float)}
                print(time.strftime("%H:%M"), folder.name, learner.generation, shown, flush=True)


def found(folder: Path) -> Tensor:
    return load_file(folder / "found.safetensors")["best"]


def generations(folder: Path) -> int:
    return len((folder / "metrics.jsonl").read_text().splitlines())


# ---------------------------------------------------------------- report


def interval(values: np.ndarray) -> list[float]:
    """Mean and 95 % bootstrap over test seeds."""
    return [float(values.mean()), *bootstrap_interval(values)]


def rounded(value: Any) -> Any:
    """Numbers in dictionaries and lists, to four digits; genomes stay as they are."""
    if isinstance(value, dict):
        return {name: own if name == "genome" else rounded(own) for name, own in value.items()}
    if isinstance(value, list):
        return [rounded(own) for own in value]
    return round(value, 4) if isinstance(value, float) else value


def blur_task(variant: str) -> LearningTask:
    return LearningTask(VARIANTS[variant], boolean(held_out_hidden=SIZES), updates=UPDATES)


def report_seeds(variant: str, genomes: dict[int, Tensor], runs: Path, tests: int) -> dict[int, dict]:
    """Each seed's genome after as many updates as it was evolved for."""
    task, rows = blur_task(variant), {}
    asked, chosen_by = replace(task, part="validation", exam=EXAM), episode_seeds(0, "selection", 0, tests)
    for seed, genome in genomes.items():
        choice = Choice(task.rule, tuple(genome.tolist()))
        scores = score_learning(task, genome, episodes=tests, baselines=False, parts=("train", "held-out"))
        each = {name: own["agent"] for part in scores.curves.values() for name, own in part.items()}
        kinds = {
            "trained": scores.mean("train", "agent"),
            "held-out Boolean": Curve.mean_of([each[name] for name in ("or", "nxor", "qand")]),
        }
        rows[seed] = {
            "generations": generations(runs / f"{variant}-{seed}"),
            "validation": float(right_answers(asked, [choice], [UPDATES], chosen_by)[0].mean()),
        } | {name: interval(curve.at(UPDATES)) for name, curve in (kinds | each).items()}
        print(variant, seed, rounded(rows[seed]), flush=True)
    return rows


def report_blur(
    variant: str, seeds: list[int], runs: Path, tests: int, grid: Grid | None
) -> tuple[dict, dict[str, LearningScores]]:
    """What a variant reaches, and the scores of the seed chosen, with baselines if there is a grid."""
    genomes = {seed: found(runs / f"{variant}-{seed}").float() for seed in seeds}
    rows = report_seeds(variant, genomes, runs, tests)
    chosen = max(rows, key=lambda seed: rows[seed]["validation"])
    task, few = blur_task(variant), replace(grid, episodes=2) if grid else None  # pictures are dear
    scores = {
        name: score_learning(own, genomes[chosen], episodes=tests, baselines=bool(grid), grid=tried, parts=parts)
        for name, own, tried, parts in (
            ("boolean", task, grid, PARTS),
            ("digits", replace(task, family=digits(((32,), (32, 32)))), few, ("held-out",)),
        )
    }
    print(variant, learning_meaning(scores["boolean"]), flush=True)
    return {
        "genome": genomes[chosen].tolist(),
        "seeds": rows,
        "chosen": chosen,
        "median": {
            name: float(np.median([rows[s][name][0] for s in seeds])) for name in ("trained", "held-out Boolean")
        },
        "trained": scores["boolean"].tables("train", "agent"),
        "held-out": scores["boolean"].tables("held-out", "agent"),
        "other sizes": scores["boolean"].tables("held-out-sizes", "agent"),
        "digits": scores["digits"].tables("held-out", "agent"),
    }, scores


def report_baselines(scores: dict[str, LearningScores]) -> dict:
    """SGD and Adam -> family -> what was chosen for each of MARKS, and what it reaches."""
    return {
        kind: {
            family: {"chosen": own.summary()["chosen"][kind]} | {part: own.tables(part, kind) for part in own.curves}
            for family, own in scores.items()
        }
        for kind in scores["boolean"].chosen
    }


def report_recall(seeds: list[int], runs: Path, tests: int) -> tuple[dict, RecallScores]:
    """Share of missing numbers said rightly after so many snippets, and the scores of the seed in the middle.

    "plastic": of each seed; "the same, frozen": its genome with frozen synapses; "frozen": a genome found with these.
    """
    snippets = Snippets(NEURONS)
    scores = {
        name: {
            seed: score_recall(
                RecallTask(recall_rule(name == "plastic"), snippets),
                found(runs / f"recall-{name}-{seed}"),
                episodes=4 * tests,
            )
            for seed in seeds
        }
        for name in ("plastic", "frozen")
    }
    shown = {
        "plastic": {seed: own.curves["agent"] for seed, own in scores["plastic"].items()},
        "the same, frozen": {seed: own.curves["frozen"] for seed, own in scores["plastic"].items()},
        "frozen": {seed: own.curves["agent"] for seed, own in scores["frozen"].items()},
        "hopfield": {seed: own.curves["hopfield"] for seed, own in scores["plastic"].items()},
    }
    answers: dict[str, dict] = {}
    for name, curves in shown.items():
        middle = np.median([curve.mean for curve in curves.values()], axis=0).tolist()
        answers[name] = {seed: curve.summary() for seed, curve in curves.items()}
        answers[name]["median"] = dict(zip(map(str, SNIPPETS), middle, strict=True))
        print("recall", name, rounded(answers[name]["median"]), flush=True)
    ranked = sorted(scores["plastic"].values(), key=lambda own: float(own.curves["agent"].mean.mean()))
    return answers, ranked[len(ranked) // 2]


def report_lives(name: str, seeds: list[int], runs: Path, tests: int) -> dict:
    """Returns over test lives: of the best genome of each seed, of the same without learning, and of random genomes."""
    task = environment(name)
    judged_by = episode_seeds(0, "test", 0, 2 * tests)

    def returns(genomes: Tensor) -> np.ndarray:
        here = np.broadcast_to(judged_by, (len(genomes), len(judged_by)))
        return np.nan_to_num(task.evaluate(DensePopulation(genomes), range(len(genomes)), here).fitness)

    genomes = torch.stack([found(runs / f"{name}-{seed}") for seed in seeds]).float()
    still = genomes.clone()
    still[:, AGENT.layout.slices["η̃"]] = 0
    random = torch.stack([AGENT.drawn(10_000 + n) for n in range(20)]).float()
    lived, unlearned, drawn = returns(genomes), returns(still), returns(random)
    answer = {
        "generations": {seed: generations(runs / f"{name}-{seed}") for seed in seeds},
        "evolved": {seed: interval(own) for seed, own in zip(seeds, lived, strict=True)},
        "the same, synapses still": {seed: interval(own) for seed, own in zip(seeds, unlearned, strict=True)},
        "random genomes": interval(drawn.mean(axis=1)),
        "best of 20 random genomes": float(drawn.mean(axis=1).max()),
    }
    print(name, rounded(answer), flush=True)
    return answer


def report(options: argparse.Namespace) -> None:
    for name, file in (("json", options.json), ("plot", options.plot)):
        if file:
            check_output(name, file)
    tests, answers, figures = 4 if options.quick else 32, {}, {}
    grid = Grid(log_rates=(-6, -3.5, -1, 1), episodes=2) if options.quick else Grid(episodes=16)

    def there(name: str) -> list[int]:
        return [seed for seed in options.seeds if (options.runs / f"{name}-{seed}" / "found.safetensors").exists()]

    for variant in VARIANTS:
        if seeds := there(variant):
            first = "baselines" not in answers
            answers[variant], scores = report_blur(variant, seeds, options.runs, tests, grid if first else None)
            if first:
                answers["baselines"] = report_baselines(scores)
                figures[""] = draw_learning(scores["boolean"])
    if seeds := there("recall-frozen"):
        answers["recall"], middle = report_recall(seeds, options.runs, tests)
        figures["-recall"] = draw_recall(middle)
    for name in ENVIRONMENTS:
        if seeds := there(name):
            answers[name] = report_lives(name, seeds, options.runs, tests)
    if options.json:
        options.json.write_text(json.dumps(rounded(answers), indent=1) + "\n")
    for name, figure in figures.items() if options.plot else ():
        figure.savefig(options.plot.with_stem(options.plot.stem + name), dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("what", choices=["evolve", "recall", *ENVIRONMENTS, "report"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--variant", choices=VARIANTS, default="plain")
    parser.add_argument("--generations", type=int, help="evolve: 300, recall: 600, environments: 40")
    parser.add_argument("--runs", type=Path, default=Path("runs/update-rules"))
    parser.add_argument("--quick", action="store_true", help="few test seeds, a coarse grid")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "report":
        report(options)
    for seed in [] if options.what == "report" else options.seeds:
        if options.what == "evolve":
            run(
                evolution(options.variant, seed),
                options.runs / f"{options.variant}-{seed}",
                options.generations or 300,
                25,
            )
        elif options.what == "recall":
            steps = options.generations or 600
            for plastic, name in ((True, "plastic"), (False, "frozen")):
                run(remembering(plastic, seed, steps), options.runs / f"recall-{name}-{seed}", steps, 100)
        else:
            run(living(options.what, seed), options.runs / f"{options.what}-{seed}", options.generations or 40, 10)


if __name__ == "__main__":
    main()
