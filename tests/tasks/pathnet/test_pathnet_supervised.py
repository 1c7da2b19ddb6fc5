"""Minibatches for paths: where they come from, and what is counted."""

import pytest
import torch
from torch import nn

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.noise import normal, stream
from neuroplastic.pathnet import Linear, Subnetwork, SuperNetwork, active, random_paths
from neuroplastic.tasks.pathnet.digits import digit_pairs, digit_tasks, digit_test
from neuroplastic.tasks.pathnet.supervised import Examples, SupervisedTask, accuracy, classes
from neuroplastic.tasks.pathnet.teacher import teacher_tasks

NETWORK = SuperNetwork.alike(6, [Linear(5), Linear(4)], 5)


def subnetwork(paths: int, outputs: int) -> Subnetwork:
    seed = int(torch.randint(2**31, ()))
    genes = random_paths(paths, 2, 3, 5, seed)
    return Subnetwork(NETWORK, NETWORK.birth(seed) | NETWORK.readout_birth(outputs, seed), active(genes, 5), outputs)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_fitness_is_the_accuracy_before_each_step_and_losses_are_means(shared: bool) -> None:
    (task,) = teacher_tasks(int(torch.randint(2**31, ())), 1, inputs=6, outputs=3, batch=7, shared=shared)
    part, trial = subnetwork(4, 3), task.trial(4, 99)
    right = torch.zeros(4)
    for step in range(5):
        count = 7 if shared else 28
        x, y = task.draw(99, count, step * count)  # as the stream has them, path by path
        for path in range(4):
            own = slice(0, 7) if shared else slice(7 * path, 7 * path + 7)
            outputs = part.forward(x[own].expand(4, 7, 6))[path]
            right[path] += (outputs.argmax(1) == y[own]).sum()
        losses = []
        for path in range(4):
            own = slice(0, 7) if shared else slice(7 * path, 7 * path + 7)
            losses.append(nn.functional.cross_entropy(part.forward(x[own].expand(4, 7, 6))[path], y[own]))
        expected = part.gradients(torch.stack(losses))
        for name, gradient in trial.gradients(part).items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(torch.from_numpy(trial.fitness()).float(), right / 35)
    assert trial.examples == 4 * 5 * 7


def test_a_path_that_diverged_has_failed() -> None:
    def draw(source: int, count: int, start: int):
        x = torch.zeros(count, 6)
        x[:3] = torch.inf  # the first path's minibatch
        return x, torch.zeros(count, dtype=torch.int64)

    task, part = SupervisedTask("infinite", (6,), 2, draw, batch=3), subnetwork(2, 2)
    with torch.no_grad():
        for name, tensor in part.tensors.items():
            tensor.fill_(0.1 if name.endswith("weight") else 0.0)
    trial = task.trial(2, 1)
    trial.gradients(part)
    assert torch.isnan(torch.from_numpy(trial.fitness())).tolist() == [True, False]


def test_examples_come_evenly_and_are_addressed_by_number() -> None:
    x, y = torch.arange(5.0)[:, None].repeat(1, 3), torch.arange(5)
    draw = Examples(x, y, noise=0.4, low=-7.0, high=9.0)
    whole, labels = draw(3, 20_000, 0)
    for start, count in ((0, 7), (13, 1), (19_990, 10)):
        part, own = draw(3, count, start)
        assert torch.equal(part, whole[start : start + count])
        assert torch.equal(own, labels[start : start + count])
    shares = torch.bincount(labels, minlength=5) / len(labels)
    assert (shares - 0.2).abs().max() < 0.02  # 7 σ; the stream is fixed
    kept = whole == labels[:, None]
    for value, share in ((-7.0, 0.2), (9.0, 0.2)):
        assert abs(float((whole == value).double().mean()) - share) < 0.02
    assert (kept | (whole == -7) | (whole == 9)).all()
    assert torch.equal(x, torch.arange(5.0)[:, None].repeat(1, 3))  # the data themselves stay
    clean, _ = Examples(x, y)(3, 20_000, 0)
    assert torch.equal(clean, x[labels])


