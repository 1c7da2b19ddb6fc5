"""What evaluations are compared by, and who strikes a worker in the middle of a trial."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scripted_task as script
import torch

from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.base import Evaluation


def seeds(rng: np.random.Generator, episodes: int = 2) -> np.ndarray:
    return rng.integers(2**62, size=episodes)


def same(one: Evaluation, other: Evaluation) -> None:
    """Bit for bit."""
    assert list(one.measures) == list(other.measures)
    pairs = [(one.fitness, other.fitness), (one.steps, other.steps)]
    pairs += [(one.measures[name], other.measures[name]) for name in one.measures]
    assert (one.statistics is None) == (other.statistics is None)
    if one.statistics is not None and other.statistics is not None:
        pairs += zip(vars(one.statistics).values(), vars(other.statistics).values(), strict=True)
    for mine, theirs in pairs:
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        assert mine.tobytes() == theirs.tobytes()
    assert one.failures == other.failures


def serial(population: DensePopulation, seeds: np.ndarray, folder: Path, **options) -> Evaluation:
    """What comes when nothing goes wrong."""
    fine = torch.where(population.matrix[:, 1:] == script.FAIL, script.FAIL, script.FINE)
    harmless = DensePopulation(torch.cat([population.matrix[:, :1], fine.to(torch.float32)], dim=1))
    with SerialEvaluator(script.Scripted(folder)) as evaluator:
        return evaluator.evaluate(harmless, seeds, **options)


def except_for(expected: Evaluation, member: int, reason: str) -> Evaluation:
    """``expected``, but one member has failed."""
    for values in (expected.fitness, *expected.measures.values()):
        values[member] = np.nan
    expected.steps[member] = 0
    assert expected.statistics is not None
    for values in vars(expected.statistics).values():
        values[member] = 0
    return Evaluation(
        expected.fitness,
        expected.steps,
        expected.measures,
        {reason: expected.fitness.shape[1]},
        expected.statistics,
    )


class Strike:
    """Does something to the process that tries a member, in the middle of it, and lets all who wait go on."""

    def __init__(self, folder: Path, member: int, strike: Callable[[int], None]) -> None:
        self.folder, self.member, self.strike = folder, member, strike
        self.victim = 0

    def __call__(self, done: int, total: int) -> None:
        note = self.folder / f"at-{self.member}"
        if not self.victim and note.exists():
            self.victim = int(note.read_text())
            self.strike(self.victim)
            (self.folder / "go").touch()


def ended(pid: int) -> bool:
    """Whether there is no such process any more; one that nobody has asked about counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return True
    return state == "Z" and threads == 1  # while others of its threads end, nobody is told of its death


def gone(pid: int) -> bool:
    """Whether the process ends within a minute."""
    end = time.monotonic() + 60
    while not ended(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return ended(pid)
