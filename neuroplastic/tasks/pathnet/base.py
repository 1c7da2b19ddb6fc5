"""What a path is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.pathnet.network import Subnetwork, Tensors

Predict = Callable[[Tensor], Tensor]
"""Observations [B, *inputs] -> outputs [B, O]: what a learned task's path and readout make of them."""


class Trial(Protocol):
    """P paths that are trained side by side for some steps. All that is random in it comes of its stream."""

    def gradients(self, network: Subnetwork) -> Tensors:
        """One step: each path's gradients, those of a module on several paths summed in the order of the paths."""
        ...

    def fitness(self) -> NDArray[np.float64]:
        """How well each path did in all steps so far [P], to be maximised."""
        ...

    @property
    def examples(self) -> int:
        """What all paths together were shown: examples, or steps of environments."""
        ...


class PathTask(Protocol):
    """Something to learn.

    Attributes:
        name: unique in a sequence of tasks.
        inputs: shape of an observation.
        outputs: of the readout.
    """

    name: str

    @property
    def inputs(self) -> tuple[int, ...]: ...

    @property
    def outputs(self) -> int: ...

    def trial(self, paths: int, stream: int) -> Trial:
        """Begins to train P paths."""
        ...


class ScoredTask(PathTask, Protocol):
    """One that says how well it was learned."""

    def score(self, predict: Predict, seeds: Sequence[int]) -> NDArray[np.float64]:
        """On test examples, or in test episodes, of each seed: [E], to be maximised."""
        ...
