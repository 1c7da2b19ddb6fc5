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
accuracy after 1 to 100 updates, means over fresh networks and samples. SGD and Adam beside it have, for each number of
updates, the learning rate, activation and gain of a grid that do best in the same choice. Then the same genome in wider
and deeper networks and on scikit-learn's digits, neither of which it has ever seen; there the grid is chosen on glyphs.
The intervals are 95 % bootstraps over test seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from neuroplastic.errors import check_output
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.learned.agent import LearnedPolicy
from neuroplastic.learned.base import UpdateRule
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.descent import SGD, Adam
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
from neuroplastic.tasks.families import Family, boolean, digits
from neuroplastic.tasks.learning import LearningTask
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.recall import RecallTask
from neuroplastic.tasks.rollout import RolloutTask

VARIANTS = {"plain": Blur(), "norms": Blur(synapse_norm=True, activation_norm=True)}
MARKS = (1, 2, 5, 10, 20, 50, 100)
UPDATES = 10
SIZES = ((40,), (20, 20), (20, 20, 20))
SNIPPETS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
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


_TASKS: dict[tuple[UpdateRule, int, str], LearningTask] = {}


def curves(rule: UpdateRule, genome: Tensor, family: Family, part: str, seeds: np.ndarray) -> dict[str, np.ndarray]:
    """Name of a lesson -> accuracy [seeds, MARKS] of one genome."""
    key = rule, id(family), part
    if key not in _TASKS:  # what it has drawn serves the next genome
        _TASKS[key] = LearningTask(rule, family, part, updates=max(MARKS), exam=1024)
    task, parts = _TASKS[key], []
    for some in np.array_split(seeds, max(1, len(seeds) // 16)):
        with torch.inference_mode():
            parts.append(task.report(genome.expand(len(some), -1), some, MARKS).accuracy)
    accuracy = torch.cat(parts).numpy()
    return {lesson.name: accuracy[:, n] for n, lesson in enumerate(task.lessons)}


def mean(curve: dict[str, np.ndarray], *names: str) -> np.ndarray:
    """[seeds, MARKS] over lessons: of these names, or all."""
    return np.mean([values for name, values in curve.items() if not names or name.split("@")[0] in names], axis=0)


def interval(values: np.ndarray) -> list[float]:
    """Mean and 95 % bootstrap over seeds."""
    source = np.random.default_rng(0)
    means = values[source.integers(len(values), size=(2000, len(values)))].mean(axis=1)
    return [round(float(number), 4) for number in (values.mean(), *np.percentile(means, [2.5, 97.5]))]


def table(curve: dict[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    return {name: {str(m): interval(values[:, n]) for n, m in enumerate(MARKS)} for name, values in curve.items()}


def grid(quick: bool) -> list[tuple[UpdateRule, Tensor]]:
    """Rules with their genomes [rates, D]."""
    rates = torch.linspace(-6, 1, 4 if quick else 15)
    rules: list[UpdateRule] = [
        kind(activation=activation, gain=gain)
        for kind in (SGD, Adam)
        for activation in ("relu", "tanh")
        for gain in (1.0, 2.0)
    ]
    choices = []
    for rule in rules:
        for momentum in (0.0, 0.9) if isinstance(rule, SGD) else (0.9,):
            genomes = rule.start.float().repeat(len(rates), 1)
            genomes[:, 0], genomes[:, 1] = rates, momentum
            choices.append((rule, genomes))
    return choices


def baselines(family: Family, parts: list[str], chosen_by: np.ndarray, seeds: np.ndarray, quick: bool) -> dict:
    """SGD and Adam -> what was chosen for each of MARKS, and curves on the parts of which each mark has its own."""
    answers = {}
    for kind in (SGD, Adam):
        tried = []
        _TASKS.clear()
        for rule, genomes in (choice for choice in grid(quick) if isinstance(choice[0], kind)):
            for genome in genomes:
                value = mean(curves(rule, genome[None], family, "validation", chosen_by)).mean(axis=0)
                tried.append((value, rule, genome))
        best = [max(tried, key=lambda one, n=n: one[0][n]) for n in range(len(MARKS))]
        answers[kind.__name__] = {
            "chosen": {str(mark): f"{one[1]} {one[2].tolist()}" for mark, one in zip(MARKS, best, strict=True)}
        }
        for part in parts:
            each = [curves(rule, genome[None], family, part, seeds) for _, rule, genome in best]
            own = {name: np.stack([c[name][:, n] for n, c in enumerate(each)], 1) for name in each[0]}
            answers[kind.__name__][part] = own
    return answers


def report_blur(variant: str, seeds: list[int], runs: Path, tests: int) -> dict:
    rule, family, plain = VARIANTS[variant], boolean(held_out_hidden=SIZES), boolean()
    _TASKS.clear()
    at = MARKS.index(UPDATES)
    chosen_by, judged_by = episode_seeds(0, "selection", 0, tests), episode_seeds(0, "test", 0, tests)
    genomes = {seed: found(runs / f"{variant}-{seed}")[None].float() for seed in seeds}
    rows, held = {}, {}
    for seed, genome in genomes.items():
        validation = mean(curves(rule, genome, family, "validation", chosen_by))[:, at].mean()
        trained = curves(rule, genome, plain, "train", judged_by)
        held[seed] = curves(rule, genome, plain, "held-out", judged_by)
        rows[seed] = {
            "generations": generations(runs / f"{variant}-{seed}"),
            "validation": round(float(validation), 4),
            "trained": interval(mean(trained)[:, at]),
            "held-out Boolean": interval(mean(held[seed], "or", "nxor", "qand")[:, at]),
        }
        rows[seed] |= {name: interval(values[:, at]) for name, values in {**trained, **held[seed]}.items()}
        print(variant, seed, rows[seed], flush=True)
    chosen = max(rows, key=lambda seed: rows[seed]["validation"])
    medians = {name: float(np.median([rows[s][name][0] for s in seeds])) for name in ("trained", "held-out Boolean")}
    sizes = curves(rule, genomes[chosen], family, "held-out-sizes", judged_by)
    deeper = curves(rule, genomes[chosen], family, "held-out", judged_by)
    return {
        "genome": genomes[chosen][0].tolist(),
        "seeds": rows,
        "chosen": chosen,
        "median": {name: round(value, 4) for name, value in medians.items()},
        "trained": table(curves(rule, genomes[chosen], plain, "train", judged_by)),
        "held-out": table(held[chosen]),
        "other sizes": table({**sizes, **deeper}),
        "digits": table(curves(rule, genomes[chosen], digits(((32,),), ((32, 32),)), "held-out", judged_by)),
    }


def report_baselines(tests: int, quick: bool) -> dict:
    chosen_by, judged_by = episode_seeds(0, "selection", 0, tests // 2), episode_seeds(0, "test", 0, tests)
    answers = {}
    for name, family, parts in (
        ("boolean", boolean(), ["train", "held-out"]),
        ("digits", digits(((32,),)), ["held-out"]),
    ):
        if name == "digits":
            chosen_by = chosen_by[:2]
        for kind, one in baselines(family, parts, chosen_by, judged_by, quick).items():
            answers.setdefault(kind, {})[name] = {"chosen": one["chosen"]} | {p: table(one[p]) for p in parts}
            print(
                kind,
                name,
                {p: round(float(mean(one[p])[:, MARKS.index(UPDATES)].mean()), 4) for p in parts},
                flush=True,
            )
    return answers


def report_recall(seeds: list[int], runs: Path, tests: int) -> dict:
    """Share of missing numbers that are said rightly after so many snippets: of each seed, mean over test seeds."""
    answers: dict[str, dict] = {}
    judged_by = episode_seeds(0, "test", 0, 4 * tests)
    for plastic, name in ((True, "plastic"), (False, "frozen")):
        task = RecallTask(recall_rule(plastic), Snippets(NEURONS))
        answers[name] = {}
        for seed in seeds:
            genome = found(runs / f"recall-{name}-{seed}")
            with torch.inference_mode():
                _, right = task.report(genome.expand(len(judged_by), -1), judged_by, SNIPPETS)
            answers[name][seed] = {str(m): interval(right.numpy()[:, n]) for n, m in enumerate(SNIPPETS)}
        middle = {
            str(m): round(float(np.median([one[str(m)][0] for one in answers[name].values()])), 4) for m in SNIPPETS
        }
        answers[name]["median"] = middle
        print("recall", name, middle, flush=True)
    return answers


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
        "best of 20 random genomes": round(float(drawn.mean(axis=1).max()), 2),
    }
    print(name, answer, flush=True)
    return answer


def plot(answers: dict, file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(14, 4))
    for axis, part, title in zip(
        axes, ("trained", "held-out"), ("xor, and, moons", "or, nxor, qand, disc"), strict=False
    ):
        shown = {f"BLUR {name}": answers[name][part] for name in VARIANTS if name in answers}
        other = {"trained": "train"}.get(part, part)
        shown |= {kind: one["boolean"][other] for kind, one in answers.get("baselines", {}).items()}
        for name, tables in shown.items():
            values = [np.mean([one[str(mark)] for one in tables.values()], axis=0) for mark in MARKS]
            middle, low, high = np.transpose(values)
            axis.plot(MARKS, middle, label=name, marker=".")
            axis.fill_between(MARKS, low, high, alpha=0.2)
        axis.set(xscale="log", xlabel="updates", ylabel="accuracy", title=title, ylim=(0.4, 1.0))
        axis.legend()
    for name, tables in answers.get("recall", {}).items():
        lines = {seed: one for seed, one in tables.items() if seed != "median"}
        for one in lines.values():
            axes[2].plot(
                SNIPPETS, [one[str(m)][0] for m in SNIPPETS], color="C0" if name == "plastic" else "C1", alpha=0.3
            )
        middle = [tables["median"][str(m)] for m in SNIPPETS]
        axes[2].plot(SNIPPETS, middle, color="C0" if name == "plastic" else "C1", label=f"{name} synapses", marker=".")
    axes[2].set(xlabel="snippets", ylabel="missing numbers said rightly", title="recall", ylim=(0.45, 1.02))
    axes[2].legend()
    figure.tight_layout()
    figure.savefig(file, dpi=100)


def report(options: argparse.Namespace) -> None:
    for name, file in (("json", options.json), ("plot", options.plot)):
        if file:
            check_output(name, file)
    tests, answers = 4 if options.quick else 32, {}

    def there(name: str) -> list[int]:
        return [seed for seed in options.seeds if (options.runs / f"{name}-{seed}" / "found.safetensors").exists()]

    for variant in VARIANTS:
        if seeds := there(variant):
            answers[variant] = report_blur(variant, seeds, options.runs, tests)
    if seeds := there("recall-frozen"):
        answers["recall"] = report_recall(seeds, options.runs, tests)
    for name in ENVIRONMENTS:
        if seeds := there(name):
            answers[name] = report_lives(name, seeds, options.runs, tests)
    answers["baselines"] = report_baselines(tests, options.quick)
    if options.json:
        options.json.write_text(json.dumps(answers, indent=1) + "\n")
    if options.plot:
        plot(json.loads(json.dumps(answers)), options.plot)


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
