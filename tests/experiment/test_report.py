from io import StringIO
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from neuroplastic.experiment.cost import Cost
from neuroplastic.experiment.report import LiveReporter, PlainReporter

METRICS = {
    "generation": 3,
    "best": 5.0,
    "mean": 2.0,
    "center": 3.0,
    "center_distance": 1.5,
    "steps": 900,
    "seconds": 2.0,
}


def told(kind: type[PlainReporter], **options: Any) -> str:
    out = StringIO()
    reporter = kind(Console(file=out, width=80, **options))
    learner: Any = SimpleNamespace(generation=3, steps=500)
    reporter.begin(Cost(11, 1e6, 2000.0, 2), learner, 10)
    reporter.members(4, 11)
    reporter.generation(METRICS)
    reporter.note("a [bracket] stays")
    reporter.close()
    return out.getvalue()


def test_plain_lines() -> None:
    lines = told(PlainReporter).splitlines()
    assert lines[0] == "going on after generation 3"
    assert lines[1].startswith("at most 1,000,000 steps (11 lives a generation), 2 workers, 2,000 steps/s each")
    assert lines[1].endswith("at most 4 min 10 s")
    assert lines[2] == "generation 4/10  best 5.0  mean 2.0  center 3.0  distance 1.50 m  200 steps/s  12 s left"
    assert lines[3] == "a [bracket] stays"


def test_the_live_display_shows_both_bars_in_80_columns() -> None:
    text = told(LiveReporter, force_terminal=True)
    assert "generation 4/10" in text
    assert "━" in text
    assert " 4/11" in text
    assert " 4/10" in text
