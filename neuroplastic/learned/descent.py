"""Gradient descent under the interface of learned rules: back-propagation says where to, an optimizer how far."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import check_name
from neuroplastic.genome import Layout
from neuroplastic.learned.activations import ACTIVATIONS
from neuroplastic.learned.base import State, UpdateRule
from neuroplastic.learned.feedback import FEEDBACKS
from neuroplastic.learned.known import back_propagation


@dataclass(frozen=True)
class Descent(UpdateRule):
    """Descends the gradient of the loss averaged over a batch. The first number of a genome is ln(learning rate).

    Attributes:
        activation, output, loss, gain: as of `back_propagation`.

    Raises:
        UnknownNameError: no such activation or loss.
    """

    activation: str = "tanh"
    output: str = "tanh"
    loss: str = "squared-error"
    gain: float = 1.0

    def __post_init__(self) -> None:
        check_name("activation", self.activation, ACTIVATIONS)
        check_name("output", self.output, ACTIVATIONS)
        check_name("loss", self.loss, FEEDBACKS)

    @property
    def layout(self) -> Layout:
        return Layout((("log_rate", ()), *((name, ()) for name in self._numbers)))

    @property
    def start(self) -> Tensor:
        return torch.tensor([log(0.1), *self._numbers.values()], dtype=torch.float64)

    @property
    @abstractmethod
    def _numbers(self) -> dict[str, float]:
        """What a genome has beside the learning rate -> its usual value."""

    @abstractmethod
    def _moved(self, numbers: dict[str, Tensor], state: State, name: str, gradient: Tensor) -> State:
        """The arrays of the state that belong to one array of synapses, after an update."""

    @abstractmethod
    def _memory(self, synapses: State) -> State:
        """What the optimizer keeps beside the synapses of newborn networks."""

    @cached_property
    def _back_propagation(self) -> tuple[UpdateRule, Tensor]:
        return back_propagation(activation=self.activation, output=self.output, loss=self.loss, gain=self.gain)

    def _gradient_genomes(self, genomes: Tensor) -> Tensor:
        return self._back_propagation[1].to(genomes).expand(len(genomes), -1)

    def birth(self, genomes: Tensor, sizes: Sequence[int], seeds: NDArray[np.int64]) -> State:
        self.split(genomes)
        synapses = self._back_propagation[0].birth(self._gradient_genomes(genomes), sizes, seeds)
        return synapses | self._memory(synapses)

    def predict(self, genomes: Tensor, state: State, x: Tensor) -> Tensor:
        return self._back_propagation[0].predict(self._gradient_genomes(genomes), _synapses(state), x)

    def learn(self, genomes: Tensor, state: State, x: Tensor, targets: Tensor) -> State:
        rule, known = self._back_propagation[0], self._gradient_genomes(genomes)
        numbers = {name: number[:, None, None, None, None] for name, number in self.split(genomes).items()}
        learned = dict(state)
        stepped = rule.learn(known, _synapses(state), x, targets)
        for name, after in stepped.items():
            learned |= self._moved(numbers, state, name, (state[name] - after) / x.shape[-2])
        return learned


def _synapses(state: State) -> State:
    return {name: array for name, array in state.items() if "." not in name}


@dataclass(frozen=True)
class SGD(Descent):
    """v ← m v + g, w ← w - rate · v. Genome: ln(rate), m."""

    @property
    def _numbers(self) -> dict[str, float]:
        return {"momentum": 0.9}

    def _memory(self, synapses: State) -> State:
        return {f"{name}.v": torch.zeros_like(array) for name, array in synapses.items()}

    def _moved(self, numbers: dict[str, Tensor], state: State, name: str, gradient: Tensor) -> State:
        v = numbers["momentum"] * state[f"{name}.v"] + gradient
        return {name: state[name] - numbers["log_rate"].exp() * v, f"{name}.v": v}


@dataclass(frozen=True)
class Adam(Descent):
    """Kingma & Ba 2015, algorithm 1. Genome: ln(rate), β₁, β₂; ε = 1e-8."""

    epsilon = 1e-8

    @property
    def _numbers(self) -> dict[str, float]:
        return {"beta1": 0.9, "beta2": 0.999}

    def _memory(self, synapses: State) -> State:
        kept = {f"{name}.{moment}": torch.zeros_like(array) for name, array in synapses.items() for moment in "mv"}
        return kept | {f"{name}.t": array.new_zeros(*array.shape[:2], 1, 1, 1) for name, array in synapses.items()}

    def _moved(self, numbers: dict[str, Tensor], state: State, name: str, gradient: Tensor) -> State:
        beta1, beta2, t = numbers["beta1"], numbers["beta2"], state[f"{name}.t"] + 1
        m = beta1 * state[f"{name}.m"] + (1 - beta1) * gradient
        v = beta2 * state[f"{name}.v"] + (1 - beta2) * gradient.square()
        step = m / (1 - beta1**t) / ((v / (1 - beta2**t)).sqrt() + self.epsilon)
        return {
            name: state[name] - numbers["log_rate"].exp() * step,
            f"{name}.m": m,
            f"{name}.v": v,
            f"{name}.t": t,
        }
