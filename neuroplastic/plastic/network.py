"""A policy whose weights change while it lives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range, check_shape
from neuroplastic.genome import Layout
from neuroplastic.plastic.front import ConvolutionalFront, LivingFront
from neuroplastic.plastic.kernels import ACTIVATIONS, BACKENDS
from neuroplastic.plastic.rules import Layer, LivingLayer, Rule

Numbers = TypeVar("Numbers", Tensor, NDArray[Any])


class Policy(Protocol):
    """What a rollout runs: B lives side by side, none of which depends on the others."""

    layout: Layout

    def birth(
        self, genomes: Tensor, seeds: Sequence[int] | np.ndarray, rows: Sequence[int] | np.ndarray | None = None
    ) -> None:
        """B new lives, the old ones forgotten: genomes [B, D], seeds [B]. Or with ``rows``, in place of those alone."""

    def act(self, observations: Numbers, rewards: Numbers, rows: Sequence[int]) -> Numbers:
        """One step of some lives: observations [b, I] and rewards of the step before [b] -> outputs [b, O].

        Tensors are answered by a tensor, arrays by an array.
        """
        ...

    def weights(self) -> dict[str, Tensor]:
        """Name of a layer -> a copy of its weights [B, O, I] as the next step will use them."""
        ...


class PlasticNetwork:
    """Plastic layers one after the other, without biases; convolutions may come before them. A `Policy`.

    Args:
        inputs: size of an observation, or its shape; a front needs that of pictures, [H, W, C].
        outputs: size of an action.
        hidden: sizes of the layers between.
        rule: how the weights of every layer change.
        front: what turns pictures into features for the first layer; its filters evolve and never change in a life.
        activation: of the hidden units, one of `kernels.ACTIVATIONS`.
        output_activation: of the last layer. Its rule sees what this gives, so a task that squashes actions by itself
            takes "linear".
        backend: "cpu" (fused) or "reference" (plain torch).
        dtype: torch.float32, or torch.float64 on the reference.

    Attributes:
        layout: of a genome: with a front ``front.conv0``, …; then ``layer0.A``, ``layer0.B``, …, ``layer1.A``, ….

    Raises:
        ArgumentError: a size is below 1, the backend does not know the dtype, or observations are no pictures, or too
            small ones, for the front.
        UnknownNameError: no such activation or backend.
    """

    def __init__(
        self,
        inputs: int | Sequence[int],
        outputs: int,
        hidden: Sequence[int] = (),
        *,
        rule: Rule,
        front: ConvolutionalFront | None = None,
        activation: str = "tanh",
        output_activation: str = "tanh",
        backend: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        for argument, numbers in {"inputs": self._shape, "hidden": hidden, "outputs": [outputs]}.items():
            for size in numbers:
                check_range(argument, size, low=1)
        check_name("activation", activation, ACTIVATIONS)
        check_name("output_activation", output_activation, ACTIVATIONS)
        check_name("backend", backend, BACKENDS)
        allowed = [torch.float32] if backend == "cpu" else [torch.float32, torch.float64]
        if dtype not in allowed:
            raise ArgumentError(f"dtype: expected one of {allowed} for backend {backend!r}; got {dtype}")
        activations = [activation] * len(hidden) + [output_activation]
        self.rule, self.front, self.dtype, self._backend = rule, front, dtype, backend
        self._size = prod(self._shape)
        sizes = [front.outputs(self._shape) if front else self._size, *hidden, outputs]
        self.layers = [
            Layer(f"layer{n}", before, after, activations[n], backend, dtype)
            for n, (before, after) in enumerate(pairwise(sizes))
        ]
        parts = {"front": front.layout(self._shape)} if front else {}
        parts |= {layer.name: rule.layout(layer.inputs, layer.outputs) for layer in self.layers}
        self.layout = Layout.nest(parts)
        self._born = 0
        self._asked: list[int] | None = None  # rows that were found to be distinct and born
        self._rows = np.zeros(0, np.int64)  # the same as an array
        self._living_front: LivingFront | None = None
        self._living: list[LivingLayer] = []

    def birth(
        self, genomes: Tensor, seeds: Sequence[int] | np.ndarray, rows: Sequence[int] | np.ndarray | None = None
    ) -> None:
        """B new lives, the old ones forgotten; or with ``rows``, b new lives in place of those.

        Args:
            genomes: [B, D], or [b, D].
            seeds: integers [B], or [b]; initial weights that do not evolve come from them.
            rows: which of the B lives that there are: b distinct numbers below B. The others stay as they are.

        Raises:
            ShapeError: genomes or seeds have another shape.
            ArgumentError: rows are not distinct or not among the B lives.
        """
        number = "B" if rows is None else len(rows)
        check_shape("genomes", genomes, [number, self.layout.size])
        check_shape("seeds", np.asarray(seeds, object), [len(genomes)])
        index = None if rows is None else torch.from_numpy(self._index(rows))
        arrays, seeds = self.layout.split(genomes.detach().to(self.dtype)), [int(seed) for seed in seeds]
        front, newborn = None, []
        if self.front:
            filters = {name: arrays[f"front.{name}"] for name in self.front.layout(self._shape)}
            front = self.front.birth(self._shape, filters, self._backend)
        for layer in self.layers:
            names = self.rule.layout(layer.inputs, layer.outputs)
            own = {name: arrays[f"{layer.name}.{name}"] for name in names}
            newborn.append(self.rule.birth(layer, own, seeds))
        if index is None:
            self._born, self._living_front, self._living = len(genomes), front, newborn
            self._asked = None
            return
        if self._living_front:
            self._living_front.replace(index, front)
        for living, new in zip(self._living, newborn, strict=True):
            living.replace(index, new)

    def act(self, observations: Numbers, rewards: Numbers, rows: Sequence[int]) -> Numbers:
        """One step of some of the lives: outputs [b, O], and weights changed.

        Args:
            observations: [b, I]; pictures flattened too. Tensors are answered by a tensor, arrays by an array.
            rewards: of the step before [b].
            rows: which lives these are: b distinct numbers below B. The others stay as they are.

        Raises:
            ShapeError: an argument has another shape.
            ArgumentError: rows are not distinct or not among the B of the last birth.
        """
        number = len(rows)
        if observations.shape != (number, self._size) or rewards.shape != (number,):
            check_shape("observations", observations, [number, self._size])
            check_shape("rewards", rewards, [number])
        index = self._index(rows)
        if self._backend == "reference":
            post = self._step(torch.as_tensor(observations), torch.as_tensor(rewards), torch.from_numpy(index))
            given: Any = post if isinstance(observations, Tensor) else post.numpy()
        else:
            post = self._step_arrays(_array(observations), _array(rewards), index)
            given = torch.from_numpy(post) if isinstance(observations, Tensor) else post
        return given

    def _step(self, observations: Tensor, rewards: Tensor, index: Tensor) -> Tensor:
        activity, signal = observations.to(self.dtype).contiguous(), rewards.to(self.dtype)
        if self._living_front:
            activity = self._living_front.step(activity.view(len(index), *self._shape), index)
        for layer in self._living:
            activity = layer.step(activity, signal, index)
        return activity

    def _step_arrays(self, activity: NDArray[Any], signal: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
        if self._living_front:
            pictures = torch.from_numpy(activity).view(len(index), *self._shape)
            activity = self._living_front.step(pictures, torch.from_numpy(index)).numpy()
        for layer in self._living:
            activity = layer.step_arrays(activity, signal, index)
        return activity

    def _index(self, rows: Sequence[int] | np.ndarray) -> NDArray[np.int64]:
        asked = list(rows)
        if asked != self._asked:  # they seldom change from one step to the next
            if len(set(asked)) < len(asked) or not all(0 <= row < self._born for row in asked):
                raise ArgumentError(f"rows: expected distinct numbers below {self._born}, the lives born; got {asked}")
            self._asked, self._rows = asked, np.array(asked, np.int64)
        return self._rows

    def weights(self) -> dict[str, Tensor]:
        """Name of a plastic layer -> a copy of its weights [B, O, I] as the next step will use them."""
        return {layer.name: living.weights() for layer, living in zip(self.layers, self._living, strict=True)}


def _array(numbers: Tensor | NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(numbers.numpy() if isinstance(numbers, Tensor) else numbers, np.float32)
