"""What a path is trained on."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neuroplastic.pathnet.network import Subnetwork, Tensors


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
