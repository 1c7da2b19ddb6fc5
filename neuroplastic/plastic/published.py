"""Published rules: each is a name for a setting of `HebbianRule`'s switches, and of its network's where it has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from neuroplastic.errors import ArgumentError, check_range
from neuroplastic.plastic.hebbian import HebbianRule, static
from neuroplastic.plastic.initial import EVOLVED
from neuroplastic.plastic.network import PlasticNetwork


@dataclass(frozen=True)
class Published:
    """A rule as its paper has it.

    Attributes:
        formula: what it does, for people to read.
        paper: where it is from.
        switches: of `HebbianRule`; those that are not named have their defaults.
        network: arguments of `PlasticNetwork` that belong to it.
        merged: K, the rules that evolution merges the synapses' into; 0 = it never does.
    """

    formula: str
    paper: str
    switches: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    merged: int = 0

    @property
    def rule(self) -> Callable[..., HebbianRule]:
        """Makes the rule; every switch can still be set otherwise, but that a static one stays static."""
        return partial(HebbianRule, **self.switches) if self.switches.get("terms") != "" else static

    def numbers(self, sizes: Sequence[int]) -> str:
        """How many numbers evolve in a network of these layer sizes, for people; "-" if the rule does not fit it.

        Raises:
            ArgumentError: there are fewer than two sizes, or one below 1.
        """
        if len(sizes) < 2:
            raise ArgumentError(f"sizes: expected those of two layers or more; got {list(sizes)}")
        for size in sizes:
            check_range("sizes", size, low=1)
        try:
            network = PlasticNetwork(sizes[0], sizes[-1], sizes[1:-1], rule=self.rule(), **self.network)
            numbers = f"{network.codec.layout.size:,}"
        except ArgumentError:
            return "-"
        per_rule = len(network.rule.shared)
        synapses = network.layout.size // max(per_rule, 1)
        return f"{numbers} → {self.merged * per_rule:,}" if 0 < self.merged <= synapses else numbers


_ABCD = "Δw = η (A oᵢoⱼ + B oᵢ + C oⱼ + D)"

PUBLISHED: dict[str, Published] = {
    "hebbian-abcd": Published(f"{_ABCD}, five numbers a synapse", "Najarro & Risi 2020"),
    "hebbian-shared": Published(
        f"{_ABCD}, K rules, each shared by as many synapses",
        "after Pedersen & Risi 2021, Palm et al. 2021",
        {"sharing": "groups", "groups": 384},
    ),
    "evolve-and-merge": Published(
        f"{_ABCD}, the synapses' rules merged into K on the way",
        "Pedersen & Risi 2021",
        merged=384,
    ),
    "nchl": Published(
        "Δw = ½(ηᵢ+ηⱼ) (Aᵢ oᵢ + Bⱼ oⱼ + CᵢCⱼ oᵢoⱼ + DᵢDⱼ), five numbers a neuron",
        "Ferigo et al. 2024",
        {"sharing": "neuron"},
    ),
    "oja": Published(
        "Δw = η oⱼ (oᵢ - oⱼ w)",
        "Oja 1982",
        {"terms": "A+lr+decay", "constant": "A+decay"},
    ),
    "reward-modulated": Published(
        f"e <- λ e + {_ABCD.removeprefix('Δw = ')};  Δw = (r - r̄) e",
        "Soltoggio & Steil 2013",
        {"modulation": "reward-prediction-error", "trace": 0.9},
    ),
    "backpropamine": Published(
        "v = F + G∘w;  w <- clip(w + m oᵢoⱼ), m a unit of the network, w = 0 at birth",
        "Miconi et al. 2019",
        {
            "terms": "A",
            "constant": "A",
            "fixed": True,
            "modulation": "unit",
            "normaliser": "clip",
            "initial": "zeros",
        },
    ),
    "averaged-clock": Published(
        f"{_ABCD} every k steps, of activities averaged over them; w / max|w|",
        "HAN 2026",
        {"every": 5, "normaliser": "max"},
    ),
    "static": Published("Δw = 0, weights evolved", "the control", {"terms": "", "initial": EVOLVED}),
    "static-gru": Published(
        "Δw = 0 in a gated recurrent network, weights evolved",
        "Cho et al. 2014; the control with memory",
        {"terms": "", "initial": EVOLVED},
        {"kind": "gru"},
    ),
}
