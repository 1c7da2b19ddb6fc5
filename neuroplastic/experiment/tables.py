"""What `neuroplastic evaluate` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from neuroplastic.experiment.controls import LIVING, Answer

WITH_A_MOMENT = ("living", "zero_layer", "damage", "damage and freeze", "own")


def scores_table(scores: Sequence[dict[str, Any]], measures: Sequence[str]) -> Table:
    """Of `Score.summary`, a row for each variation."""
    titles = [f"{name} (m)" if name == "distance" else name for name in measures]
    table = Table("", "mean ± std", "95 % interval", *titles, "failed", box=None, header_style="bold")
    for row in scores:
        label = row["variation"] + (" (evolved on)" if row["evolved_on"] else "")
        figures = ["-", "-", *["-"] * len(measures)]
        if row["mean"] is not None:
            figures = [f"{row['mean']:.1f} ± {row['std']:.1f}", f"{row['low']:.1f} … {row['high']:.1f}"]
            figures += [f"{row[name]:.2f}" for name in measures]
        table.add_row(label, *figures, str(row["failed"]))
    return table


def paths_table(tasks: Sequence[dict[str, Any]]) -> Table:
    """A row for each task that PathNet has learned."""
    titles = ["score", "95 % interval", "rounds", "modules", "of which reused"]
    table = Table("task", *titles, box=None, header_style="bold")
    for row in tasks:
        figures = [f"{row['mean']:.3g}", f"{row['low']:.3g} … {row['high']:.3g}"]
        table.add_row(row["task"], *figures, *(str(row[name]) for name in ("rounds", "modules", "reused")))
    return table


def controls_table(answers: Sequence[Answer]) -> Table:
    """A row for each thing that was done to the agent."""
    table, failed = (
        Table(box=None, pad_edge=False, header_style="bold"),
        any(answer.summary()["failed"] for answer in answers),
    )
    table.add_column("what is done to it", overflow="fold")
    for title in ["return", "difference", "recover", "after steps", *["failed"] * failed]:
        table.add_column(title, no_wrap=True)
    for answer in answers:
        row, name = answer.summary(), answer.trial.name.removeprefix("damage=")
        if answer.trial.against not in (LIVING, answer.trial.name):
            name = "  and frozen, to that"
        mean = "-" if row["mean"] is None else f"{row['mean']:.1f}"
        difference = f"{answer.difference.low:+.1f} … {answer.difference.high:+.1f}" if answer.difference else "-"
        table.add_row(name, mean, difference, *_recovery(answer), *[str(row["failed"])] * failed)
    return table


def _recovery(answer: Answer) -> tuple[str, str]:
    recovered = answer.recovered
    if recovered is None or answer.trial.kind not in WITH_A_MOMENT:
        return "-", "-"
    median, low, high = (
        "never" if steps == float("inf") else f"{steps:.0f}"
        for steps in (recovered.median, recovered.low, recovered.high)
    )
    return f"{recovered.share:.0%}", median if low == high else f"{median} ({low} … {high})"
