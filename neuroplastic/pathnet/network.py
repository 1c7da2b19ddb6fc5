"""The super-network of Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks".

P paths, L layers, M modules a layer, of which U are used by some path, B rows of a minibatch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import cast

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.noise import stream
from neuroplastic.pathnet.modules import Differentiable, Linear, Module, Shape, births

Tensors = dict[str, Tensor]
"""``layer0.0.weight`` -> [modules of the block, *shape]. What a descent remembers of it lies beside it under a longer
name, such as ``layer0.0.weight.momentum``."""

READOUT = "readout"


@dataclass(frozen=True)
class Block:
    """Modules of one kind, numbered one after the other.

    Raises:
        ArgumentError: there are none.
    """

    module: Module
    count: int

    def __post_init__(self) -> None:
        check_range("count", self.count, low=1)


@dataclass(frozen=True)
class SuperNetwork:
    """L layers of M modules each. It has no numbers itself: they are `Tensors`.

    Attributes:
        inputs: shape of an observation.
        layers: the blocks of each layer.
        readout: makes the module that every task has one of its own of, for a number of outputs.

    Raises:
        ArgumentError: there is no layer, layers differ in M, modules of a layer in what they make, or a module cannot
            take what comes.
    """

    inputs: Shape
    layers: tuple[tuple[Block, ...], ...]
    readout: Callable[[int], Module] = partial(Linear, activation="linear")  # noqa: RUF009 (nothing of it can change)

    @classmethod
    def alike(cls, inputs: Shape | int, modules: Sequence[Module], count: int) -> SuperNetwork:
        """A layer of ``count`` equal modules for each of ``modules``."""
        shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        return cls(shape, tuple((Block(module, count),) for module in modules))

    def __post_init__(self) -> None:
        sizes = {sum(block.count for block in layer) for layer in self.layers}
        if len(sizes) != 1 or 0 in sizes:
            raise ArgumentError(f"layers: expected one or more, of equally many modules; got {sorted(sizes)} modules")
        for number, layer in enumerate(self.layers):
            made = {block.module.outputs(self.shapes[number]) for block in layer}
            if len(made) > 1:
                raise ArgumentError(
                    f"layers[{number}]: expected modules whose outputs can be summed; got shapes {sorted(made)}"
                )

    @property
    def modules(self) -> int:
        """M."""
        return sum(block.count for block in self.layers[0])

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """What each layer takes, and what the readout takes."""
        shapes = [self.inputs]
        for layer in self.layers:
            shapes.append(layer[0].module.outputs(shapes[-1]))
        return tuple(shapes)

    @property
    def blocks(self) -> list[tuple[str, int, int, Block]]:
        """(name, layer, number of its first module, block) of all blocks."""
        found = []
        for number, layer in enumerate(self.layers):
            first = 0
            for place, block in enumerate(layer):
                found.append((f"layer{number}.{place}", number, first, block))
                first += block.count
        return found

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of what the modules learn."""
        parts = ((name, block.module.layout(self.shapes[layer])) for name, layer, _, block in self.blocks)
        return tuple(f"{name}.{array}" for name, layout in parts for array in layout)

    def readout_parameters(self, outputs: int) -> tuple[str, ...]:
        """Names of what a readout learns."""
        return tuple(f"{READOUT}.{array}" for array in self.readout(outputs).layout(self.shapes[-1]))

    def birth(self, source: int) -> Tensors:
        """All modules newborn, each from a stream of its own."""
        born: Tensors = {}
        for name, layer, _, block in self.blocks:
            own = births(block.module, self.shapes[layer], block.count, stream(source, name))
            born |= {f"{name}.{array}": values for array, values in own.items()}
        return born

    def readout_birth(self, outputs: int, source: int) -> Tensors:
        """A newborn readout: arrays [1, *shape]."""
        own = births(self.readout(outputs), self.shapes[-1], 1, stream(source, READOUT))
        return {f"{READOUT}.{array}": values for array, values in own.items()}

    def reborn(self, tensors: Tensors, frozen: Tensor, source: int) -> Tensors:
        """The frozen modules [L, M] as they are, all others newborn, and nothing that a descent remembers."""
        born = self.birth(source)
        for name, layer, first, block in self.blocks:
            kept = frozen[layer, first : first + block.count]
            for array in born:
                if array.startswith(f"{name}."):
                    born[array][kept] = tensors[array][kept]
        return born


@dataclass(frozen=True)
class _Part:
    """The used modules of one block."""

    name: str
    layer: int
    module: Module
    rows: Tensor  # which modules of the block, int64 [U]
    mask: Tensor  # on which path, [P, U]
    free: Tensor | None  # which of the U are not frozen; None: all


