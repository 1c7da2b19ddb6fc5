"""What the one loop drives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

State = Mapping[str, Tensor | int | float | str]
"""Flat, so that it fits in a safetensors file: tensors beside plain values."""


class Learner(Protocol):
    """Something that gets better one step at a time.

    `step` changes the learner only when all its evaluations are done: what interrupts them leaves it as it was.
    """

    @property
    def generation(self) -> int:
        """Steps done."""
        ...

    def step(self) -> dict[str, float]:
        """One generation, tournament or meta-step; returns its metrics, ``generation`` among them."""
        ...

    def state_dict(self) -> dict[str, Tensor | int | float | str]:
        """Everything that the steps to come depend on."""
        ...

    def load_state_dict(self, state: State) -> None: ...

    def genomes(self) -> dict[str, Tensor]:
        """What was found so far: ``center`` (what is shipped unless asked otherwise) and ``best``, each [D]."""
        ...
