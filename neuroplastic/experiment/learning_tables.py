"""What `neuroplastic evaluate` prints of an evolved update rule: tables, and in one line what they mean."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from rich.table import Table

from neuroplastic.experiment.curves import Curve
from neuroplastic.experiment.learning import LearningScores
from neuroplastic.experiment.meaning import FEWEST, Difference, Verdict
from neuroplastic.experiment.remembering import SNIPPETS, RecallScores

MARGIN = 0.01
"""Of a share of right answers: less is no difference worth a word."""

TITLES = {"train": "evolved on", "held-out": "held out", "held-out-sizes": "in networks of other sizes"}
SAID: dict[Verdict, str] = {"better": "better than", "as well": "as well as", "worse": "worse than"}


def learning_table(scores: LearningScores) -> Table:
    """Percent right after so many updates, ± half of its 95 % interval: a row for each task and learner."""
    table = _table("task", scores.marks)
    for part, lessons in scores.curves.items():
        failed = f" ({scores.failed[part]} episodes failed)" if scores.failed[part] else ""
        table.add_row(f"[italic]{TITLES[part]}{failed}[/italic]")
        for lesson, learners in lessons.items():
            _add(table, lesson, learners)
    return table


def recall_table(scores: RecallScores) -> Table:
    """Percent of missing numbers said rightly after so many snippets, ± half of its 95 % interval."""
    table = _table("", SNIPPETS)
    _add(table, "", scores.curves)
    if scores.failed:
        table.add_row("", f"({scores.failed} episodes failed)")
    return table


def learning_meaning(scores: LearningScores) -> str:
    """Whether it learns held-out tasks better than SGD and Adam: as soon as it was evolved for, and in the end.

    Empty if no baseline was tried.
    """
    parts = {"held-out": "held-out tasks", "train": "tasks it was evolved on"}
    part = next((part for part in parts if part in scores.curves), None)
    if part is None or not scores.chosen:
        return ""
    said, own = [], scores.mean(part, "agent")
    for mark in dict.fromkeys((_reached(scores.marks, scores.updates), scores.marks[-1])):
        others = {name: scores.mean(part, name) for name in scores.chosen}
        said.append(f"after {_number(mark, 'update')} {_beside(own, others, mark)}")
    return f"on {parts[part]}, " + "; ".join(said)


def recall_meaning(scores: RecallScores) -> str:
    """What its synapses add, and how it stands beside Hopfield's recall: with the snippets it was evolved for."""
    titles = {"frozen": "its own frozen synapses", "hopfield": "Hopfield recall"}
    mark = _reached(SNIPPETS, scores.length)
    others = {title: scores.curves[name] for name, title in titles.items()}
    return f"after {_number(mark, 'snippet')} {_beside(scores.curves['agent'], others, mark)}"


def _beside(own: Curve, others: Mapping[str, Curve], mark: int) -> str:
    """How it stands beside each of the others, those of one verdict together."""
    verdicts: dict[Verdict, list[str]] = {}
    for name, other in others.items():
        difference = Difference.between(own.at(mark), other.at(mark))
        if difference is not None:
            few = f", {difference.episodes} episodes" if difference.episodes < FEWEST else ""
            verdicts.setdefault(difference.verdict(MARGIN), []).append(f"{name}: {_signed(difference)}{few}")
    said = [f"{text} {' and '.join(verdicts[verdict])}" for verdict, text in SAID.items() if verdict in verdicts]
    if undecided := verdicts.get("undecided"):
        said.append(f"undecided beside {' and '.join(undecided)}")
    return ", ".join(said)


def _signed(difference: Difference) -> str:
    mean, low, high = (
        f"{number:+.2f}".replace("0.", ".") for number in (difference.mean, difference.low, difference.high)
    )
    return f"{mean} ({low} … {high})"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _reached(marks: Sequence[int], number: int) -> int:
    """The last of the marks that so many updates reach."""
    return marks[max(0, bisect_right(marks, number) - 1)]


def _table(first: str, marks: Sequence[int]) -> Table:
    table = Table(first, "", box=None, padding=(0, 1, 0, 0), header_style="bold")
    for mark in marks:
        table.add_column(str(mark), no_wrap=True, justify="right")
    return table


def _add(table: Table, title: str, learners: Mapping[str, Curve]) -> None:
    for number, (learner, curve) in enumerate(learners.items()):
        half = (curve.interval[1] - curve.interval[0]) / 2
        cells = [f"{100 * mean:.0f}±{100 * around:.0f}" for mean, around in zip(curve.mean, half, strict=True)]
        table.add_row("" if number else title, learner, *cells)
