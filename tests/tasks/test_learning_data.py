"""Sources: what labels mean, and that lessons and exams share nothing."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, MissingExtraError
from neuroplastic.tasks.data import Boolean, Finite, Glyphs, Moons, Snippets, Spirals, sources, targets
from neuroplastic.tasks.data.digits import digits
from neuroplastic.tasks.data.plane import BOOLEAN
from neuroplastic.tasks.data.vision import vision

MADE = {name: sources[name] for name in (*BOOLEAN, "moons", "circles", "disc", "spirals", "digits", "glyphs")}


@pytest.mark.parametrize("name", MADE)
def test_every_source_keeps_its_word(name: str) -> None:
    seed = int(np.random.default_rng().integers(10**6))
    source = MADE[name]()
    x, y = source.draw(seed, 400, exam=False)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((400, source.inputs), torch.float32, (400,), torch.int64)
    assert set(y.tolist()) <= set(range(source.classes)), f"seed {seed}"
    assert len(y.unique()) == source.classes, f"seed {seed}"
    assert x.abs().max() < 2, f"seed {seed}"
    again = source.draw(seed, 400, exam=False)
    assert torch.equal(again[0], x)
    assert torch.equal(again[1], y)
    if name != "digits":  # of which there are so many
        exam, other = source.draw(seed, 400, exam=True)[0], source.draw(seed + 1, 400, exam=False)[0]
        assert not (exam == x).all(1).any(), f"seed {seed}"
        assert not (other == x).all(1).any(), f"seed {seed}"


def test_boolean_functions_are_pythons() -> None:
    x, _ = Boolean(0).draw(3, 200, exam=False)
    a, b = (x > 0).unbind(1)
    expected = {
        "and": a & b,
        "or": a | b,
        "xor": a ^ b,
        "nand": ~(a & b),
        "nor": ~(a | b),
        "nxor": ~(a ^ b),
        "qand": ~a & b,
        "implies": ~a | b,
    }
    assert set(expected) == set(BOOLEAN)
    for name, values in expected.items():
        assert torch.equal(sources[name]().draw(3, 200, exam=False)[1], values.long()), name
    x, y = Boolean(0b1000_0000, inputs=3).draw(3, 200, exam=True)
    assert torch.equal(y, (x > 0).all(1).long())
    with pytest.raises(ArgumentError, match="table: expected a number >= 0 and <= 15; got 16"):
        Boolean(16)


def test_shapes_of_the_plane() -> None:
    """Without noise each sample lies where its class does."""
    x, y = Moons(noise=0.0).draw(1, 300, exam=False)
    x = 1.5 * x
    centers = torch.tensor([[-0.5, -0.25], [0.5, 0.25]])[y]
    torch.testing.assert_close((x - centers).norm(dim=1), torch.ones(300))
    assert ((x - centers)[:, 1] * (1 - 2 * y) > -1e-5).all()
    turned, _ = Moons(noise=0.0, turn=np.pi / 2).draw(1, 300, exam=False)
    torch.testing.assert_close(1.5 * turned, torch.stack((-x[:, 1], x[:, 0]), 1), rtol=0, atol=1e-5)
    x, y = sources["circles"](noise=0.0).draw(2, 300, exam=False)
    torch.testing.assert_close(x.norm(dim=1), 1 - 0.5 * y.float())
    x, y = sources["disc"]().draw(2, 3000, exam=False)
    assert torch.equal(y == 1, x.square().sum(1) < 2 / np.pi)
    x, y = Spirals(noise=0.0).draw(2, 300, exam=False)
    angle = torch.atan2(x[:, 1], x[:, 0]) - 2 * np.pi * x.norm(dim=1) - np.pi * y
    torch.testing.assert_close(angle.cos(), torch.ones(300), rtol=0, atol=1e-4)


def test_labels_out_of_range_are_refused() -> None:
    assert targets(torch.tensor([[0, 1]]), 2).tolist() == [[[-1.0], [1.0]]]
    assert targets(torch.tensor([2, 0]), 3).tolist() == [[-1, -1, 1], [1, -1, -1]]
    with pytest.raises(ArgumentError, match=r"labels: expected integers from 0 to 2; got \[1, 3\]"):
        targets(torch.tensor([1, 3]), 3)
    with pytest.raises(ArgumentError, match="labels"):
        targets(torch.tensor([-1, 0]), 2)
    with pytest.raises(ArgumentError, match="labels"):
        targets(torch.tensor([0.5]), 2)
    with pytest.raises(ArgumentError, match="y: expected labels from 0 to 8; got some from 0 to 9"):
        Finite(digits, 9).draw(1, 5, exam=False)


def numbered() -> tuple[Tensor, Tensor]:
    return torch.arange(40.0)[:, None], torch.arange(40) % 4


def test_rows_of_exams_are_never_in_lessons() -> None:
    source = Finite(numbered, 4, share=0.25, seed=3)
    lessons = {float(x) for seed in range(30) for x in source.draw(seed, 40, exam=False)[0].ravel()}
    exams = {float(x) for seed in range(30) for x in source.draw(seed, 40, exam=True)[0].ravel()}
    assert (len(lessons), len(exams)) == (30, 10)
    assert not lessons & exams
    other = {float(x) for x in Finite(numbered, 4, seed=4).rows(exam=True)[0].ravel()}
    assert other != exams
    few = Finite(numbered, 4, only=(3, 1))
    x, y = few.rows(exam=False)
    assert few.classes == 2
    assert torch.equal(torch.tensor([3, 1])[y], x.ravel().long() % 4)
    with pytest.raises(ArgumentError, match="only: expected two or more distinct labels"):
        Finite(numbered, 4, only=(1, 1))
    with pytest.raises(ArgumentError, match="share"):
        Finite(numbered, 4, share=0.0)


def test_digits_are_scikit_learns_and_nobody_elses() -> None:
    x, y = digits()
    assert (tuple(x.shape), x.min(), x.max(), set(y.tolist())) == ((1797, 64), 0, 1, set(range(10)))
    x.zero_()
    assert digits()[0].max() == 1


def test_digits_need_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuroplastic.tasks.data.digits import _digits

    _digits.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"neuroplastic\[sklearn\]"):
        digits()


def test_glyphs_are_classes() -> None:
    """Samples of a class are nearer to its mean than to others: a classifier by means is far above chance."""
    source = Glyphs(classes=12, seed=5, jitter=0.5)
    x, y = source.draw(1, 2000, exam=False)
    means = torch.stack([x[y == label].mean(0) for label in range(12)])
    exam, truth = source.draw(1, 1000, exam=True)
    assert (torch.cdist(exam, means).argmin(1) == truth).float().mean() > 0.7
    assert not torch.equal(Glyphs(12, seed=6).strokes(), source.strokes())
    assert torch.equal(Glyphs(5, seed=5).strokes(), source.strokes()[:5])


def test_cues_miss_what_they_should() -> None:
    snippets, cues = Snippets(10, missing=0.35).draw(4, 50)
    assert set(snippets.unique().tolist()) == {-1, 1}
    assert ((cues == 0).sum(1) == 3).all()
    assert torch.equal(cues[cues != 0], snippets[cues != 0])


def test_pictures_that_are_not_there(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Datasets:
        """In torchvision's manner."""

        class MNIST:
            def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
                assert not download
                if root == str(tmp_path):
                    raise RuntimeError("Dataset not found. You can use download=True to download it")
                self.rows = [(np.full((2, 2), 255 * label, np.uint8), label) for label in (0, 1)]

            def __iter__(self):
                return iter(self.rows)

        other = 3

    monkeypatch.setitem(sys.modules, "torchvision.datasets", Datasets)
    with pytest.raises(ArgumentError, match=r"root: .* nothing is downloaded .*torchvision.datasets.MNIST"):
        vision("MNIST", str(tmp_path))
    with pytest.raises(ArgumentError, match="name: expected a data set of torchvision"):
        vision("other", "here")
    x, y = vision("MNIST", "here")
    assert x.tolist() == [[-1] * 4, [1] * 4]
    assert y.tolist() == [0, 1]
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(MissingExtraError, match="torchvision"):
        vision("MNIST", "here")
