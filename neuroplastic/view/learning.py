"""What evolved update rules learn and remember, as curves with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuroplastic.experiment.curves import Curve
from neuroplastic.experiment.learning import LearningScores
from neuroplastic.experiment.remembering import RecallScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {"train": "tasks evolved on", "held-out": "held-out tasks", "held-out-sizes": "networks of other sizes"}
NAMES = {"frozen": "its own frozen synapses", "hopfield": "Hopfield recall"}


def draw_learning(scores: LearningScores) -> Figure:
    """Accuracy over updates, a panel for each part, the mean over its tasks: the agent, and SGD and Adam if they were
    tried. A line is dotted where the agent's evolution ended."""
    figure, panels = _panels(len(scores.curves))
    for axes, part in zip(panels, scores.curves, strict=True):
        _draw(axes, {learner: scores.mean(part, learner) for learner in scores.learners})
        axes.axvline(scores.updates, color="grey", linewidth=0.8, linestyle=":")
        axes.set(title=TITLES[part], xlabel="updates", xscale="log")
        _whole_numbers(axes, scores.mean(part, "agent").marks)
    panels[0].set_ylabel("accuracy")
    panels[0].legend(fontsize="small")
    return figure


def draw_recall(scores: RecallScores) -> Figure:
    """The share of missing numbers that is said rightly, over snippets seen."""
    figure, (axes,) = _panels(1)
    _draw(axes, {NAMES.get(name, name): curve for name, curve in scores.curves.items()})
    axes.axvline(scores.length, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="snippets", ylabel="missing numbers said rightly")
    axes.legend(fontsize="small")
    return figure


def _panels(number: int) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 4 * number, 4), layout="constrained")
    return figure, figure.subplots(1, number, sharey=True, squeeze=False)[0]


def _draw(axes: Axes, curves: Mapping[str, Curve]) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(curve.marks, curve.mean, label=name, marker=".", color=f"C{number}")
        axes.fill_between(curve.marks, *curve.interval, alpha=0.2, color=f"C{number}", linewidth=0)
    axes.grid(alpha=0.3)


def _whole_numbers(axes: Axes, marks: Sequence[int]) -> None:
    """Ticks of a logarithmic axis at the marks themselves."""
    axes.set_xticks(marks, [str(mark) for mark in marks])
    axes.minorticks_off()
