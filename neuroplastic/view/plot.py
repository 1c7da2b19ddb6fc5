"""Learning curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, check_output, require
from neuroplastic.evaluate.base import Progress
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.examine import learned_scores
from neuroplastic.experiment.kinds.pathnet import recalled
from neuroplastic.experiment.models import PathNetRecipe
from neuroplastic.experiment.remembering import RecallScores
from neuroplastic.experiment.run import read_metrics
from neuroplastic.experiment.store import Address, located
from neuroplastic.view.learning import draw_learning, draw_recall
from neuroplastic.view.paths import draw_paths

SHOWN = 15
"""A run of at least twice so many generations is smoothed over one of so many parts of it."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = (
    ("center", "center", 2.0, "-"),
    ("mean", "mean of members", 1.0, "--"),
    ("best", "best member", 0.7, "-"),
)
MANY = 3
"""Of more runs than this only the center is drawn: nobody can tell more lines apart."""


def plot_runs(runs: Sequence[Address], file: Path) -> None:
    """Writes the picture that `draw_runs` draws; raises what `write` raises, and `RunError`: a run has no metrics."""
    write(file, lambda: draw_runs(runs))


def write(file: Path, draw: Callable[[], Figure]) -> None:
    """Writes what is drawn; what cannot be written is refused before.

    Raises:
        ArgumentError: the file cannot be written, or its ending is not one of a picture.
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", "view")
    check_output("--output", file)
    figure = draw()
    try:
        figure.savefig(file, dpi=150)
    except (ValueError, OSError) as error:
        raise ArgumentError(f"--output: {error}") from error


def draw_found(agent: Agent, episodes: int = 20, progress: Progress | None = None) -> Figure:
    """What was found, of an agent that is no life: an update rule's accuracy over updates beside SGD's and Adam's, what
    a recall rule remembers, or the paths through a super-network.

    Args:
        agent: of such a kind.
        episodes: test episodes of an update rule.
        progress: told how many of its steps are done.

    Raises:
        RecipeError: the agent lives in an environment.
    """
    if isinstance(agent.recipe, PathNetRecipe):
        return draw_paths(recalled(agent.recipe, agent.parts)[-1])
    scores = learned_scores(agent, episodes, progress=progress)
    return draw_recall(scores) if isinstance(scores, RecallScores) else draw_learning(scores)


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The mean of each number and the ``window`` - 1 before it, as far as there are so many: [N] of [N].

    NaN is left out; where there is nothing else the mean is NaN.
    """
    sound = np.isfinite(values)
    sums, counts = np.cumsum(np.where(sound, values, 0.0)), np.cumsum(sound)
    sums[window:] -= sums[:-window].copy()
    counts[window:] -= counts[:-window].copy()
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def draw_runs(runs: Sequence[Address]) -> Figure:
    """The center, mean and best member of each run over its evaluations; of more than `MANY` runs the center alone.

    Fitness in few episodes jumps from generation to generation: of a long run the lines are running means, and the
    center itself is drawn palely behind them.

    Raises:
        RunError: a run has no metrics.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    places = [located(run) for run in runs]
    names = [place.resolve().name if isinstance(place, Path) else place.address.split("/")[-1] for place in places]
    for number, (place, rows) in enumerate([(place, read_metrics(place)) for place in places]):
        label = names[number] if names.count(names[number]) == 1 else str(place)
        x = [row["evaluations"] for row in rows]
        marker = "o" if len(x) == 1 else None
        window = len(rows) // SHOWN if len(rows) >= 2 * SHOWN else 1
        of = f", mean of {window} generations" if window > 1 else ""
        for key, title, width, dash in LINES[: 1 if len(places) > MANY else None]:
            y = np.array([row.get(key, np.nan) for row in rows], dtype=np.float64)
            if window > 1 and key == "center":
                axes.plot(x, y, color=f"C{number}", linewidth=0.7, alpha=0.3)
            line = running_mean(y, window) if window > 1 and key != "best" else y
            title = f"{label}: {title}{of if key != 'best' else ''}"
            axes.plot(x, line, color=f"C{number}", label=title, marker=marker, linewidth=width, linestyle=dash)
    axes.set_xlabel("evaluations (lives)")
    axes.set_ylabel("fitness")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure
