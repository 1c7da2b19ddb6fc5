"""A policy whose weights change while it lives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range, check_shape
from neuroplastic.genome import Codec, Layout
from neuroplastic.plastic.front import ConvolutionalFront, LivingFront
from neuroplastic.plastic.kernels import ACTIVATIONS, BACKENDS
from neuroplastic.plastic.modulation import PredictionError
from neuroplastic.plastic.recurrent import CELLS, FEEDFORWARD, Through, join, wire
from neuroplastic.plastic.rules import LivingLayer, Rule
from neuroplastic.plastic.sharing import codec

Numbers = TypeVar("Numbers", Tensor, NDArray[Any])


class Policy(Protocol):
    """What a rollout runs: B lives side by side, none of which depends on the others."""

    layout: Layout

    @property
    def codec(self) -> Codec:
        """From what a search proposes to genomes of `layout`."""
        ...

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
    """Plastic layers one after the other; convolutions may come before them. A `Policy`.

    Args:
        inputs: size of an observation, or its shape; a front needs that of pictures, [H, W, C].
        outputs: size of an action.
        hidden: sizes of the layers between.
        rule: how the weights of every layer change.
        front: what turns pictures into features for the first layer; its filters evolve and never change in a life.
        activation: of the hidden units, one of `kernels.ACTIVATIONS`.
        output_activation: of the last layer. Its rule sees what this gives, so a task that squashes actions by itself
            takes "linear".
        kind: what the hidden layers are: one of `recurrent.CELLS`. The last layer is always feed-forward.
        bias: every layer has plastic synapses from a unit that is always 1, the last of its inputs.
        backend: "cpu" (fused) or "reference" (plain torch).
        dtype: torch.float32, or torch.float64 on the reference.

    Attributes:
        layout: of a genome: with a front ``front.conv0``, …; then ``layer0.A``, ``layer0.B``, …, ``layer1.A``, …. The
            layers of a gated cell are ``layer0.reset``, ``layer0.update`` and ``layer0.candidate``.
        layers: the plastic layers, in this order.
        wiring: name of a plastic layer -> which units its synapses join.

    Raises:
        ArgumentError: a size is below 1, the backend does not know the dtype, observations are no pictures, or too
            small ones, for the front, or a hidden layer is wanted that is not there: of a kind other than
            "feedforward", or with a unit for the rule's modulation.
        UnknownNameError: no such activation, kind or backend.
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
        kind: str = "feedforward",
        bias: bool = False,
        backend: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        for argument, numbers in {"inputs": self._shape, "hidden": hidden, "outputs": [outputs]}.items():
            for size in numbers:
                check_range(argument, size, low=1)
        check_name("activation", activation, ACTIVATIONS)
        check_name("output_activation", output_activation, ACTIVATIONS)
        check_name("kind", kind, CELLS)
        check_name("backend", backend, BACKENDS)
        allowed = [torch.float32] if backend == "cpu" else [torch.float32, torch.float64]
        if dtype not in allowed:
            raise ArgumentError(f"dtype: expected one of {allowed} for backend {backend!r}; got {dtype}")
        if not hidden and kind != "feedforward":
            raise ArgumentError(f"hidden: expected a layer at least, to be of kind {kind!r}; got none")
        if not hidden and rule.modulation == "unit":
            raise ArgumentError("hidden: expected a layer at least, whose last unit modulates the rule; got none")
        self.rule, self.front, self.dtype, self._backend, self._bias = rule, front, dtype, backend, bias
        self._size = prod(self._shape)
        self._cells = [CELLS[kind]] * len(hidden) + [FEEDFORWARD]
        self._sizes = [front.outputs(self._shape) if front else self._size, *hidden, outputs]
        self.layers, self.wiring = wire(
            self._cells, self._sizes, [activation] * len(hidden) + [output_activation], bias, backend, dtype
        )
        parts = {"front": front.layout(self._shape)} if front else {}
        parts |= {layer.name: rule.layout(layer.inputs, layer.outputs) for layer in self.layers}
        self.layout = Layout.nest(parts)
        self._chained = kind == "feedforward" and not bias and rule.modulation != "unit"
        self._born = 0
        self._asked: list[int] | None = None  # rows that were found to be distinct and born
        self._rows = np.zeros(0, np.int64)  # the same as an array
        self._living_front: LivingFront | None = None
        self._living: dict[str, LivingLayer] = {}
        self._memory: list[Any] = []  # of each cell: own activity of the step before [B, H]
        self._ones: Any = None  # activity of the unit that is always 1 [B, 1]
        self._expected: PredictionError | None = None

    @property
    def codec(self) -> Codec:
        """What expands vectors of what evolves to genomes of `layout`: the rule's sharing."""
        return codec(self.rule, self.layout, self.wiring)

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
        front, newborn = None, {}
        if self.front:
            filters = {name: arrays[f"front.{name}"] for name in self.front.layout(self._shape)}
            front = self.front.birth(self._shape, filters, self._backend)
        for layer in self.layers:
            names = self.rule.layout(layer.inputs, layer.outputs)
            own = {name: arrays[f"{layer.name}.{name}"] for name in names}
            newborn[layer.name] = self.rule.birth(layer, own, seeds)
        if index is None:
            self._born, self._living_front, self._living = len(genomes), front, newborn
            self._memory = [
                self._numbers(torch.zeros(self._born, size if cell.remembers else 0, dtype=self.dtype))
                for cell, size in zip(self._cells, self._sizes[1:], strict=True)
            ]
            self._ones = self._numbers(torch.ones(self._born, 1, dtype=self.dtype))
            if self.rule.modulation == "reward-prediction-error":
                kind = np.float64 if self.dtype == torch.float64 else np.float32
                self._expected = PredictionError(self._born, self.rule.mean_rate, kind)
            self._asked = None
            return
        if self._living_front:
            self._living_front.replace(index, front)
        for name, living in self._living.items():
            living.replace(index, newborn[name])
        for memory in self._memory:
            memory[index.numpy()] = 0
        if self._expected:
            self._expected.replace(index.numpy())

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
        if self._backend == "cpu":
            post = self._step(_array(observations), _array(rewards), index)
            given: Any = torch.from_numpy(post) if isinstance(observations, Tensor) else post
        else:
            activity, signal = (torch.as_tensor(numbers).to(self.dtype) for numbers in (observations, rewards))
            post = self._step(activity.contiguous(), signal.contiguous(), index)
            given = post if isinstance(observations, Tensor) else post.numpy()
        return given

    def _step(self, activity: Any, signal: Any, index: NDArray[np.int64]) -> Any:
        """By arrays on the cpu, by tensors on the reference."""
        arrays = self._backend == "cpu"
        if self._living_front:
            pictures = torch.as_tensor(activity).view(len(index), *self._shape)
            activity = self._numbers(self._living_front.step(pictures, torch.from_numpy(index)))
        if self._expected:
            signal = (
                self._expected(signal, index) if arrays else torch.from_numpy(self._expected(signal.numpy(), index))
            )
        rows: Any = index if arrays else torch.from_numpy(index)
        if not self._chained:
            return self._compose(activity, signal, rows)
        for layer in self._living.values():
            activity = (layer.step_arrays if arrays else layer.step)(activity, signal, rows)
        return activity

    def _compose(self, activity: Any, signal: Any, rows: Any) -> Any:
        """Cell by cell; with a unit that modulates, the weights of all layers wait for it and change at the end."""
        arrays, at_once = self._backend == "cpu", self.rule.modulation != "unit"
        seen: list[tuple[LivingLayer, Any, Any]] = []

        def through(name: str, pre: Any) -> Any:
            layer = self._living[name]
            if self._bias:
                pre = join(pre, self._ones[: len(pre)])
            if at_once:
                return (layer.step_arrays if arrays else layer.step)(pre, signal, rows)
            post = (layer.forward_arrays if arrays else layer.forward)(pre, rows)
            seen.append((layer, pre, post))
            return post

        for n, (cell, memory) in enumerate(zip(self._cells, self._memory, strict=True)):
            if n == len(self._cells) - 1 and not at_once:
                signal = activity[:, -1] + 0  # side by side in memory, as kernels want it
            own = memory[rows] if cell.remembers else memory
            activity = cell.step(activity, own, partial(_of_cell, through, f"layer{n}"))
            if cell.remembers:
                memory[rows] = activity
        for layer, pre, post in seen:
            (layer.learn_arrays if arrays else layer.learn)(pre, post, signal, rows)
        return activity

    def _numbers(self, tensor: Tensor) -> Any:
        """As the backend takes them: an array on the cpu, a tensor on the reference."""
        return tensor.numpy() if self._backend == "cpu" else tensor

    def _index(self, rows: Sequence[int] | np.ndarray) -> NDArray[np.int64]:
        asked = list(rows)
        if asked != self._asked:  # they seldom change from one step to the next
            if len(set(asked)) < len(asked) or not all(0 <= row < self._born for row in asked):
                raise ArgumentError(f"rows: expected distinct numbers below {self._born}, the lives born; got {asked}")
            self._asked, self._rows = asked, np.array(asked, np.int64)
        return self._rows

    def weights(self) -> dict[str, Tensor]:
        """Name of a plastic layer -> a copy of its weights [B, O, I] as the next step will use them."""
        return {name: living.weights() for name, living in self._living.items()}

    @property
    def coefficients(self) -> list[str]:
        """Arrays of the genome that make the rule (`Rule.shared`), not weights, filters or fixed parts."""
        return [name for name in self.layout if name.rpartition(".")[2] in self.rule.shared]

    def freeze(self, rows: Sequence[int] | np.ndarray) -> None:
        """The weights of some lives [b] stop: bit for bit, they are the static network of `weights` until others are
        born in their place.

        Raises:
            ArgumentError: rows are not distinct or not among the B lives, or the rule has no such act.
        """
        index = torch.from_numpy(self._index(rows))
        for living in self._living.values():
            living.freeze(index)

    def assign(self, name: str, rows: Sequence[int] | np.ndarray, weights: Tensor) -> None:
        """A layer's weights in some lives are these [b, O, I] in the next step; nothing else is touched.

        Raises:
            UnknownNameError: no such layer.
            ShapeError: weights have another shape.
            ArgumentError: as of `freeze`.
        """
        layers = {layer.name: layer for layer in self.layers}
        check_name("layer", name, layers)
        check_shape("weights", weights, [len(rows), layers[name].outputs, layers[name].inputs])
        index = torch.from_numpy(self._index(rows))
        self._living[name].assign(index, weights.detach().to(self.dtype))


def _of_cell(through: Through, cell: str, name: str, pre: Tensor) -> Tensor:
    return through(cell + name, pre)


def _array(numbers: Tensor | NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(numbers.numpy() if isinstance(numbers, Tensor) else numbers, np.float32)
