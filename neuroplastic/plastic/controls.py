"""What a sceptical reviewer does to an agent that lives, to see what its plasticity is worth.

The acts are functions on a `Living` network; each touches the rows and layers that it names and nothing else.
`Controls` says which acts come when, and `Controlled` does them in every life by the life's own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.genome import Codec, Layout
from neuroplastic.noise import normal, stream, uniform
from neuroplastic.plastic.initial import DISTRIBUTIONS, draw
from neuroplastic.plastic.network import Numbers

Rows = Sequence[int] | NDArray[np.int64]


class Living(Protocol):
    """B lives that can be acted on: `PlasticNetwork`, `LearnedPolicy`.

    Attributes:
        layout: of a genome.
        dtype: of weights.
    """

    layout: Layout
    dtype: torch.dtype

    @property
    def codec(self) -> Codec: ...

    @property
    def coefficients(self) -> Sequence[str]:
        """Arrays of the genome that make the rule."""
        ...

    def birth(self, genomes: Tensor, seeds: Sequence[int] | np.ndarray, rows: Rows | None = None) -> None: ...

    def act(self, observations: Numbers, rewards: Numbers, rows: Sequence[int]) -> Numbers: ...

    def weights(self) -> dict[str, Tensor]:
        """Name of a plastic layer -> its weights [B, O, I]."""
        ...

    def freeze(self, rows: Rows) -> None:
        """The weights of some lives stop."""
        ...

    def assign(self, name: str, rows: Rows, weights: Tensor) -> None:
        """A layer's weights in some lives are these [b, O, I]."""
        ...

    @property
    def wiring(self) -> Collection[str]:
        """Names of the plastic layers, before anybody is born."""
        ...


def freeze(network: Living, rows: Rows) -> None:
    """The weights of some lives [b] stop where they are."""
    network.freeze(rows)


def swap_initial(network: Living, rows: Rows, distribution: str, seeds: Sequence[int]) -> None:
    """The weights of newborn lives [b] are drawn anew from one of `initial.DISTRIBUTIONS`, by the lives' seeds [b].

    Raises:
        UnknownNameError: no such distribution.
    """
    own = [stream(seed, "swap-initial") for seed in seeds]
    for name, weights in network.weights().items():
        _, outputs, inputs = weights.shape
        network.assign(name, rows, draw(distribution, name, inputs, outputs, own).to(network.dtype))


def zero_layer(network: Living, rows: Rows, name: str) -> None:
    """The weights of a layer are 0 in some lives [b]; what they do from there on is the rule's.

    Raises:
        UnknownNameError: no such layer.
    """
    network.assign(name, rows, torch.zeros_like(_weights(network, rows, name)))


def shuffle_layer(network: Living, rows: Rows, name: str, seeds: Sequence[int]) -> None:
    """The weights of a layer change places with each other, by the seeds of the lives [b].

    Raises:
        UnknownNameError: no such layer.
    """
    weights = _weights(network, rows, name)
    for row, seed in zip(weights.view(len(weights), -1), seeds, strict=True):
        row[:] = row[uniform(stream(seed, "shuffle-layer", name), len(row)).argsort(stable=True)]
    network.assign(name, rows, weights)


def random_rule(network: Living, genomes: Tensor, seeds: Sequence[int]) -> Tensor:
    """Genomes [b, D] with other rules: each array of coefficients is N(its mean, its spread²), by the lives' seeds [b].

    What is no coefficient of a rule stays: filters, evolved weights, fixed parts.

    Raises:
        ArgumentError: the network's rule has no coefficients.
    """
    arrays = network.coefficients
    if not arrays:
        raise ArgumentError("random_rule: expected a rule with coefficients that evolve; got one without any")
    others = genomes.clone()
    for row, seed in zip(others, seeds, strict=True):  # one by one: no number depends on the other rows
        for name in arrays:
            part = row[network.layout.slices[name]].double()
            noise = normal(stream(seed, "random-rule", name), len(part))
            row[network.layout.slices[name]] = (part.mean() + part.std(correction=0) * noise).to(row.dtype)
    return others


def _weights(network: Living, rows: Rows, name: str) -> Tensor:
    every = network.weights()
    check_name("layer", name, every)
    return every[name][torch.as_tensor(np.asarray(rows, np.int64))]


AT_BIRTH = {"random_rule": "random_rule", "swap_initial": "swap_initial=DISTRIBUTION"}
LATER = {"zero_layer": "zero_layer=LAYER@T", "shuffle_layer": "shuffle_layer=LAYER@T", "freeze": "freeze=T"}
SYNTAX = AT_BIRTH | LATER
"""Name of an act -> how it is written, in the order in which those of one step are done."""


