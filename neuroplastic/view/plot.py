"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuroplastic.errors import ArgumentError, check_output, require
from neuroplastic.experiment.run import read_metrics


def plot_runs(runs: Sequence[Path], file: Path) -> None:
    """Draws best, mean and center of each run over its evaluations.

    Raises:
        RunError: a run has no metrics.
        ArgumentError: the file's ending is not one of a picture.
        MissingExtraError: matplotlib is not installed.
    """
    require("matplotlib", "view")
    check_output("--output", file)
    from matplotlib.figure import Figure

    metrics = {run: read_metrics(run) for run in runs}
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    names = [run.resolve().name for run in runs]
    for number, (run, generations) in enumerate(metrics.items()):
        color = f"C{number}"
        label = names[number] if names.count(names[number]) == 1 else str(run)

        def series(name: str, rows=generations) -> np.ndarray:
            return np.array([row.get(name, np.nan) for row in rows])

        x = series("evaluations")
        marker = "o" if len(x) == 1 else None
        axes.plot(x, series("center"), color=color, linewidth=2, label=f"{label}: center", marker=marker)
        axes.plot(x, series("mean"), color=color, linewidth=1, linestyle="--", label=f"{label}: mean of members")
        axes.plot(x, series("best"), color=color, linewidth=0.7, alpha=0.6, label=f"{label}: best member")
    axes.set_xlabel("evaluations (lives)")
    axes.set_ylabel("fitness")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    try:
        figure.savefig(file, dpi=150)
    except ValueError as error:
        raise ArgumentError(f"--output: {error}") from error
