"""What a person sees while a run goes on: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID
from rich.text import Text

from neuroplastic.experiment.cost import Cost, duration
from neuroplastic.learners.base import Learner
from neuroplastic.learners.evolution import FAULT


def line(metrics: Mapping[str, float], generations: int, rate: float, left: float) -> str:
    """One generation in one line."""
    parts = [f"generation {int(metrics['generation']) + 1}/{generations}"]
    parts += [f"{name} {fitness(metrics[name])}" for name in ("best", "mean", "center")]
    parts += [measured(name.removeprefix("center_"), metrics[name]) for name in metrics if name.startswith("center_")]
    parts += [f"{rate:,.0f} steps/s", f"{duration(left)} left"]
    if metrics.get("failures"):
        parts.append(f"{int(metrics['failures'])} failed")
    if lost := sum(int(metrics.get(FAULT + name, 0)) for name in ("killed", "hung", "nonsense")):
        parts.append(f"{lost} worker{'s' * (lost > 1)} lost and replaced")
    return "  ".join(parts)


def fitness(value: float) -> str:
    """As many digits as people look at: of shares and losses more than of returns."""
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"


def measured(name: str, value: float) -> str:
    """A measure with its unit, where the unit is known."""
    return f"{name} {value:.2f}" + (" m" if name == "distance" else "")


class _Pace:
    """Steps a second of late, and the time left."""

    def __init__(self) -> None:
        self.seconds = self.rate = 0.0
        self.steps = 0

    def update(self, metrics: Mapping[str, float], generations: int) -> float:
        seconds, steps = metrics["seconds"], int(metrics["steps"])
        self.rate = (steps - self.steps) / max(seconds, 1e-9)
        self.steps = steps
        self.seconds = seconds if not self.seconds else 0.5 * self.seconds + 0.5 * seconds
        return self.seconds * (generations - metrics["generation"] - 1)


class PlainReporter:
    """Lines for a log, at most one a second but always the first and the last."""

    def __init__(self, console: Console) -> None:
        self.console, self.pace, self.printed = console, _Pace(), 0.0

    def begin(self, cost: Cost, learner: Learner, generations: int) -> None:
        self.generations, self.pace.steps = generations, learner.steps
        if learner.generation:
            self.note(f"going on after generation {learner.generation}")
        self.note(str(cost))

    def members(self, done: int, total: int) -> None:
        pass

    def generation(self, metrics: Mapping[str, float]) -> None:
        left = self.pace.update(metrics, self.generations)
        last = metrics["generation"] + 1 == self.generations
        if last or time.monotonic() - self.printed >= 1:
            self.printed = time.monotonic()
            self.note(line(metrics, self.generations, self.pace.rate, left))

    def note(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing more will come while the run goes on."""


class LiveReporter(PlainReporter):
    """The last generation, a bar over the generations, and one over the members of the present one."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.bars = Progress("{task.description}", BarColumn(), MofNCompleteColumn(), console=console)
        self.live = Live(console=console, refresh_per_second=4)
        self.run: TaskID | None = None

    def begin(self, cost: Cost, learner: Learner, generations: int) -> None:
        super().begin(cost, learner, generations)
        self.run = self.bars.add_task("generations", total=generations, completed=learner.generation)
        self.trials = self.bars.add_task("members", total=None)
        self.live.update(self.bars)
        self.live.start()

    def members(self, done: int, total: int) -> None:
        if self.run is not None:
            self.bars.update(self.trials, completed=done, total=total)

    def generation(self, metrics: Mapping[str, float]) -> None:
        left = self.pace.update(metrics, self.generations)
        if self.run is not None:
            self.bars.update(self.run, completed=metrics["generation"] + 1)
            text = Text(line(metrics, self.generations, self.pace.rate, left))
            self.live.update(Group(text, self.bars))

    def close(self) -> None:
        self.live.stop()
