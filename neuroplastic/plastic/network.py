"""A policy whose weights change while it lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range, check_shape
from neuroplastic.genome import Codec, Layout, Sample, SampledArray
from neuroplastic.plastic.device import Ferry, check_room, device_of
from neuroplastic.plastic.front import ConvolutionalFront, LivingFront
from neuroplastic.plastic.kernels import ACTIVATIONS, BACKENDS, STORAGES
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
        backend: "cpu" (fused), "gpu" (fused) or "reference" (plain torch, on any device).
        device: "cpu", "cuda", "cuda:1", … or "auto"; None: where the backend computes.
        coefficients: those of a Hebbian rule are kept as "float32"; as "bfloat16", rounded with η multiplied in (half
            the memory on the gpu); or, on the gpu, those of sampled genomes are not kept, but "made" in every step, the
            same bits as float32.
        dtype: torch.float32, or torch.float64 on the reference.

    Attributes:
        layout: of a genome: with a front ``front.conv0``, …; then ``layer0.A``, ``layer0.B``, …, ``layer1.A``, …. The
            layers of a gated cell are ``layer0.reset``, ``layer0.update`` and ``layer0.candidate``.
        layers: the plastic layers, in this order.
        wiring: name of a plastic layer -> which units its synapses join.

    Raises:
        ArgumentError: a size is below 1, the backend does not know the dtype, observations are no pictures, or too
            small ones, for the front, or a hidden layer is wanted that is not there: of a kind other than
            "feedforward", or with a unit for the rule's modulation; the backend does not compute on the device, or
            does not keep coefficients so.
        UnknownNameError: no such activation, kind, backend or way to keep coefficients.
        MissingExtraError: the gpu's backend is asked for, and Triton is not installed.
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
        device: str | None = None,
        coefficients: str = "float32",
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
        allowed = [torch.float32, torch.float64] if backend == "reference" else [torch.float32]
        if dtype not in allowed:
            raise ArgumentError(f"dtype: expected one of {allowed} for backend {backend!r}; got {dtype}")
        if not hidden and kind != "feedforward":
            raise ArgumentError(f"hidden: expected a layer at least, to be of kind {kind!r}; got none")
        if not hidden and rule.modulation == "unit":
            raise ArgumentError("hidden: expected a layer at least, whose last unit modulates the rule; got none")
        self.device = device_of(backend, device)
        check_name("coefficients", coefficients, STORAGES)
        self.rule, self.front, self.dtype, self._backend, self._bias = rule, front, dtype, backend, bias
        self._storage, self.takes_samples = coefficients, backend == "gpu"
        self._size = prod(self._shape)
        self._cells = [CELLS[kind]] * len(hidden) + [FEEDFORWARD]
        self._sizes = [front.outputs(self._shape) if front else self._size, *hidden, outputs]
        self.layers, self.wiring = wire(
            self._cells, self._sizes, [activation] * len(hidden) + [output_activation], bias, backend, dtype
        )
        self.layers = [replace(layer, device=self.device, coefficients=coefficients) for layer in self.layers]
        parts = {"front": front.layout(self._shape)} if front else {}
        parts |= {layer.name: rule.layout(layer.inputs, layer.outputs) for layer in self.layers}
        self.layout = Layout.nest(parts)
        self._chained = kind == "feedforward" and not bias and rule.modulation != "unit"
        self._born = 0
        self._known: dict[bool, tuple[Sequence[int], NDArray[np.int64], Any]] = {}  # rows of all lives, and of some
        self._recordable = False  # the step of all lives
        self._living_front: LivingFront | None = None
        self._living: dict[str, LivingLayer] = {}
        self._memory: list[Any] = []  # of each cell: own activity of the step before [B, H]
        self._ones: Any = None  # activity of the unit that is always 1 [B, 1]
        self._expected: PredictionError | None = None
        self._last: tuple[Sample, Sample] | None = None  # sample, here and with its center on the device
        self._ferry = None if backend == "cpu" else Ferry(self._step, self._size, self.device, dtype)

    @property
    def codec(self) -> Codec:
        """What expands vectors of what evolves to genomes of `layout`: the rule's sharing."""
        return codec(self.rule, self.layout, self.wiring)

    def birth(
        self,
        genomes: Tensor | Sample,
        seeds: Sequence[int] | np.ndarray,
        rows: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        """B new lives, the old ones forgotten; or with ``rows``, b new lives in place of those.

        Args:
            genomes: [B, D], or [b, D]; or, for the gpu, a sample of as many.
            seeds: integers [B], or [b]; initial weights that do not evolve come from them.
            rows: which of the B lives that there are: b distinct numbers below B. The others stay as they are.

        Raises:
            ShapeError: genomes or seeds have another shape.
            ArgumentError: rows are not distinct or not among the B lives; or coefficients are made, and those of a
                sample that comes in the place of some of the lives have another center than the others'.
            DeviceError: the device is not there, or has not enough memory; it says for how many lives it has.
        """
        number = "B" if rows is None else len(rows)
        if isinstance(genomes, Tensor):
            check_shape("genomes", genomes, [number, self.layout.size])
        elif rows is not None:
            check_shape("genomes", genomes.streams, [number])
        check_shape("seeds", np.asarray(seeds, object), [len(genomes)])
        index = None if rows is None else torch.from_numpy(self._index(rows))
        if index is None:
            self._let_go()
            self.check_room(len(genomes))
        try:
            self._bear(genomes, [int(seed) for seed in seeds], index)
        except torch.OutOfMemoryError:
            self._let_go()
            self.check_room(len(genomes))
            raise

    def _let_go(self) -> None:
        """No life goes on, and nothing of them is kept."""
        self._born, self._living_front, self._living, self._memory, self._known = 0, None, {}, [], {}
        if self._ferry:
            self._ferry.forget()

    def _bear(self, genomes: Tensor | Sample, seeds: list[int], index: Tensor | None) -> None:
        if isinstance(genomes, Sample):
            arrays: dict[str, Any] = {**self._sent(genomes).split(self.layout)}
            coefficients = set(self.coefficients)
            arrays = {name: array if name in coefficients else self._made(array) for name, array in arrays.items()}
        else:
            arrays = {**self.layout.split(genomes.detach().to(self.device, self.dtype))}
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
            self._recordable = self._backend == "gpu" and all(layer.recordable for layer in newborn.values())
            self._memory = [
                self._numbers(self._zeros(self._born, size if cell.remembers else 0))
                for cell, size in zip(self._cells, self._sizes[1:], strict=True)
            ]
            self._ones = self._numbers(self._zeros(self._born, 1) + 1)
            if self.rule.modulation == "reward-prediction-error":
                self._expected = PredictionError(self._numbers(self._zeros(self._born)), self.rule.mean_rate)
            return
        there = index.to(self.device)
        own_rows: Any = index.numpy() if self._backend == "cpu" else there
        if self._living_front:
            self._living_front.replace(there, front)
        for name, living in self._living.items():
            living.replace(there, newborn[name])
        for memory in self._memory:
            memory[own_rows] = 0
        if self._expected:
            self._expected.replace(own_rows)

    def _sent(self, sample: Sample) -> Sample:
        """The sample with its center on the device, which many samples have in common."""
        last = self._last
        if last is None or last[0].center is not sample.center or last[0].sigma is not sample.sigma:
            sigma = sample.sigma.to(self.device, self.dtype) if isinstance(sample.sigma, Tensor) else sample.sigma
            there = replace(sample, center=sample.center.to(self.device, self.dtype), sigma=sigma)
            last = self._last = sample, there
        return replace(last[1], streams=sample.streams, signs=sample.signs)

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def _made(self, array: SampledArray) -> Tensor:
        from neuroplastic.plastic.kernels.gpu.sampled import made

        return made(array, self.device)

    def check_room(self, lives: int, processes: int = 1) -> None:
        """Refuses so many lives at once, in each of some processes, if the device has not enough memory for them.

        Raises:
            DeviceError: it says how many there is room for.
        """
        if self.device.type == "cuda":
            check_room(self.device, lives, self.life_bytes, 8 * self.layout.size, processes)

    @property
    def life_bytes(self) -> int:
        """Memory that a life takes on a device at most, that which passes at its birth included."""
        size, made = (8 if self.dtype == torch.float64 else 4), self._storage == "made"
        synapses = [layer.inputs * layer.outputs for layer in self.layers]
        evolving = sum(prod(shape) for name, shape in self.layout.shapes if name in self.coefficients)
        genome = self.layout.size - evolving * made
        kept = genome if self._storage != "bfloat16" else self.layout.size - evolving // 2
        return size * (genome + kept + 3 * sum(synapses) + 4 * max(synapses) + sum(self._sizes) * 4)

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
        index, there = self._found(rows)
        if self._ferry is None:
            post = self._step(_array(observations), _array(rewards), index)
            given: Any = torch.from_numpy(post) if isinstance(observations, Tensor) else post
        elif isinstance(observations, Tensor):
            recorded = self._recordable and number == self._born
            post = self._ferry.act(observations, torch.as_tensor(rewards), there, recorded)
            given = post.to(observations.device, copy=True)
        else:
            given = self.start(observations, np.asarray(rewards), rows)()
        return given

    def start(
        self, observations: NDArray[Any], rewards: NDArray[Any], rows: Sequence[int]
    ) -> Callable[[], NDArray[Any]]:
        """Begins what `act` does; who calls what comes back waits for the outputs. A GPU computes meanwhile.

        The outputs are to be taken before the next step begins. Arguments and errors as of `act`.
        """
        if self._ferry is None:
            outputs = self.act(observations, rewards, rows)
            return lambda: outputs
        check_shape("observations", observations, [len(rows), self._size])
        check_shape("rewards", rewards, [len(rows)])
        recorded = self._recordable and len(rows) == self._born
        return self._ferry.start(observations, rewards, self._found(rows)[1], recorded)

    def close(self) -> None:
        """Frees the memory of the lives; none goes on."""
        self._let_go()

    def _step(self, activity: Any, signal: Any, rows: Any) -> Any:
        """By arrays on the cpu, else by tensors on the device."""
        arrays = self._backend == "cpu"
        if self._living_front:
            pictures = torch.as_tensor(activity).view(len(rows), *self._shape)
            activity = self._numbers(self._living_front.step(pictures, torch.as_tensor(rows)))
        if self._expected:
            signal = self._expected(signal, rows)
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
        """As the backend takes them: an array on the cpu, else a tensor."""
        return tensor.numpy() if self._backend == "cpu" else tensor

    def _index(self, rows: Sequence[int] | np.ndarray) -> NDArray[np.int64]:
        return self._found(rows)[0]

    def _found(self, rows: Sequence[int] | np.ndarray) -> tuple[NDArray[np.int64], Any]:
        """The rows as an array, and on the device; the same until others are asked for, of all lives or of some."""
        asked, whole = rows if isinstance(rows, range) else list(rows), len(rows) == self._born
        known = self._known.get(whole)
        if known is None or asked != known[0]:  # they seldom change from one step to the next
            if len(set(asked)) < len(asked) or not all(0 <= row < self._born for row in asked):
                raise ArgumentError(f"rows: expected distinct numbers below {self._born}, the lives born; got {asked}")
            index = np.array(asked, np.int64)
            there = torch.from_numpy(index).to(self.device) if self._ferry else None
            known = self._known[whole] = asked, index, there
        return known[1:]

    def weights(self) -> dict[str, Tensor]:
        """Name of a plastic layer -> a copy of its weights [B, O, I] as the next step will use them."""
        return {name: living.weights().cpu() for name, living in self._living.items()}

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
        index = torch.from_numpy(self._index(rows)).to(self.device)
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
        index = torch.from_numpy(self._index(rows)).to(self.device)
        self._living[name].assign(index, weights.detach().to(self.device, self.dtype))


def _of_cell(through: Through, cell: str, name: str, pre: Tensor) -> Tensor:
    return through(cell + name, pre)


def _array(numbers: Tensor | NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(numbers.numpy() if isinstance(numbers, Tensor) else numbers, np.float32)
