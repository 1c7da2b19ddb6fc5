"""`reference.HebbianLayer` on a GPU: what lives in its memory, and the acts on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError
from neuroplastic.genome import SampledArray
from neuroplastic.plastic.kernels.gpu.functions import ACTIVATIONS, launch
from neuroplastic.plastic.kernels.gpu.kernel import (
    ABSENT,
    BOTH,
    FORWARD,
    LEARN,
    LEVEL,
    NORMALISERS,
    ONE,
    power_above,
    step,
    tick,
    tile_of,
)
from neuroplastic.plastic.kernels.gpu.sampled import Source, made, together
from neuroplastic.plastic.rules import LivingLayer

_TERMS = ("A", "B", "C", "D", "decay")

Coefficients = Mapping[str, Tensor | SampledArray | float]


class HebbianLayer(LivingLayer):
    """`reference.HebbianLayer`, fused, on the device of the weights.

    Args:
        coefficients: as of the reference; those that are 1 at every synapse are the number 1.0, and others may be
            arrays of sampled genomes.
        storage: what A, B, C, D and decay are kept as, with η multiplied in: "float32" or "bfloat16"; or "made": they
            are not kept if they are of a sample, and float32 if they are not.
    """

    recordable = True

    def __init__(
        self,
        weights: Tensor,
        coefficients: Coefficients,
        activation: str,
        normaliser: str = "none",
        limit: float = 1.0,
        *,
        modulated: bool = False,
        trace: float = 0.0,
        every: int = 1,
        storage: str = "float32",
    ) -> None:
        rows, outputs, inputs = weights.shape
        device = self._device = weights.device
        terms = {name: coefficients[name] for name in _TERMS if name in coefficients}
        normaliser = normaliser if terms else "none"
        self._normaliser, self._limit, self._decay = normaliser, limit, trace
        self._tile = tile_of(inputs, outputs)
        self._blocks = -(-outputs // self._tile.block)
        self._size = inputs, outputs

        state: dict[str, Tensor | None] = {"weights": weights.clone(memory_format=torch.contiguous_format)}
        state["clocks"] = torch.zeros(rows, dtype=torch.int32, device=device)
        self._source: Source | None = None
        lr = coefficients.get("lr")
        if storage == "made" and any(isinstance(array, SampledArray) for array in (*terms.values(), lr)):
            slots, self._source = _drawn(terms, lr, device)
            state |= {"keys": self._source.keys, "scales": self._source.scales}
        else:
            dtype = torch.bfloat16 if storage == "bfloat16" else torch.float32
            slots, state["arrays"] = _stored(terms, lr, weights, dtype)
        if trace and terms:
            state["trace"] = torch.zeros_like(weights, memory_format=torch.contiguous_format)
        if "fixed" in coefficients:
            state["parts"] = torch.stack([_tensor(coefficients[name], device) for name in ("fixed", "gain")], 1)
        if every > 1:
            state["sums"] = weights.new_zeros(rows, inputs + outputs + 1)
        left = {"row": (outputs,), "max": (2, self._blocks), "standardise": (2, self._blocks, 2)}
        if normaliser in left:
            state["spread"] = weights.new_empty(rows, *left[normaliser])
            state["turns"] = torch.zeros(rows, self._blocks, dtype=torch.int32, device=device)
        self._state = {name: array for name, array in state.items() if array is not None}
        self._settle(torch.arange(rows, device=device))

        arrays = self._state.get("arrays")
        self._tables: dict[bool, tuple[Tensor, Tensor]] = {}
        self._streams = np.zeros(0, np.int64)
        self._group = 1
        if self._source:
            self._streams = self._source.keys.cpu().numpy()
            self._group = power_above(int(np.unique(self._streams, return_counts=True)[1].max(initial=1)))
        self._options = {
            "INPUTS": inputs,
            "OUTPUTS": outputs,
            "BLOCK": self._tile.block,
            "CHUNK": self._tile.chunk,
            "CHUNKS": self._tile.chunks,
            "SLOTS": slots,
            "STORED": 0 if arrays is None else arrays.shape[1],
            "TOGETHER": together(inputs, *(slot for slot in slots if slot >= 0)) if self._source else 0,
            "EACH": self._source is not None and self._source.deviations is not None,
            "GROUP": self._group,
            "TRACE": "trace" in self._state,
            "FIXED": "parts" in self._state,
            "MODULATED": modulated,
            "EVERY": every,
            "ACTIVATION": ACTIVATIONS[activation],
            "NORMALISER": NORMALISERS[normaliser],
            "PLASTIC": bool(terms),
        }

    def step(self, pre: Tensor, signal: Tensor, rows: Tensor) -> Tensor:
        post = pre.new_empty(len(rows), self._size[1])
        self._launch(pre, post, signal, rows, BOTH)
        return post

    def forward(self, pre: Tensor, rows: Tensor) -> Tensor:
        post = pre.new_empty(len(rows), self._size[1])
        self._launch(pre, post, None, rows, FORWARD)
        return post

    def learn(self, pre: Tensor, post: Tensor, signal: Tensor, rows: Tensor) -> None:
        self._launch(pre, post, signal, rows, LEARN)

    def _launch(self, pre: Tensor, post: Tensor, signal: Tensor | None, rows: Tensor, part: Any) -> None:
        if not len(rows) or (part is LEARN and not self._options["PLASTIC"]):
            return
        names = ("trace", "parts", "spread", "turns", "clocks", "sums")
        own, source = self._state, self._source
        launch(
            step, len(rows) * self._blocks,
            own["weights"], source.center if source else own.get("arrays"), *(own.get(name) for name in names),
            pre, signal, rows, self._groups(rows) if self._group > 1 else None, post,
            source.deviations if source else None, own.get("keys"), own.get("scales"), self._limit, self._decay,
            warps=self._tile.warps, PART=part, **self._options,
        )  # fmt: skip
        if "sums" in own and part is not FORWARD:
            inputs, outputs = self._size
            launch(
                tick, len(rows), own["clocks"], own["sums"], pre, signal, rows, inputs,
                power_above(inputs), outputs, self._options["MODULATED"], self._options["EVERY"],
            )  # fmt: skip

    def _groups(self, rows: Tensor) -> Tensor:
        """Which of the rows [b] are stepped together, int32 [b, GROUP], -1 for none.

        There are two tables, for all lives and for some of them, so that a recorded step of all finds its own.
        """
        known = self._tables.get(len(rows) == len(self._streams))
        if known is None or known[0] is not rows:
            known = rows, self._table(rows)
            self._tables[len(rows) == len(self._streams)] = known
        return known[1]

    def _table(self, rows: Tensor) -> Tensor:
        table, used = np.full((len(rows), self._group), -1, np.int32), 0
        positions: dict[int, list[int]] = defaultdict(list)
        for position, stream in enumerate(self._streams[rows.cpu().numpy()].tolist()):
            positions[stream].append(position)
        for alike in positions.values():
            for first in range(0, len(alike), self._group):
                some = alike[first : first + self._group]
                table[used, : len(some)], used = some, used + 1
        return torch.from_numpy(table).to(self._device)

    def freeze(self, rows: Tensor) -> None:
        self._state["weights"][rows] = self._effective(rows)
        self._settle(rows)
        self._state["clocks"][rows] = -1

    def assign(self, rows: Tensor, weights: Tensor) -> None:
        weights = weights.to(self._device)
        self._settle(rows)
        if "parts" in self._state:
            frozen = (self._state["clocks"][rows] < 0)[:, None, None]
            parts = self._state["parts"]
            parts[rows, 0] = torch.where(frozen, parts[rows, 0], weights)
            weights = torch.where(frozen, weights, 0.0)
        self._state["weights"][rows] = weights

    def _settle(self, rows: Tensor) -> None:
        """The weights of some rows [b] wait for nothing."""
        if "spread" not in self._state:
            return
        spread = self._state["spread"]
        spread[rows] = 1.0
        if self._normaliser == "standardise":
            spread[rows, ..., 0] = 0.0
            spread[rows, ..., 1] = self._counts

    @property
    def _counts(self) -> Tensor:
        """Synapses that each program has [N]."""
        (inputs, outputs), block = self._size, self._tile.block
        units = [min(block, outputs - first) for first in range(0, outputs, block)]
        return torch.tensor(units, dtype=torch.float32, device=self._device) * inputs

    def replace(self, rows: Tensor, newborn: HebbianLayer) -> None:
        """As of `LivingLayer.replace`.

        Raises:
            ArgumentError: coefficients are made, and those of the newborn have another center or other deviations, or
                are stored.
        """
        ours, theirs = (
            [layer._source.center, layer._source.deviations] if layer._source else [None, None]
            for layer in (self, newborn)
        )
        if not all(map(_equal, ours, theirs)):
            raise ArgumentError("genomes: expected a sample around the center of the lives that there are; got others")
        for name, array in self._state.items():
            array[rows] = newborn._state[name]
        if self._source:
            self._streams = self._state["keys"].cpu().numpy()
            for known, table in self._tables.values():
                table.copy_(self._table(known))

    def _effective(self, rows: Tensor) -> Tensor:
        """v_ij = w_ij, or F_ij + G_ij w_ij: [b, O, I]."""
        weights, state = self._state["weights"][rows], self._state
        if "spread" in state:
            shift, divisor = self._pending(rows)
            weights = (weights - shift) / divisor
        if "parts" not in state:
            return weights
        frozen = (state["clocks"][rows] < 0)[:, None, None]
        fixed, gain = state["parts"][rows].unbind(1)
        return torch.where(frozen, weights, fixed + gain * weights)

    def _pending(self, rows: Tensor) -> tuple[Tensor | float, Tensor]:
        """`kernel.pending` of whole rows: shift and divisor, to be spread over [b, O, I]."""
        spread = self._state["spread"][rows]
        if self._normaliser == "row":
            return 0.0, spread[:, :, None]
        spread = spread[torch.arange(len(rows), device=self._device), self._state["turns"][rows, 0].long()]
        if self._normaliser == "max":
            largest = spread.amax(1)[:, None, None]
            return 0.0, torch.where(largest == 0, 1.0, largest)
        (inputs, outputs), counts = self._size, self._counts
        means, squares = spread.unbind(-1)
        mean = (counts * means).sum(1, keepdim=True) / (inputs * outputs)
        squares = (squares + counts * (means - mean) ** 2).sum(1, keepdim=True)
        deviation = (squares / (inputs * outputs)).sqrt()
        deviation = torch.where(deviation <= LEVEL.value * mean.abs(), 1.0, deviation)
        return mean[:, :, None], deviation[:, :, None]

    def weights(self) -> Tensor:
        return self._effective(torch.arange(len(self._state["weights"]), device=self._device))


def _equal(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b or (a is not None and b is not None and torch.equal(a, b))


def _tensor(array: Tensor | SampledArray | float, device: torch.device) -> Tensor:
    """An array on the device, made if need be."""
    return made(array, device) if isinstance(array, SampledArray) else torch.as_tensor(array).to(device)


def _stored(
    terms: Mapping[str, Any], lr: Any, weights: Tensor, dtype: torch.dtype
) -> tuple[tuple[int, ...], Tensor | None]:
    """Where each of A, B, C, D, decay and lr begins among the stored ones, and those [B, S, O, I]."""
    rows, outputs, inputs = weights.shape
    distinct: dict[str, int] = {}
    slots = [ABSENT.value] * (len(_TERMS) + 1)
    for place, name in enumerate(_TERMS):
        if name in terms:
            key = name if not isinstance(terms[name], float) else "" if lr is None else "lr"
            slots[place] = distinct.setdefault(key, len(distinct)) * outputs * inputs if key else ONE.value
    if not distinct:
        return tuple(slots), None
    arrays = torch.empty(rows, len(distinct), outputs, inputs, dtype=dtype, device=weights.device)
    rate = 1.0 if lr is None else _tensor(lr, weights.device)
    for name, slot in distinct.items():
        arrays[:, slot] = rate if name == "lr" else _tensor(terms[name], weights.device) * rate
    return tuple(slots), arrays


def _drawn(terms: Mapping[str, Any], lr: Any, device: torch.device) -> tuple[tuple[int, ...], Source]:
    """Where each of A, B, C, D, decay and lr begins in a genome, and the sample that all are of."""
    found = [*(terms.get(name) for name in _TERMS), lr]
    slots = [ABSENT.value if a is None else ONE.value if isinstance(a, float) else a.start for a in found]
    return tuple(slots), Source(next(a.sample for a in found if isinstance(a, SampledArray)), device)
