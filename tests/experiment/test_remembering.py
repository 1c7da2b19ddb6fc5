"""Scores of recall rules beside a Hopfield net in closed form and one task after the other."""

import json
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.experiment.curves import Curve
from neuroplastic.experiment.learning_tables import recall_meaning, recall_table
from neuroplastic.experiment.remembering import SNIPPETS, RecallScores, score_recall
from neuroplastic.learned.recall import Recall, frozen, hopfield
from neuroplastic.noise import episode_seeds, stream
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.data import Snippets
from neuroplastic.tasks.recall import RecallTask

EPISODES = 4


def task(settle: int = 2) -> RecallTask:
    return RecallTask(Recall(types=(0,) * 10, settle=settle), Snippets(10), length=6, dtype=torch.float64)


@pytest.mark.parametrize("settle", [1, 2, 3])
def test_hopfield_is_the_closed_form(settle: int) -> None:
    seed = int(np.random.default_rng().integers(10**6))
    asked = task(settle)
    scores = score_recall(asked, asked.rule.random(seed), episodes=EPISODES, seed=seed)
    for episode, drawn_by in enumerate(episode_seeds(seed, "test", 0, EPISODES)):
        snippets, cues = (
            part.double().numpy() for part in asked.snippets.draw(stream(int(drawn_by), "recall"), max(SNIPPETS))
        )
        for mark, number in enumerate(SNIPPETS):
            stored = snippets[:number].T @ snippets[:number]
            np.fill_diagonal(stored, 0)
            said = np.repeat(snippets[number - 1 : number], number, axis=0)  # the last thing seen
            for _ in range(settle):
                said = np.where(cues[:number] != 0, cues[:number], np.sign(said @ stored))
            missing = cues[:number] == 0
            expected = (said == snippets[:number])[missing].mean()
            assert scores.curves["hopfield"].right[episode, mark] == pytest.approx(expected), f"seed {seed}"


def test_agent_and_frozen_synapses_are_tried_as_in_their_task() -> None:
    seed = int(np.random.default_rng().integers(10**6))
    genome, asked = task().rule.random(seed), task()
    scores = score_recall(asked, genome, episodes=EPISODES, seed=seed)
    seeds = episode_seeds(seed, "test", 0, EPISODES)[None]
    for name, rule in {"agent": asked.rule, "frozen": frozen(asked.rule)}.items():
        for mark, number in enumerate(SNIPPETS):
            one = RecallTask(rule, asked.snippets, length=number, dtype=torch.float64)
            expected = one.evaluate(DensePopulation(genome[None]), [0], seeds).fitness[0]
            np.testing.assert_allclose(scores.curves[name].right[:, mark], expected, err_msg=f"seed {seed}")
    assert scores.failed == 0
    assert json.loads(json.dumps(scores.summary()))["recall"]["agent"]["8"][0] == scores.curves["agent"].mean[5]


def test_a_hopfield_net_does_as_well_as_itself() -> None:
    rule, genome = hopfield(10)
    scores = score_recall(RecallTask(rule, Snippets(10), dtype=torch.float64), genome, episodes=12)
    np.testing.assert_array_equal(scores.curves["agent"].right, scores.curves["hopfield"].right)
    assert "as well as Hopfield recall: +.00 (+.00 … +.00)" in recall_meaning(scores)


def test_a_genome_that_is_no_number_fails() -> None:
    scores = score_recall(task(), torch.full((task().layout.size,), torch.nan), episodes=EPISODES)
    assert scores.failed == EPISODES
    assert (scores.curves["agent"].right == 0).all()
    json.dumps(scores.summary(), allow_nan=False)
    assert "(4 episodes failed)" in printed(scores)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match="episodes"):
        score_recall(task(), task().rule.random(1), episodes=0)
    with pytest.raises(ShapeError, match="genome"):
        score_recall(task(), torch.zeros(3), episodes=1)


def printed(scores: RecallScores) -> str:
    console = Console(file=StringIO(), width=80, record=True)
    console.print(recall_table(scores))
    return console.export_text()


def test_table_and_meaning() -> None:
    values = {"agent": 0.9, "frozen": 0.6, "hopfield": 0.95}
    curves = {name: Curve(SNIPPETS, np.full((10, len(SNIPPETS)), value)) for name, value in values.items()}
    scores = RecallScores(7, curves, 0)
    assert recall_meaning(scores) == (
        "after 6 snippets better than its own frozen synapses: +.30 (+.30 … +.30), "
        "worse than Hopfield recall: -.05 (-.05 … -.05)"
    )
    lines = [line.split() for line in printed(scores).splitlines()]
    assert lines[0] == list(map(str, SNIPPETS))
    assert lines[1] == ["agent", *["90±0"] * len(SNIPPETS)]
    assert lines[3] == ["hopfield", *["95±0"] * len(SNIPPETS)]
