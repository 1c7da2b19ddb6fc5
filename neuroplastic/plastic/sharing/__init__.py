"""Who shares coefficients: codecs that expand what evolves to the synapses, so that networks know nothing of sharing.

p vectors, D' their length, D length of a genome; N synapses in all layers, K rules. A layer has I units before its
synapses and O after them; what belongs to the synapse from i to j lies at [j, i] of [O, I]. Each row of `decode` is
made by sums and products of single numbers of its own vector, so it is the same bits whatever its neighbours are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_shape
from neuroplastic.genome import Codec, Identity, Layout
from neuroplastic.plastic.rules import SHARINGS, Rule
from neuroplastic.plastic.sharing.groups import Groups, Uniform, balanced, replaced
from neuroplastic.plastic.sharing.low_rank import LowRank
from neuroplastic.plastic.sharing.neurons import Neurons
from neuroplastic.plastic.sharing.synapses import Synapses, Wiring

__all__ = [
    "Groups",
    "LowRank",
    "Neurons",
    "Synapses",
    "Uniform",
    "Wiring",
    "balanced",
    "codec",
    "replaced",
    "restored",
]


def codec(rule: Rule, network: Layout, wiring: Mapping[str, Wiring]) -> Codec:
    """What expands the vectors of a rule's ``sharing`` to the genomes of a network.

    Args:
        rule: whose `Rule.shared` coefficients these are, with its ``sharing``, and its ``groups`` or ``rank``.
        network: the layout of a genome.
        wiring: layer -> the units that it joins; only "neuron" and "neuron-additive" look at it.

    Raises:
        UnknownNameError: no such sharing.
        ArgumentError: there is nothing to share, fewer synapses than groups or less than one group, a rank that no
            layer can have, or no wiring of a layer.
        ShapeError: coefficients are no matrices, or a layer's wiring has other numbers of units.
    """
    sharing = rule.sharing
    check_name("sharing", sharing, SHARINGS)
    if sharing == "synapse":
        return Identity(network)
    synapses = Synapses(network, tuple(rule.shared))
    if sharing in ("layer", "network"):
        return Uniform(synapses, sharing == "network")
    if sharing == "groups":
        return Groups(synapses, balanced(synapses.number, getattr(rule, "groups", 0)))
    if sharing == "low-rank":
        return LowRank(synapses, getattr(rule, "rank", 0))
    own = {layer: wires for layer, wires in wiring.items() if layer in synapses.layers}
    return Neurons(synapses, own, additive=sharing == "neuron-additive")


def restored(rule: Rule, network: Layout, state: Mapping[str, Tensor], merged: Collection[int] = ()) -> Codec:
    """The codec that a `Codec.state_dict` was of.

    Args:
        rule: that the search began with.
        network: the layout of a genome.
        state: what was saved.
        merged: how many groups the rules may have been merged into since.

    Raises:
        ArgumentError, ShapeError: the state is of another rule or network.
    """
    for name, tensor in state.items():
        check_shape(f"codec.{name}", tensor, ["n"])
        if tensor.dtype != torch.int32:
            raise ArgumentError(f"codec.{name}: expected int32; got {tensor.dtype}")
    if set(state) == {"assignment"} and rule.sharing in ("synapse", "groups"):
        groups = Groups(Synapses(network, tuple(rule.shared)), state["assignment"])
        known = [*merged, *([getattr(rule, "groups", 0)] if rule.sharing == "groups" else [])]
        if groups.number not in known:
            raise ArgumentError(f"codec.assignment: expected one of {known} groups; got {groups.number}")
        return groups
    layers = {name.rpartition(".")[0] for name in state}
    units = {name: tuple(tensor.tolist()) for name, tensor in state.items()}
    wiring = {at: Wiring(units.get(f"{at}.pre", ()), units.get(f"{at}.post", ())) for at in layers}
    made = codec(rule, network, wiring)
    wanted = made.state_dict()
    if set(wanted) != set(state):
        raise ArgumentError(
            f"codec: expected the entries {sorted(wanted)} with sharing {rule.sharing!r}; got {sorted(state)}"
        )
    return made
