"""Coefficients that are matrices of low rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.genome import Layout
from neuroplastic.plastic.sharing.synapses import Synapses


@dataclass(frozen=True)
class LowRank:
    """X = U Vᵀ / √r in each layer, for each of its coefficients X: of spread 1 where U and V are N(0, 1).

    A vector holds what nobody shares, then ``layer0.A.U`` [O, r], ``layer0.A.V`` [I, r], ….

    Attributes:
        synapses: of the network.
        rank: r; of a layer with fewer units on a side, as many as those.

    Raises:
        ArgumentError: the rank is below 1, or above what any layer can have.
    """

    synapses: Synapses
    rank: int

    def __post_init__(self) -> None:
        check_range("rank", self.rank, low=1, high=max(min(shape) for shape in self.synapses.layers.values()))

    @property
    def layout(self) -> Layout:
        factors = []
        for layer, (after, before) in self.synapses.layers.items():
            rank = min(self.rank, after, before)
            for term in self.synapses.terms:
                factors += [(f"{layer}.{term}.U", (after, rank)), (f"{layer}.{term}.V", (before, rank))]
        return Layout((*self.synapses.others, *factors))

    def decode(self, vectors: Tensor) -> Tensor:
        def coefficients(parts: Mapping[str, Tensor], layer: str, term: str) -> Tensor:
            U, V = parts[f"{layer}.{term}.U"], parts[f"{layer}.{term}.V"]
            rank = U.shape[-1]
            x = U[:, :, None, 0] * V[:, None, :, 0]
            for r in range(1, rank):  # one after the other: how a matrix product rounds depends on the rows beside
                x += U[:, :, None, r] * V[:, None, :, r]
            return x.div_(rank**0.5)

        return self.synapses.genomes(vectors, self.layout, coefficients)

    def state_dict(self) -> dict[str, Tensor]:
        return {}
