"""Examples that can be waited for. A module of its own, because workers import it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from neuroplastic.tasks.pathnet.teacher import Teacher


@dataclass(frozen=True)
class WaitingTeacher:
    """A teacher whose pupils do, in the middle of a trial, what files ask of them.

    "wait": they say where they are, and wait for the file "go". "deadly": the trial named in it kills its worker.
    """

    teacher: Teacher
    folder: Path

    def __call__(self, source: int, count: int, start: int) -> tuple[Tensor, Tensor]:
        if start and (self.folder / "wait").exists() and not (self.folder / "go").exists():
            draft = self.folder / f"draft-{os.getpid()}"
            draft.write_text(str(os.getpid()))
            draft.rename(self.folder / "at-0")
            while not (self.folder / "go").exists():
                time.sleep(0.01)
        deadly = self.folder / "deadly"
        if start and deadly.exists() and deadly.read_text() == str(source):
            os.kill(os.getpid(), 9)
        return self.teacher(source, count, start)
