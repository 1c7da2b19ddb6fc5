"""A task whose genomes say what goes wrong in their trials. A module of its own, because workers import it."""

import ctypes
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError
from neuroplastic.genome import Layout
from neuroplastic.search.base import DensePopulation, Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics

FINE, KILL, KILL_ONCE, CRASH, EXIT, HANG_ONCE, STUCK, RAISE, STRANGE, FAIL, WAIT, NAP = range(12)
NONSENSE, NONSENSE_ONCE = 12, 13


class StrangeError(Exception):
    """One that is pickled but cannot be made again."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


@dataclass
class Scripted:
    """Fitness is the product of genome[0] and the seed's own normal number; genome[1] says what goes wrong.

    What goes wrong once leaves a file in ``folder``; who waits writes its process there, and waits for the file "go".
    """

    folder: Path
    batch: int = 3
    layout = Layout((("value", (1,)), ("fault", (1,))))

    def evaluate(
        self, population: Population, index: Sequence[int], seeds: NDArray[np.int64], shared: Statistics | None = None
    ) -> Evaluation:
        genomes = population.rows(index).numpy().astype(np.float64)
        failed = []
        for member, fault in zip(index, genomes[:, 1], strict=True):
            self.suffer(int(fault), member)
            failed.append(int(fault) == FAIL)
            if fault == NONSENSE or (fault == NONSENSE_ONCE and self.first(member)):
                return Evaluation(np.ones((1, 7)), np.ones((1, 7), np.int64))
        births = np.array([[np.random.default_rng(seed).standard_normal() for seed in own] for own in seeds])
        fitness = genomes[:, :1] * births
        if shared is not None:
            fitness += shared.mean.sum()
        fitness[failed] = np.nan
        seen = Statistics(np.ones_like(fitness), np.sin(fitness)[..., None], np.zeros((*fitness.shape, 1)))
        steps = np.tile(np.arange(seeds.shape[1]) + 7, (len(index), 1))
        failures = {"it fell over": sum(failed) * seeds.shape[1]} if any(failed) else {}
        return Evaluation(fitness, steps, {"distance": np.cos(fitness)}, failures, seen)

    def suffer(self, fault: int, member: int) -> None:
        if fault == KILL or (fault == KILL_ONCE and self.first(member)):
            os.kill(os.getpid(), 9)
        elif fault == CRASH:
            ctypes.string_at(0)  # reads address 0
        elif fault == EXIT:
            os._exit(3)
        elif fault == HANG_ONCE and self.first(member):
            time.sleep(1e6)
        elif fault == STUCK:
            self.note(member)
            ctypes.PyDLL(None).sleep(1_000_000)  # holds the interpreter's lock: no Python thread of it can run
        elif fault == RAISE:
            raise ArgumentError("the task: expected sense; got none")
        elif fault == STRANGE:
            raise StrangeError(7, "odd")
        elif fault == NAP:
            self.note(member)
            time.sleep(0.1)
        elif fault == WAIT:
            self.note(member)
            while not (self.folder / "go").exists():
                time.sleep(0.01)

    def first(self, member: int) -> bool:
        before = (self.folder / f"once-{member}").exists()
        (self.folder / f"once-{member}").touch()
        return not before

    def note(self, member: int) -> None:
        """Says which process tries the member, in one piece."""
        draft = self.folder / f"draft-{member}-{os.getpid()}"
        draft.write_text(str(os.getpid()))
        draft.rename(self.folder / f"at-{member}")

    def close(self) -> None: ...


def _refuse() -> "Unreadable":
    raise ImportError("no module named 'moon'")


class Unreadable(Scripted):
    """Cannot be made again where it is sent to."""

    def __reduce__(self):
        return _refuse, ()


class Late(Scripted):
    """Its workers start when there is the file "go"; until then they write their processes there."""

    @property
    def layout(self) -> Layout:  # pyright: ignore[reportIncompatibleVariableOverride]
        self.suffer(WAIT, os.getpid())
        return Scripted.layout


class Threads(Scripted):
    """Fitness is the number of threads that libraries use."""

    def evaluate(
        self, population: Population, index: Sequence[int], seeds: NDArray[np.int64], shared: Statistics | None = None
    ) -> Evaluation:
        import numba

        np.ones((500, 500)) @ np.ones((500, 500))  # starts the pool of its BLAS, if there is to be one
        fitness = np.full(seeds.shape, float(max(torch.get_num_threads(), numba.get_num_threads())))
        pool = len(list(Path("/proc/self/task").iterdir()))
        return Evaluation(fitness, np.zeros(fitness.shape, np.int64), {"pool": np.full(fitness.shape, float(pool))})


class Devices(Scripted):
    """Counts the GPUs that the environment of its process names."""

    def evaluate(
        self, population: Population, index: Sequence[int], seeds: NDArray[np.int64], shared: Statistics | None = None
    ) -> Evaluation:
        mine = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        named = {"gpus": np.full(seeds.shape, float(len(mine)))}
        return Evaluation(np.zeros(seeds.shape), np.zeros(seeds.shape, np.int64), named)


def population(faults: Sequence[int], rng: np.random.Generator) -> DensePopulation:
    """A member for each fault."""
    values = torch.from_numpy(rng.standard_normal(len(faults)).astype(np.float32))
    return DensePopulation(torch.stack([values, torch.tensor(faults, dtype=torch.float32)], dim=1))
