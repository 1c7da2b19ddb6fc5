"""Coefficients that belong to neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.genome import Layout
from neuroplastic.plastic.sharing.synapses import Synapses, Wiring


@dataclass(frozen=True)
class Neurons:
    """Coefficients that belong to neurons: network-wide, whatever layers a neuron is in.

    As published (Ferigo, Nadizar et al. 2024, NcHL) a synapse changes by
    ½(η_i + η_j) (A_i o_i + B_j o_j + C_i C_j o_i o_j + D_i D_j). In the letters of `HebbianRule` that is
    A_ij = A_i A_j, B_ij = B_i, C_ij = C_j, D_ij = D_i D_j, η_ij = ½(η_i + η_j); so B belongs to neurons that are ever
    before a synapse alone, and C to those that are ever after one. Oja's decay acts on o_j, so it is K_ij = K_j.

    ``additive``: each coefficient is X_ij = ½(X_i + X_j).

    A vector holds what nobody shares, then ``neurons.A``, …, by rising ids of units.

    Attributes:
        synapses: of the network.
        wiring: layer -> the units that it joins.
        additive: which of the two forms.

    Raises:
        ArgumentError: a layer has no wiring.
        ShapeError: a layer has other numbers of units.
    """

    synapses: Synapses
    wiring: Mapping[str, Wiring]
    additive: bool = False

    def __post_init__(self) -> None:
        for layer, shape in self.synapses.layers.items():
            if layer not in self.wiring:
                raise ArgumentError(f"wiring: expected the units of {layer!r}; got those of {[*self.wiring]}")
            own = self.wiring[layer]
            if (len(own.post), len(own.pre)) != shape:
                raise ShapeError(
                    f"wiring of {layer}: expected {shape[1]} units before and {shape[0]} after; "
                    f"got {len(own.pre)} and {len(own.post)}"
                )

    def _role(self, term: str) -> str:
        return "both" if self.additive else {"B": "pre", "C": "post", "decay": "post"}.get(term, "both")

    @cached_property
    def units(self) -> dict[str, list[int]]:
        """Role -> the units that ever have it, by rising ids."""
        own = [self.wiring[layer] for layer in self.synapses.layers]
        pre, post = ({unit for wires in own for unit in getattr(wires, role)} for role in ("pre", "post"))
        return {role: sorted(units) for role, units in (("pre", pre), ("post", post), ("both", pre | post))}

    @property
    def layout(self) -> Layout:
        terms = ((f"neurons.{term}", (len(self.units[self._role(term)]),)) for term in self.synapses.terms)
        return Layout((*self.synapses.others, *terms))

    @cached_property
    def _places(self) -> dict[tuple[str, str, str], Tensor]:
        """(role, layer, side of it) -> where the coefficients of its units are among those of that role."""
        places = {}
        for role, units in self.units.items():
            at = {unit: place for place, unit in enumerate(units)}
            for layer in self.synapses.layers:
                for side in ("pre", "post") if role == "both" else (role,):
                    places[role, layer, side] = torch.tensor([at[unit] for unit in getattr(self.wiring[layer], side)])
        return places

    def decode(self, vectors: Tensor) -> Tensor:
        def coefficients(parts: Mapping[str, Tensor], layer: str, term: str) -> Tensor:
            role = self._role(term)

            def of(side: str) -> Tensor:
                place = self._places[role, layer, side].to(vectors.device)
                numbers = parts[f"neurons.{term}"].index_select(1, place)
                return numbers[:, None, :] if side == "pre" else numbers[:, :, None]

            if role != "both":
                return of(role)
            if self.additive or term == "lr":
                return 0.5 * of("pre") + 0.5 * of("post")  # halving is exact
            return of("pre") * of("post")

        return self.synapses.genomes(vectors, self.layout, coefficients)

    def state_dict(self) -> dict[str, Tensor]:
        wires = {layer: self.wiring[layer] for layer in self.synapses.layers}
        sides = {f"{layer}.{side}": getattr(own, side) for layer, own in wires.items() for side in ("pre", "post")}
        return {name: torch.tensor(units, dtype=torch.int32) for name, units in sides.items()}
