"""Sequences by name: what they promise of all, and glyphs and digits as examples."""

import inspect
import pickle
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from neuroplastic.errors import ArgumentError, RecipeError
from neuroplastic.experiment.options import constructor_options
from neuroplastic.learners.pathnet import PathNet, Stage, Tournament
from neuroplastic.noise import stream
from neuroplastic.pathnet import Linear, SuperNetwork
from neuroplastic.tasks.data.digits import digits
from neuroplastic.tasks.data.glyphs import Glyphs
from neuroplastic.tasks.pathnet.control import ControlTask
from neuroplastic.tasks.pathnet.digits import digit_groups, digit_tasks
from neuroplastic.tasks.pathnet.glyphs import BLOCK, GlyphExamples, glyph_tasks
from neuroplastic.tasks.pathnet.sequences import SEQUENCES
from neuroplastic.tasks.pathnet.supervised import SupervisedTask
from neuroplastic.tasks.pathnet.teacher import teacher_tasks

NEEDS = {"control": "Box2D", "digits": "sklearn", "digits-groups": "sklearn"}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_can_be_learned_sent_and_scored(name: str) -> None:
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    options = constructor_options(SEQUENCES[name], {}, "task")
    tasks = SEQUENCES[name](**options)
    network = SuperNetwork.alike(tasks[0].inputs, [Linear(4)], 3)
    tournament = Tournament(population=2, genes=2, steps=2)
    pathnet = PathNet(network, [Stage(task, 1) for task in tasks], tournament=tournament, seed=1)
    while not pathnet.stopped:
        pathnet.step()
    for task, sent in zip(tasks, pickle.loads(pickle.dumps(list(tasks))), strict=True):
        found = task.score(lambda x, task=task: pathnet.predict(task.name, x), [7, 11])
        assert found.shape == (2,)
        assert found.dtype == np.float64
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(
            sent.score(lambda x, task=task: pathnet.predict(task.name, x), [11, 7]), found[::-1]
        )
    assert all(
        parameter.default is not parameter.empty for parameter in inspect.signature(SEQUENCES[name]).parameters.values()
    )


def test_options_are_checked_by_their_types() -> None:
    with pytest.raises(RecipeError, match="task.common"):
        constructor_options(SEQUENCES["teacher"], {"common": 3}, "task")
    with pytest.raises(RecipeError, match="unknown key task.gravitas"):
        constructor_options(SEQUENCES["gravity"], {"gravitas": 3.0}, "task")
    one, other = (SEQUENCES["teacher"](seed=5, common=common) for common in (True, False))
    assert torch.equal(one[0].draw.weights, one[1].draw.weights)
    assert not torch.equal(other[0].draw.weights, other[1].draw.weights)
    _, heavy = SEQUENCES["gravity"](gravity=20.0, steps=50)
    assert isinstance(heavy, ControlTask)
    assert heavy.bodies(1)[0].unwrapped.gravity == 20.0
    assert heavy.options == {"max_episode_steps": 50}
    for task in [*one, *other]:
        assert isinstance(task, SupervisedTask)


@pytest.mark.parametrize("name", ["digits", "digits-groups"])
def test_digits_of_a_sequence_are_disjoint_and_test_digits_are_held_out(name: str) -> None:
    pytest.importorskip("sklearn")
    x, y = digits()
    held = {each.numpy().tobytes() for each in x[::4]}
    seen: list[int] = []
    for task in SEQUENCES[name](seed=int(torch.randint(2**31, ())), noise=0.0):
        labels = [int(each) for each in task.name.split()[1:]]
        assert task.outputs == len(labels)
        seen += labels
        lessons, classes = task.draw(3, 400, 0)
        exam, answers = task.exam(3)
        assert {each.numpy().tobytes() for each in exam} == {
            each.numpy().tobytes() for each, label in zip(x[::4], y[::4].tolist(), strict=True) if label in labels
        }
        assert not held & {each.numpy().tobytes() for each in lessons}
        known = {each.numpy().tobytes(): int(label) for each, label in zip(x, y, strict=True)}
        for pictures, numbers in ((lessons, classes), (exam, answers)):
            for each, number in zip(pictures, numbers.tolist(), strict=True):
                assert known[each.numpy().tobytes()] == labels[number]
    assert len(seen) == len(set(seen))


