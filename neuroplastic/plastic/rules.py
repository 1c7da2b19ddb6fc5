"""What a plasticity rule is: which numbers evolve, and how a layer lives by them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError
from neuroplastic.genome import Layout

SHARINGS = ("synapse", "neuron", "neuron-additive", "low-rank", "groups", "layer", "network")


@dataclass(frozen=True)
class Layer:
    """What a rule is told about the layer that lives by it.

    Attributes:
        name: unique in the network; with a row's seed it decides all that is random at the row's birth.
        inputs: I, units before the synapses.
        outputs: O, units after them.
        activation: one of `kernels.ACTIVATIONS`.
        backend: one of `kernels.BACKENDS`; a rule written in plain torch may ignore it.
        dtype: of every number of the layer.
        device: where its numbers are.
        coefficients: one of `kernels.STORAGES`: how those of a fused rule are kept.
    """

    name: str
    inputs: int
    outputs: int
    activation: str = "tanh"
    backend: str = "cpu"
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    coefficients: str = "float32"


class LivingLayer(ABC):
    """B layers of one shape that live side by side, each with its own coefficients, weights and what else changes.

    Attributes:
        recordable: whether a CUDA graph may hold its steps: they never wait for the device, and acts write in place.
    """

    recordable = False

    @abstractmethod
    def step(self, pre: Tensor, signal: Tensor, rows: Tensor) -> Tensor:
        """Activity before -> activity after, and the change of the weights that follows from both.

        Args:
            pre: o_i, activity of the units before the synapses [b, I], contiguous.
            signal: what modulates the change [b], see `modulation`; rules without modulation ignore it.
            rows: which of the B rows these are, int64 [b], distinct and in range (the network sees to it). The others
                stay as they are.

        Returns:
            o_j, activity of the units after the synapses [b, O]. No row of it depends on the other rows.
        """

    def step_arrays(self, pre: NDArray[Any], signal: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        """`step` from arrays to an array; what computes outside of torch overrides it and saves the way through it."""
        return self.step(torch.from_numpy(pre), torch.from_numpy(signal), torch.from_numpy(rows)).numpy()

    def forward(self, pre: Tensor, rows: Tensor) -> Tensor:
        """The first half of `step`, activity before -> activity after; nothing changes.

        Raises:
            ArgumentError: the rule does not tell the halves apart, so no unit of the network can modulate it.
        """
        self._refuse("have its change modulated by a unit of the network (forward and learn)")

    def learn(self, pre: Tensor, post: Tensor, signal: Tensor, rows: Tensor) -> None:
        """The second half of `step`: the change that follows from what `forward` took and gave.

        Raises:
            ArgumentError: as of `forward`.
        """
        self._refuse("have its change modulated by a unit of the network (forward and learn)")

    def forward_arrays(self, pre: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        """`forward` from arrays to an array, as `step_arrays` is `step`."""
        return self.forward(torch.from_numpy(pre), torch.from_numpy(rows)).numpy()

    def learn_arrays(
        self, pre: NDArray[Any], post: NDArray[Any], signal: NDArray[Any], rows: NDArray[np.int64]
    ) -> None:
        """`learn` from arrays."""
        self.learn(*(torch.from_numpy(array) for array in (pre, post, signal, rows)))

    def freeze(self, rows: Tensor) -> None:
        """Some rows [b] never change again, until others are born in their place.

        From now on they are, bit for bit, the layer whose weights never change and are those that `weights` tells.

        Raises:
            ArgumentError: the rule has no such act.
        """
        self._refuse("freeze")

    def assign(self, rows: Tensor, weights: Tensor) -> None:
        """The weights that the next step of some rows [b] uses are these [b, O, I]; all else stays, traces too.

        Raises:
            ArgumentError: the rule has no such act.
        """
        self._refuse("have weights assigned")

    def _refuse(self, act: str) -> NoReturn:
        raise ArgumentError(f"rule: expected one whose layers can {act}; got one with {type(self).__name__}")

    @abstractmethod
    def replace(self, rows: Tensor, newborn: Any) -> None:
        """In the place of some rows [b] live those of a ``newborn`` layer of this kind; the others stay as they are."""

    @abstractmethod
    def weights(self) -> Tensor:
        """A copy of the weights as the next step will use them: w_ij at [b, j, i] of [B, O, I]."""


class Rule(ABC):
    """How synapses change. Rules are small, immutable and picklable; what lives is the `LivingLayer`.

    Attributes:
        modulation: what `LivingLayer.step` is given as its signal: one of `modulation.MODULATIONS`.
        mean_rate: ρ of the running mean, for "reward-prediction-error".
        sharing: who has coefficients in common: one of `SHARINGS`.
    """

    modulation: str = "reward"
    mean_rate: float = 0.1
    sharing: str = "synapse"

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the arrays of `layout` that sharing concerns."""
        return ()

    @abstractmethod
    def layout(self, inputs: int, outputs: int) -> Layout:
        """What evolves in one layer of I inputs and O outputs."""

    @abstractmethod
    def birth(self, layer: Layer, coefficients: Mapping[str, Tensor], seeds: Sequence[int]) -> LivingLayer:
        """B newborn layers.

        Args:
            coefficients: the arrays of `layout`, name -> [B, *shape]. On the gpu, those of `shared` may be arrays of
                sampled genomes, `genome.SampledArray`, which `kernels.gpu.sampled.made` makes.
            seeds: one for each row [B]; a row's birth depends on its own coefficients and seed alone.
        """
