"""The comparison: each arm is what it says it is, and the figures are those of a plain reading."""

import numpy as np
import pytest
import torch

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.learners.pathnet import PathNet, Stage, Tournament
from neuroplastic.learners.transfer import (
    ARMS,
    Setting,
    compare,
    mean_interval,
    rounds_to,
    speed_up,
)
from neuroplastic.pathnet import Descent, Linear, SuperNetwork, active, overlap
from neuroplastic.tasks.pathnet.supervised import accuracy
from neuroplastic.tasks.pathnet.teacher import teacher_tasks

SETTING = Setting(
    SuperNetwork.alike(6, [Linear(8), Linear(8)], 6),
    Tournament(population=4, genes=2, steps=5),
    Descent("sgd", 0.05, momentum=0.5),
    (6, 4),
)


def scores(tasks, seed: int):
    tests = [task.draw(seed, 200, 0) for task in tasks]
    return [lambda predict, x=x, y=y: accuracy(predict(x), y) for x, y in tests]


@pytest.mark.parametrize("always_active", [False, True])
def test_arms_are_what_they_say(always_active: bool) -> None:
    seed = int(torch.randint(2**31, ()))
    tasks = teacher_tasks(seed, inputs=6, hidden=3, outputs=3)
    own = scores(tasks, seed)
    setting = Setting(SETTING.network, SETTING.tournament, SETTING.descent, SETTING.rounds, always_active)
    found = compare(setting, tasks, own, seed)
    assert found.keys() == ARMS.keys()
    assert all(len(arm["curve"]) == 4 for arm in found.values())
    assert found == compare(setting, tasks, own, seed)

    options = {"tournament": setting.tournament, "descent": setting.descent, "always_active": always_active}
    learner = PathNet(setting.network, [Stage(tasks[0], 6), Stage(tasks[1], 4)], seed=seed, **options)
    while not learner.stopped:
        learner.step()
    first, second = (learner.learned[task.name] for task in tasks)
    assert found["pathnet"]["curve"][-1] == own[1](lambda x: learner.predict("teacher1", x))
    assert found["pathnet"]["first"] == own[0](lambda x: learner.predict("teacher0", x))
    assert found["pathnet"]["overlap"] == overlap(active(first.path, 6), active(second.path, 6)).tolist()
    assert found["pathnet"]["forgotten"] == found["random"]["forgotten"] == 0
    assert {name for name, arm in found.items() if "forgotten" in arm} == {"pathnet", "random", "fine-tuned"}


@pytest.mark.slow
def test_fine_tuning_forgets_and_starts_from_what_it_knew() -> None:
    """The same task twice, under two names: who knows it begins where it had ended, all others at chance."""
    seed = 5
    tasks = teacher_tasks(seed, 1, inputs=6, hidden=2, outputs=2) * 2
    tasks = [tasks[0], type(tasks[0])(**(vars(tasks[0]) | {"name": "again"}))]
    setting = Setting(SETTING.network, Tournament(4, genes=3, steps=40), SETTING.descent, (25, 1))
    found = compare(setting, tasks, scores(tasks, seed), seed)
    assert found["fine-tuned"]["first"] > 0.85
    assert found["fine-tuned"]["curve"][0] > found["independent"]["curve"][0] + 0.1
    apart = teacher_tasks(seed, 2, inputs=6, hidden=2, outputs=2, common=False)
    setting = Setting(SETTING.network, Tournament(4, genes=3, steps=40), SETTING.descent, (25, 25))
    assert compare(setting, apart, scores(apart, seed), seed)["fine-tuned"]["forgotten"] > 0.1


def test_without_scores_curves_are_the_fitness_in_training() -> None:
    tasks = teacher_tasks(3, inputs=6, hidden=3, outputs=3)
    found = compare(SETTING, tasks, [None, None], 3)
    for arm in found.values():
        counts = np.array(arm["curve"]) * 16 * 5 * (1 if arm in (found["pathnet"], found["fresh"]) else 2)
        np.testing.assert_allclose(counts, counts.round(), atol=1e-6)
        assert "forgotten" not in arm


def test_rounds_count_from_one_and_what_is_never_reached_is_one_more() -> None:
    curves = np.array([[0.1, 0.5, 0.4, 0.9], [0.6, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]])
    assert rounds_to(curves, 0.5).tolist() == [2, 1, 5]
    with pytest.raises(ShapeError, match="curves"):
        rounds_to(curves[0], 0.5)


def test_intervals_cover_what_they_should_and_ratios_are_paired() -> None:
    draws = np.random.default_rng(1).normal(2.0, 1.0, size=(300, 25))
    covers = [interval.low <= 2.0 <= interval.high for interval in (mean_interval(row, 500) for row in draws)]
    assert 0.88 <= np.mean(covers) <= 0.98
    slow = np.array([10.0, 400.0, 3.0])
    exact = speed_up(slow, slow / 2)
    assert [exact.mean, exact.low, exact.high] == pytest.approx([2, 2, 2])
    mixed = speed_up(np.array([1.0, 16.0]), np.array([2.0, 2.0]))
    assert mixed.mean == pytest.approx(2)
    assert [mixed.low, mixed.high] == pytest.approx([0.5, 8])


def test_bad_input_is_named() -> None:
    wide = teacher_tasks(1, inputs=7)
    with pytest.raises(ArgumentError, match=r"task 'teacher0': expected observations of shape \[6\]"):
        compare(SETTING, wide, [None, None], 1)
    with pytest.raises(ArgumentError, match="rounds: expected a number >= 1; got 0"):
        Setting(SETTING.network, SETTING.tournament, SETTING.descent, (3, 0))