def test_classes_are_renumbered_in_the_order_of_their_labels() -> None:
    x, y = torch.rand(300, 4), torch.randint(10, (300,))
    y[:10] = torch.arange(10)
    task = classes("some", x, y, (7, 2, 5), batch=9)
    assert task.outputs == 3
    seen, numbers = task.draw(5, 500, 0)
    for row, number in zip(seen, numbers, strict=True):
        place = (x == row).all(1).nonzero()[0, 0]
        assert (7, 2, 5)[number] == y[place]


def test_teachers_share_a_layer_or_nothing() -> None:
    seed = int(torch.randint(2**31, ()))
    one, two = (task.draw for task in teacher_tasks(seed, inputs=9, hidden=5, outputs=3))
    three, four = (task.draw for task in teacher_tasks(seed, inputs=9, hidden=5, outputs=3, common=False))
    assert torch.equal(one.weights, two.weights)  # pyright: ignore
    assert not torch.equal(one.names, two.names)  # pyright: ignore
    assert not torch.equal(three.weights, four.weights)  # pyright: ignore
    x, y = one(11, 40, 10)
    assert torch.equal(x, normal(stream(11, "x"), 360, 90).view(40, 9))
    for row, label in zip(x.double(), y, strict=True):
        features = [abs(sum(a * b for a, b in zip(row, unit, strict=True))) for unit in one.weights.double()]  # pyright: ignore
        scores = [sum(v * (f - (2 / torch.pi) ** 0.5) for v, f in zip(own, features, strict=True)) for own in one.names]  # pyright: ignore
        ranked = sorted(range(3), key=lambda name: float(scores[name]))
        if scores[ranked[-1]] - scores[ranked[-2]] > 1e-5:
            assert ranked[-1] == label


def test_digits_for_tests_never_occur_in_training() -> None:
    pytest.importorskip("sklearn")
    (task,) = digit_tasks(None, noise=0.0)
    seen, _ = task.draw(1, 20_000, 0)
    test, labels = digit_test(None, 0.0, 1, copies=1)
    assert task.outputs == 10
    assert sorted(set(labels.tolist())) == list(range(10))
    train = {tuple(row) for row in seen.tolist()}
    assert len(train) > 1300
    assert not any(tuple(row) in train for row in test.tolist())
    twice, _ = digit_test((3, 8), 0.5, 1, copies=2)
    assert not torch.equal(*twice.chunk(2))


def test_pairs_of_digits_are_of_four_different_ones() -> None:
    pairs = [digit_pairs(seed) for seed in range(200)]
    assert all(len({*first, *second}) == 4 for first, second in pairs)
    assert {digit for pair in pairs for both in pair for digit in both} == set(range(10))


def test_accuracy_counts_the_largest() -> None:
    y = torch.randint(4, (50,))
    outputs = torch.rand(50, 4) + 2 * nn.functional.one_hot(y, 4)
    outputs[:10] *= -1
    assert accuracy(outputs, y) == 0.8


def test_bad_input_is_named() -> None:
    x, y = torch.rand(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    with pytest.raises(ArgumentError, match=r"labels: expected two or more distinct ones of \[0, 1, 2\]; got \[1, 1\]"):
        classes("one", x, y, (1, 1))
    with pytest.raises(ArgumentError, match=r"got \[1, 7\]"):
        classes("one", x, y, (1, 7))
    with pytest.raises(ShapeError, match="y: expected shape \\[6\\]; got \\[5\\]"):
        Examples(x, y[:5])
    with pytest.raises(ArgumentError, match="noise: expected a number >= 0 and <= 1; got 1.5"):
        Examples(x, y, noise=1.5)
    with pytest.raises(ArgumentError, match="batch: expected a number >= 1; got 0"):
        classes("one", x, y, batch=0)
    with pytest.raises(ArgumentError, match="hidden"):
        teacher_tasks(1, hidden=0)
