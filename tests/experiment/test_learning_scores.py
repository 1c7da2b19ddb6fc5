"""Scores of update rules beside those of plain loops, and what is said of them."""

import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.experiment.curves import Curve
from neuroplastic.experiment.grid import Choice, Grid
from neuroplastic.experiment.learning import EXAM, MARKS, LearningScores, score_learning
from neuroplastic.experiment.learning_tables import learning_meaning, learning_table
from neuroplastic.experiment.scores import bootstrap_interval
from neuroplastic.learned.base import UpdateRule
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.descent import SGD, Adam
from neuroplastic.noise import episode_seeds, stream
from neuroplastic.tasks.data import sources
from neuroplastic.tasks.families import Family
from neuroplastic.tasks.learning import LearningTask

SAMPLES = 8
FEW = (1, 3, 12)
SMALL = Grid(log_rates=(-4.0, -1.0), activations=("tanh",), gains=(1.0, 2.0), momenta=(0.0, 0.9), episodes=2)


def family(**sizes) -> Family:
    parts = {"train": ("xor",), "validation": ("nand", "circles"), "held_out": ("or",)}
    train, validation, held_out = ({name: sources[name]() for name in own} for own in parts.values())
    return Family(train, validation, held_out, **({"hidden": ((4,),)} | sizes))


def task(rule: UpdateRule, **options) -> LearningTask:
    return LearningTask(rule, family(**options), updates=10, samples=SAMPLES, dtype=torch.float64)


def plain(rule: UpdateRule, genome: torch.Tensor, name: str, hidden: tuple[int, ...], seed: int) -> list[float]:
    """One network that learns one thing: accuracy after each of FEW."""
    source, found = sources[name](), []

    def drawn(which: int | str, count: int, exam: bool) -> tuple[torch.Tensor, torch.Tensor]:
        x, labels = source.draw(stream(seed, "samples", name, which), count, exam=exam)
        return x[None, None].double(), (2.0 * labels - 1)[None, None, :, None].double()

    state = rule.birth(genome[None], (2, *hidden, 1), np.array([stream(seed, "birth", name) >> 1]))
    for update in range(max(FEW)):
        state = rule.learn(genome[None], state, *drawn(update, SAMPLES, False))
        if update + 1 in FEW:
            x, y = drawn("exam", EXAM, True)
            found.append(float((rule.predict(genome[None], state, x) * y > 0).double().mean()))
    return found


@pytest.mark.parametrize("rule", [SGD(), Blur(synapse_norm=True, activation_norm=True)], ids=["sgd", "blur"])
def test_the_agent_learns_as_in_a_plain_loop(rule: UpdateRule) -> None:
    seed = int(np.random.default_rng().integers(10**6))
    genome = rule.drawn(seed)
    scores = score_learning(
        task(rule, held_out_hidden=((3, 2),)), genome, episodes=5, seed=seed, baselines=False, marks=FEW
    )
    lessons = {"train": {"xor": (4,)}, "held-out": {"or": (4,)}, "held-out-sizes": {"xor": (3, 2), "or": (3, 2)}}
    assert {part: list(own) for part, own in scores.curves.items()} == {p: list(own) for p, own in lessons.items()}
    for part, own in lessons.items():
        for name, hidden in own.items():
            seeds = episode_seeds(seed, "test", 0, 5)
            expected = [plain(rule, genome, name, hidden, int(episode)) for episode in seeds]
            found = scores.curves[part][name]["agent"].right
            np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=f"{part} {name}, seed {seed}")


