"""What a person sees while a run goes on: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from neuroplastic.experiment.build import Cost, duration


def line(metrics: Mapping[str, float], generations: int, rate: float, left: float) -> str:
    """One generation in one line."""
    parts = [f"generation {int(metrics['generation']) + 1}/{generations}"]
    parts += [f"{name} {metrics[name]:.1f}" for name in ("best", "mean", "center")]
    parts += [f"{name.removeprefix('center_')} {metrics[name]:.2f}" for name in metrics if name.startswith("center_")]
    parts += [f"{rate:,.0f} steps/s", f"{duration(left)} left"]
    if metrics.get("failures"):
        parts.append(f"{int(metrics['failures'])} failed")
    return "  ".join(parts)


class _Pace:
    """Steps a second of late, and the time left."""

    def __init__(self) -> None:
        self.seconds = self.rate = 0.0
        self.steps = 0

    def update(self, metrics: Mapping[str, float], generations: int) -> float:
        seconds, steps = metrics["seconds"], int(metrics["steps"])
        self.rate = (steps - self.steps) / max(seconds, 1e-9)
        self.steps = steps
        self.seconds = seconds if not self.seconds else 0.8 * self.seconds + 0.2 * seconds
        return self.seconds * (generations - metrics["generation"] - 1)


class PlainReporter:
    """Lines for a log, at most one a second but always the first and the last."""

    def __init__(self, console: Console) -> None:
        self.console, self.pace, self.printed = console, _Pace(), 0.0

    def begin(self, cost: Cost, generation: int, steps: int, generations: int) -> None:
        self.generations, self.pace.steps = generations, steps
        if generation:
            self.note(f"going on after generation {generation}")
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
    """A bar over the generations and one over the members of the present one."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.progress = Progress(TextColumn("{task.description}", markup=False), BarColumn(), console=console)
        self.run: TaskID | None = None

    def begin(self, cost: Cost, generation: int, steps: int, generations: int) -> None:
        super().begin(cost, generation, steps, generations)
        self.run = self.progress.add_task("first generation", total=generations, completed=generation)
        self.trials = self.progress.add_task("members tried", total=None)
        self.progress.start()

    def members(self, done: int, total: int) -> None:
        if self.run is not None:
            self.progress.update(self.trials, completed=done, total=total, description=f"members {done}/{total}")

    def generation(self, metrics: Mapping[str, float]) -> None:
        left = self.pace.update(metrics, self.generations)
        if self.run is not None:
            text = line(metrics, self.generations, self.pace.rate, left)
            self.progress.update(self.run, completed=metrics["generation"] + 1, description=text)

    def close(self) -> None:
        self.progress.stop()
