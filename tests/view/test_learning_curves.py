"""Pictures of what update rules learn and remember show the scores."""

from pathlib import Path

import numpy as np
import pytest

from neuroplastic.experiment.curves import Curve
from neuroplastic.experiment.grid import Choice
from neuroplastic.experiment.learning import MARKS, PARTS, LearningScores
from neuroplastic.experiment.remembering import SNIPPETS, RecallScores
from neuroplastic.learned.descent import SGD
from neuroplastic.view.learning import draw_learning, draw_recall


def curve(marks: tuple[int, ...]) -> Curve:
    return Curve(marks, np.random.default_rng().random((6, len(marks))))


def check(axes, curves: list[Curve]) -> None:
    lines, bands = [line for line in axes.get_lines() if line.get_marker() == "."], axes.collections
    for line, band, own in zip(lines, bands, curves, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), own.marks)
        np.testing.assert_allclose(line.get_ydata(), own.right.mean(axis=0))
        corners = band.get_paths()[0].vertices
        for mark, low, high in zip(own.marks, *own.interval, strict=True):
            there = corners[corners[:, 0] == mark, 1]
            assert there.min() == pytest.approx(low)
            assert there.max() == pytest.approx(high)


@pytest.mark.parametrize("parts", [PARTS, PARTS[:1]])
@pytest.mark.parametrize("baselines", [("SGD", "Adam"), ()])
def test_learning_has_a_panel_for_each_part(parts, baselines, tmp_path: Path) -> None:
    names = ("agent", *baselines)
    curves = {part: {lesson: {name: curve(MARKS) for name in names} for lesson in ("a", "b")} for part in parts}
    chosen = {name: [Choice(SGD(), (0.0, 0.0))] * len(MARKS) for name in baselines}
    figure = draw_learning(LearningScores(10, curves, dict.fromkeys(parts, 0), chosen))
    assert len(figure.axes) == len(parts)
    for axes, part in zip(figure.axes, parts, strict=True):
        check(axes, [Curve.mean_of([curves[part][lesson][name] for lesson in ("a", "b")]) for name in names])
        assert axes.get_xscale() == "log"
    assert figure.axes[0].get_legend_handles_labels()[1] == list(names)
    figure.savefig(tmp_path / "learning.png")
    assert (tmp_path / "learning.png").read_bytes().startswith(b"\x89PNG")


def test_recall_is_drawn() -> None:
    curves = {name: curve(SNIPPETS) for name in ("agent", "frozen", "hopfield")}
    (axes,) = draw_recall(RecallScores(8, curves, 0)).axes
    check(axes, list(curves.values()))
