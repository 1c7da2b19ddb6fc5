"""What layers a network is made of: feed-forward, recurrent and gated cells, each a composition of plastic layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.plastic.rules import Layer
from neuroplastic.plastic.sharing import Wiring

Numbers = TypeVar("Numbers", Tensor, NDArray[Any])
Through = Callable[[str, Numbers], Numbers]
"""A plastic layer of the cell, by its name in `Cell.layers`: activity before [b, I] -> activity after [b, O]."""


def join(x: Numbers, y: Numbers) -> Numbers:
    """Side by side: [b, X], [b, Y] -> [b, X + Y]."""
    both: Any = (x, y)
    return torch.cat(both, 1) if isinstance(x, Tensor) else np.concatenate(both, 1)  # pyright: ignore[reportReturnType]


def feedforward(x: Numbers, h: Numbers, through: Through) -> Numbers:
    """o = f(W x)."""
    return through("", x)


def recurrent(x: Numbers, h: Numbers, through: Through) -> Numbers:
    """h <- f(W [x, h])."""
    return through("", join(x, h))


def gated(x: Numbers, h: Numbers, through: Through) -> Numbers:
    """h <- z h + (1 - z) n with n = f(W_n [x, r h]), r = σ(W_r [x, h]), z = σ(W_z [x, h]).

    The gated recurrent unit of Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", eqs. 5-8:
    the reset gate r acts on h before its synapses (`torch.nn.GRUCell` has it behind them). What synapses of n see as
    activity before them is r h, and as activity after them n.
    """
    both = join(x, h)
    r, z = through(".reset", both), through(".update", both)
    n = through(".candidate", join(x, r * h))
    return z * h + (1 - z) * n


@dataclass(frozen=True)
class Cell:
    """How units come from those before them.

    Attributes:
        step: activity before [b, X] and own activity of the step before [b, H] -> own activity [b, H].
        layers: plastic layers: what follows the cell's name -> activation, None for that of the cell. The units of the
            last one are those of the cell, others have units of their own.
        remembers: whether own activity of the step before is among the inputs of the layers, after what comes in; it
            is 0 at birth.
    """

    step: Callable[[Any, Any, Through], Any]
    layers: Mapping[str, str | None]
    remembers: bool


FEEDFORWARD = Cell(feedforward, {"": None}, remembers=False)
CELLS = {
    "feedforward": FEEDFORWARD,
    "recurrent": Cell(recurrent, {"": None}, remembers=True),
    "gru": Cell(gated, {".reset": "sigmoid", ".update": "sigmoid", ".candidate": None}, remembers=True),
}


def wire(
    cells: Sequence[Cell],
    sizes: Sequence[int],
    activations: Sequence[str],
    bias: bool,
    backend: str,
    dtype: torch.dtype,
) -> tuple[list[Layer], dict[str, Wiring]]:
    """The plastic layers of cells one behind the other, ``layer0``, …, and the units that their synapses join.

    Units are numbered from 0: the inputs, with a bias the unit that is always 1 (the last input of every layer), then
    the units of each layer. A cell's memory of its own units is those units.

    Args:
        sizes: of the inputs and of each cell.
        activations: of each cell.
    """
    layers: list[Layer] = []
    wiring: dict[str, Wiring] = {}
    before, one = tuple(range(sizes[0])), (sizes[0],) * bias
    units = sizes[0] + bias
    for n, (cell, activation, (_, size)) in enumerate(zip(cells, activations, pairwise(sizes), strict=True)):
        posts = [tuple(range(units + size * m, units + size * (m + 1))) for m in range(len(cell.layers))]
        own = posts[-1]
        pre = before + own * cell.remembers + one
        for (name, own_activation), post in zip(cell.layers.items(), posts, strict=True):
            layers.append(Layer(f"layer{n}{name}", len(pre), size, own_activation or activation, backend, dtype))
            wiring[layers[-1].name] = Wiring(pre, post)
        before, units = own, units + size * len(posts)
    return layers, wiring