@dataclass(frozen=True)
class Controls:
    """Which acts come when. A step t is the network's own, from 0; an act happens before its step.

    Attributes:
        freeze: the weights stop at this step.
        swap_initial: the distribution of the weights at birth.
        zero_layer, shuffle_layer: (layer, step) of each layer that is hit.
        random_rule: whether the coefficients of the rule are replaced at birth by others of the same spread.

    Raises:
        ArgumentError: a step is below 0.
        UnknownNameError: no such distribution.
    """

    freeze: int | None = None
    swap_initial: str | None = None
    zero_layer: tuple[tuple[str, int], ...] = ()
    shuffle_layer: tuple[tuple[str, int], ...] = ()
    random_rule: bool = False

    def __post_init__(self) -> None:
        for argument, step in [
            ("freeze", self.freeze or 0),
            *(("zero_layer", step) for _, step in self.zero_layer),
            *(("shuffle_layer", step) for _, step in self.shuffle_layer),
        ]:
            check_range(f"control {argument}", step, low=0)
        if self.swap_initial is not None:
            check_name("control swap_initial", self.swap_initial, DISTRIBUTIONS)

    @classmethod
    def parse(cls, words: Iterable[str]) -> Controls:
        """Acts as they are written on the command line and in recipes.

        What is there twice is done twice: of several freezes the first holds, of several swaps the last.

        >>> Controls.parse(["freeze=200", "zero_layer=layer1@100"])
        Controls(freeze=200, swap_initial=None, zero_layer=(('layer1', 100),), shuffle_layer=(), random_rule=False)

        Raises:
            ArgumentError: a word cannot be read, or its step is below 0.
            UnknownNameError: no such act or distribution.
        """
        freezes: list[int] = []
        hits: dict[str, list[tuple[str, int]]] = {"zero_layer": [], "shuffle_layer": []}
        swap, random = None, False
        for word in words:
            act, equals, value = (part.strip() for part in word.partition("="))
            check_name("control", act, SYNTAX)
            layer, at, step = value.rpartition("@")
            if act == "random_rule" and not equals:
                random = True
            elif act == "swap_initial" and value:
                swap = value
            elif act == "freeze" and _is_number(value):
                freezes.append(int(value))
            elif act in hits and layer and at and _is_number(step):
                hits[act].append((layer, int(step)))
            else:
                raise ArgumentError(f"control: expected {SYNTAX[act]}, T a step >= 0; got {word!r}")
        return cls(min(freezes, default=None), swap, tuple(hits["zero_layer"]), tuple(hits["shuffle_layer"]), random)

    @property
    def words(self) -> tuple[str, ...]:
        """What `parse` reads."""
        return tuple(word for word, _ in self.moments)

    @property
    def moments(self) -> tuple[tuple[str, int], ...]:
        """(word, step) of each act, in the order in which they are done."""
        found = [("random_rule", 0)] if self.random_rule else []
        found += [(f"swap_initial={self.swap_initial}", 0)] if self.swap_initial is not None else []
        hits = {"zero_layer": self.zero_layer, "shuffle_layer": self.shuffle_layer}
        later = [(f"{act}={layer}@{step}", step) for act in hits for layer, step in hits[act]]
        later += [(f"freeze={self.freeze}", self.freeze)] if self.freeze is not None else []
        return (*found, *sorted(later, key=lambda moment: moment[1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


class Controlled:
    """A `Policy`: a network whose lives are all subject to the same controls. Until an act comes, it is the network.

    Args:
        network: that lives.
        controls: what is done to it.

    Raises:
        UnknownNameError: a control names a layer that is not there.
        ArgumentError: a random rule is asked for, and the network's rule has no coefficients.
    """

    def __init__(self, network: Living, controls: Controls) -> None:
        self.network, self.controls, self.layout = network, controls, network.layout
        for act in ("zero_layer", "shuffle_layer"):
            for name, _ in getattr(controls, act):
                check_name(f"control {act}", name, network.wiring)
        if controls.random_rule:
            random_rule(network, torch.zeros(0, network.layout.size), [])
        self._acts: list[tuple[int, Callable[[Rows, Sequence[int]], None]]] = []
        for name, step in controls.zero_layer:
            self._acts.append((step, lambda rows, seeds, name=name: zero_layer(network, rows, name)))
        for name, step in controls.shuffle_layer:
            self._acts.append((step, lambda rows, seeds, name=name: shuffle_layer(network, rows, name, seeds)))
        if controls.freeze is not None:
            self._acts.append((controls.freeze, lambda rows, seeds: freeze(network, rows)))
        self._clocks: list[int] = []  # lists: a batch is small, and NumPy's calls are dear beside a step
        self._seeds: list[int] = []

    @property
    def codec(self) -> Codec:
        return self.network.codec

    def birth(self, genomes: Tensor, seeds: Sequence[int] | np.ndarray, rows: Rows | None = None) -> None:
        numbers = [int(seed) for seed in seeds]
        if self.controls.random_rule:
            genomes = random_rule(self.network, genomes, numbers)
        self.network.birth(genomes, numbers, rows)
        if rows is None:
            self._clocks, self._seeds = [0] * len(numbers), numbers
        newborn = range(len(numbers)) if rows is None else [int(row) for row in rows]
        for row, seed in zip(newborn, numbers, strict=True):
            self._clocks[row], self._seeds[row] = 0, seed
        if self.controls.swap_initial is not None:
            swap_initial(self.network, newborn, self.controls.swap_initial, numbers)

    def act(self, observations: Numbers, rewards: Numbers, rows: Sequence[int]) -> Numbers:
        if len(rows) and min(rows) >= 0 and max(rows) < len(self._clocks):  # others the network refuses
            clocks = [self._clocks[row] for row in rows]
            for step, act in self._acts:
                if step in clocks:
                    due = [row for row, clock in zip(rows, clocks, strict=True) if clock == step]
                    act(due, [self._seeds[row] for row in due])
            for row in rows:
                self._clocks[row] += 1
        return self.network.act(observations, rewards, rows)

    def weights(self) -> dict[str, Tensor]:
        return self.network.weights()

    def check_room(self, lives: int, processes: int = 1) -> None:
        """As of the network, if it has a device whose memory it knows."""
        if check := getattr(self.network, "check_room", None):
            check(lives, processes)

    def close(self) -> None:
        """As of the network, if it holds anything."""
        if close := getattr(self.network, "close", None):
            close()


def controlled(make: Callable[..., Living], controls: Controls, **shapes: Any) -> Controlled:
    """What ``make`` makes, under control: a policy's factory that can be sent to workers, by `functools.partial`."""
    return Controlled(make(**shapes), controls)