def test_baselines_are_the_best_of_all_on_validation_and_learn_as_in_a_plain_loop() -> None:
    seed = int(np.random.default_rng().integers(10**6))
    scores = score_learning(task(SGD()), SGD().start, episodes=2, seed=seed, grid=SMALL, marks=FEW)
    chosen_by, judged_by = episode_seeds(seed, "selection", 0, 2), episode_seeds(seed, "test", 0, 2)
    assert scores.learners == ["agent", "SGD", "Adam"]
    for name, kind, seconds in (("SGD", SGD, SMALL.momenta), ("Adam", Adam, (0.9,))):
        everything = [
            (
                kind(activation="tanh", gain=gain, loss=loss, output=output),
                torch.tensor([rate, second, *kind().start[2:]], dtype=torch.float64),
            )
            for loss, output in (("squared-error", "tanh"), ("cross-entropy", "linear"))
            for gain in SMALL.gains
            for rate in SMALL.log_rates
            for second in seconds
        ]
        reached = [
            np.mean(
                [plain(rule, genome, name, (4,), int(s)) for s in chosen_by for name in ("nand", "circles")], axis=0
            )
            for rule, genome in everything
        ]
        best = np.max(reached, axis=0)
        for mark, choice in enumerate(scores.chosen[name]):
            own = torch.tensor(choice.genome, dtype=torch.float64)
            is_it = [rule == choice.rule and torch.equal(genome, own) for rule, genome in everything]
            assert sum(is_it) == 1, f"seed {seed}"
            value = reached[is_it.index(True)][mark]
            assert value == pytest.approx(best[mark], abs=1e-12), f"{name} after {FEW[mark]}, seed {seed}"
            found = scores.curves["held-out"]["or"][name].right[:, mark]
            expected = [plain(choice.rule, own, "or", (4,), int(episode))[mark] for episode in judged_by]
            np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=f"seed {seed}")


def test_the_grid_is_what_it_says() -> None:
    forms = Grid().forms()
    assert {name: sum(len(genomes) for _, genomes in rules) for name, rules in forms.items()} == {
        "SGD": 240,
        "Adam": 120,
    }
    for rule, genomes in forms["Adam"]:
        assert torch.equal(genomes[:, 1:], rule.start[1:].expand(15, -1))
    with pytest.raises(ArgumentError, match="grid.episodes: expected a number >= 1; got 0"):
        Grid(episodes=0)
    with pytest.raises(UnknownNameError, match="grid.losses"):
        Grid(losses=("hinge",))
    with pytest.raises(ArgumentError, match="grid.gains: expected one at least"):
        Grid(gains=())


@settings(deadline=None, max_examples=20)
@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(0, 1)))
def test_intervals_are_those_of_each_mark(right: np.ndarray) -> None:
    curve = Curve((1, 5), right)
    low, high = curve.interval
    assert [tuple(pair) for pair in curve.interval.T] == [bootstrap_interval(right[:, n]) for n in range(2)]
    assert (right.min(axis=0) - 1e-12 <= low).all()
    assert (low <= high).all()
    assert (high <= right.max(axis=0) + 1e-12).all()
    assert curve.summary()["5"] == [pytest.approx(right[:, 1].mean()), low[1], high[1]]
    both = Curve.mean_of([curve, Curve((1, 5), 1 - right)])
    np.testing.assert_allclose(both.right, 0.5, atol=1e-12)


@pytest.mark.parametrize("number", [1e30, float("nan")])
def test_a_genome_that_runs_away_fails_and_says_nothing_rightly(number: float) -> None:
    rule = Blur()
    genome = rule.drawn(1)
    genome[rule.layout.slices["f̃"]] = number
    scores = score_learning(task(rule, held_out_hidden=((3,),)), genome, episodes=3, baselines=False)
    assert scores.failed == {"train": 3, "held-out": 3, "held-out-sizes": 3}
    for part in scores.curves:
        assert (scores.mean(part, "agent").at(100) == 0).all()
    json.dumps(scores.summary(), allow_nan=False)
    assert "3 episodes failed" in printed(scores)


