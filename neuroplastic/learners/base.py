"""What the one loop drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from neuroplastic.genome import Codec
from neuroplastic.tasks.statistics import Statistics

State = Mapping[str, Tensor | int | float | str]
"""Flat, so that it fits in a safetensors file: tensors beside plain values."""


@dataclass(frozen=True)
class Found:
    """What stands for a genome.

    Attributes:
        vector: [D'].
        statistics: by which its observations are to be normalised; None: they are not.
        codec: from the vector to the genome; None: the vector is the genome.
        parts: further tensors that belong to it, by name: what was learned beside what evolved.
    """

    vector: Tensor
    statistics: Statistics | None = None
    codec: Codec | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def genome(self) -> Tensor:
        """[D]."""
        return self.codec.decode(self.vector[None])[0] if self.codec else self.vector


class Learner(Protocol):
    """Something that gets better one step at a time.

    `step` changes the learner only when all its evaluations are done: what interrupts them leaves it as it was.
    """

    @property
    def generation(self) -> int:
        """Generations done."""
        ...

    @property
    def steps(self) -> int:
        """Steps of environments, updates of networks, or examples so far."""
        ...

    def step(self) -> dict[str, float]:
        """One generation, round of tournaments or meta-step.

        Returns:
            Its metrics, all of fitness to be maximised: ``generation``, ``best`` and ``mean`` of its members,
            ``center``, ``evaluations`` and ``steps`` so far, ``seconds``, and others of its own.
        """
        ...

    def state_dict(self) -> dict[str, Tensor | int | float | str]:
        """Everything that the steps to come depend on."""
        ...

    def load_state_dict(self, state: State) -> None: ...

    @property
    def stopped(self) -> str | None:
        """Why going on is pointless; None while it is not."""
        ...

    def found(self) -> dict[str, Found]:
        """What was found so far: ``center`` (what is shipped unless asked otherwise) and ``best``."""
        ...