def test_digits_are_ten() -> None:
    assert sorted(sum(digit_groups(int(torch.randint(2**31, ())), 2, 5), ())) == list(range(10))
    with pytest.raises(ArgumentError, match="digits: expected .*<= 3; got 4"):
        digit_groups(1, 3, 4)
    with pytest.raises(ArgumentError, match="digits: expected .*>= 2"):
        digit_groups(1, 3, 1)
    pytest.importorskip("sklearn")
    (task,) = digit_tasks(None)
    assert task.outputs == 10


def test_glyphs_are_the_same_however_they_are_asked_for() -> None:
    draw = GlyphExamples(Glyphs(4, int(torch.randint(2**31, ()))), noise=0.3)
    source = int(torch.randint(2**31, ()))
    x, y = draw(source, 3 * BLOCK, 0)
    for start, count in [(0, 1), (5, BLOCK), (BLOCK, BLOCK), (BLOCK - 1, BLOCK + 2), (2 * BLOCK + 3, 7)]:
        part, labels = draw(source, count, start)
        assert torch.equal(part, x[start : start + count])
        assert torch.equal(labels, y[start : start + count])
    blocks = [draw.glyphs.draw(stream(source, "block", number), BLOCK, exam=False) for number in range(3)]
    plain = torch.cat([each for each, _ in blocks])
    assert torch.equal(y, torch.cat([labels for _, labels in blocks]))
    changed = x != plain
    assert set(x[changed].tolist()) <= {-1.0, 1.0}
    assert changed.any()


def test_each_alphabet_is_its_own() -> None:
    seed = int(torch.randint(2**31, ()))
    tasks = glyph_tasks(seed, 3, classes=4)
    assert [task.name for task in tasks] == ["glyphs0", "glyphs1", "glyphs2"]
    strokes = torch.stack([task.draw.glyphs.strokes() for task in tasks])
    assert len(strokes.flatten(2).flatten(0, 1).unique(dim=0)) == 12
    again = glyph_tasks(seed, 1, classes=4)[0]
    assert torch.equal(again.draw(3, 9, 2)[0], tasks[0].draw(3, 9, 2)[0])
    lessons, exam = tasks[0].draw(3, 50, 0)[0], tasks[0].exam(3)[0]
    assert not {each.numpy().tobytes() for each in lessons} & {each.numpy().tobytes() for each in exam}
    with pytest.raises(ArgumentError, match="tasks"):
        glyph_tasks(1, 0)
    with pytest.raises(ArgumentError, match="noise"):
        glyph_tasks(1, noise=2.0)


def test_supervised_scores_are_the_share_of_right_answers() -> None:
    (task,) = teacher_tasks(int(torch.randint(2**31, ())), 1)
    assert task.exam is not None
    expected = []
    for seed in (4, 9):
        x, y = task.exam(seed)
        right = sum(int(x[row].sum() > 0) == int(y[row]) for row in range(len(y)))
        expected.append(right / len(y))

    def guess(x: torch.Tensor) -> torch.Tensor:
        return torch.eye(4)[(x.sum(1) > 0).long()]

    np.testing.assert_allclose(task.score(guess, [4, 9]), expected)
    lessons, _ = task.draw(4, 2000, 0)
    assert not {each.numpy().tobytes() for each in task.exam(4)[0]} & {each.numpy().tobytes() for each in lessons}
    without = SupervisedTask("bare", (3,), 2, task.draw)
    with pytest.raises(ArgumentError, match="task 'bare': expected one with test examples"):
        without.score(guess, [1])