def test_what_is_asked_for_is_done_and_told() -> None:
    told: list[tuple[int, int]] = []

    def scored(*parts: str) -> LearningScores:
        return score_learning(
            task(SGD()),
            SGD().start,
            episodes=5,
            grid=SMALL,
            parts=parts,
            marks=FEW,
            progress=lambda done, total: told.append((done, total)),
        )

    scores = scored("held-out", "held-out-sizes")
    assert list(scores.curves) == ["held-out"]  # the family has no other sizes
    assert told == [(n + 1, len(told)) for n in range(len(told))]
    assert told
    summary = json.loads(json.dumps(scores.summary(), allow_nan=False))
    assert summary["accuracy"]["held-out"]["Adam"]["or"]["3"][0] == scores.mean("held-out", "Adam").at(3).mean()
    assert summary["chosen"]["SGD"]["1"].startswith("SGD(activation='tanh'")
    assert scored("held-out").summary() == scores.summary()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match="episodes: expected a number >= 1; got 0"):
        score_learning(task(SGD()), SGD().start, episodes=0)
    with pytest.raises(ShapeError, match=r"genome: expected shape \[2\]; got \[3\]"):
        score_learning(task(SGD()), torch.zeros(3), episodes=1)
    with pytest.raises(ArgumentError, match="parts: expected some of train, held-out"):
        score_learning(task(SGD()), SGD().start, episodes=1, parts=("held-out-sizes",))


def made(episodes: int, **means: float) -> LearningScores:
    """Learners of these accuracies after 10 updates, a little noise between episodes; .5 at all other marks."""
    noise = np.linspace(-0.02, 0.02, episodes)

    def curve(mean: float) -> Curve:
        right = np.full((episodes, len(MARKS)), 0.5)
        right[:, MARKS.index(10)] = mean + noise[:: 1 if mean > 0.8 else -1]
        return Curve(MARKS, right)

    curves = {name: curve(mean) for name, mean in means.items()}
    chosen = {name: [Choice(SGD(), (0.0, 0.0))] * len(MARKS) for name in means if name != "agent"}
    return LearningScores(15, {"held-out": {"or": curves}}, {"held-out": 0}, chosen)


def printed(scores: LearningScores) -> str:
    console = Console(file=StringIO(), width=80, record=True)
    console.print(learning_table(scores))
    return console.export_text()


def test_the_meaning_says_what_intervals_decide() -> None:
    said = learning_meaning(made(20, agent=0.9, SGD=0.8, Adam=0.95))
    assert said.startswith("on held-out tasks, after 10 updates better than SGD: +.10 (+.0")
    assert (
        ", worse than Adam: -.05 (-.05 … -.05); after 100 updates as well as SGD: +.00 (+.00 … +.00) and Adam" in said
    )
    assert "undecided beside SGD: +.10 (+.10 … +.10), 9 episodes" in learning_meaning(made(9, agent=0.9, SGD=0.801))
    assert learning_meaning(made(20, agent=0.9)) == ""


def test_the_table_has_a_row_for_each_learner() -> None:
    shown = made(20, agent=0.9, SGD=0.8)
    lines = [line.split() for line in printed(shown).splitlines()]
    half = [100 * np.diff(shown.curves["held-out"]["or"][name].interval[:, 3])[0] / 2 for name in ("agent", "SGD")]
    assert lines[0] == ["task", *map(str, MARKS)]
    assert lines[2][:2] == ["or", "agent"]
    assert lines[2][5] == f"90±{half[0]:.0f}"
    assert lines[3] == ["SGD", *["50±0"] * 3, f"80±{half[1]:.0f}", *["50±0"] * 3]


def test_more_digits_do_not_change_the_rule_that_is_scored() -> None:
    """The task's own precision is kept, whatever that of the genome is."""
    genome = SGD().start.float()
    low = replace(task(SGD()), dtype=torch.float32)
    one, other = (
        score_learning(low, given, episodes=2, baselines=False, marks=FEW).summary()
        for given in (genome, genome.double())
    )
    assert one == other