class Subnetwork:
    """The modules that some paths use, taken out of a super-network to be trained together.

    The super-network's own tensors stay as they are, and modules that are on no path are not here at all.

    Args:
        network: whose they are.
        tensors: of the modules and of the readout, with what the descent remembers.
        active: the modules on each path, bool [P, L, M].
        frozen: those that do not learn, bool [L, M]; None: all learn, the readout too.
        outputs: of the readout.

    Attributes:
        tensors: name -> [U, *shape]; those that are parameters require gradients.
        active: as given.
        paths: P.
    """

    def __init__(
        self, network: SuperNetwork, tensors: Tensors, active: Tensor, outputs: int, frozen: Tensor | None = None
    ) -> None:
        check_shape("active", active, ["P", len(network.layers), network.modules])
        self.network, self.active, self.paths, self.outputs = network, active, len(active), outputs
        self.parts: list[_Part] = []
        for name, layer, first, block in network.blocks:
            on = active[:, layer, first : first + block.count]
            rows = on.any(0).nonzero()[:, 0]
            free = None if frozen is None else (~frozen[layer, first + rows]).nonzero()[:, 0]
            if free is not None and len(free) == len(rows):
                free = None
            self.parts.append(_Part(name, layer, block.module, rows, on[:, rows], free))
        rows, every = torch.zeros(1, dtype=torch.int64), torch.ones(self.paths, 1, dtype=torch.bool)
        self.parts.append(_Part(READOUT, len(network.layers), network.readout(outputs), rows, every, None))
        self.tensors: Tensors = {}
        self._part_of: dict[str, _Part] = {}
        self._parameters: dict[str, Tensors] = {}
        for part in self.parts:
            own = [f"{part.name}.{array}" for array in part.module.layout(network.shapes[part.layer])]
            for name, tensor in tensors.items():
                if name.startswith(f"{part.name}."):
                    self.tensors[name] = tensor[part.rows].requires_grad_(name in own)
                    self._part_of[name] = part
            self._parameters[part.name] = {name.removeprefix(f"{part.name}."): self.tensors[name] for name in own}
        kind = next(iter(self.tensors.values())).dtype
        self._masks = {part.name: part.mask.to(kind) for part in self.parts}

    @property
    def parameters(self) -> Tensors:
        """What is learned: name -> [U, *shape]."""
        return {name: tensor for name, tensor in self.tensors.items() if tensor.requires_grad}

    def free(self, name: str) -> Tensor | None:
        """Which rows of a tensor may change, int64; None: all."""
        return self._part_of[name].free

    def rows(self, name: str) -> Tensor:
        """Which modules of its block a tensor's rows are: int64 [U]."""
        return self._part_of[name].rows

    def learns(self, name: str) -> Tensor:
        """Which rows of a tensor are on each path and may change: bool [P, U]."""
        part = self._part_of[name]
        return part.mask if part.free is None else part.mask & torch.isin(torch.arange(len(part.rows)), part.free)

    def forward(self, x: Tensor) -> Tensor:
        """What each path makes of its minibatch [P, B, *inputs], or all make of one [1, B, *inputs]: [P, B, outputs].

        Every used module is applied to every path's activity and what is not on the path is left out of the sum: a few
        large products are faster than many small ones.
        """
        check_shape("x", x, [len(x), "B", *self.network.inputs])
        if len(x) not in (1, self.paths):
            check_shape("x", x, [self.paths, "B", *self.network.inputs])
        kind = next(iter(self._masks.values())).dtype
        activity = x.to(kind)
        for layer in range(len(self.network.layers) + 1):
            activity = sum(
                self._contribution(part, activity) for part in self.parts if part.layer == layer and len(part.rows)
            )
            assert isinstance(activity, Tensor)  # each path has a module in each layer
        return activity

    def _contribution(self, part: _Part, activity: Tensor) -> Tensor:
        """Of one block to the sum of its layer: [P or 1, B, *in] -> [P, B, *out]."""
        module = cast(Differentiable, part.module)
        every = module.apply(self._parameters[part.name], activity.flatten(0, 1))
        every = every.unflatten(0, activity.shape[:2])  # [P or 1, B, U, *out]
        if part.name == READOUT:
            return every[:, :, 0].expand(self.paths, *(-1 for _ in every.shape[2:]))
        mask = self._masks[part.name]
        return (every * mask.view(self.paths, 1, len(part.rows), *(1 for _ in every.shape[3:]))).sum(2)

    def gradients(self, losses: Tensor) -> Tensors:
        """Gradients of the losses [P] of all paths: those of a module that is on several paths are summed."""
        parameters = self.parameters
        found = torch.autograd.grad(losses.sum(), list(parameters.values()), materialize_grads=True)
        return dict(zip(parameters, found, strict=True))

    def put(self, tensors: Tensors) -> Tensors:
        """The super-network's tensors with those here in their places."""
        new = dict(tensors)
        for name, tensor in self.tensors.items():
            new[name] = tensors[name].clone()
            new[name][self._part_of[name].rows] = tensor.detach()
        return new
