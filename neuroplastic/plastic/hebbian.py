"""Hebbian plasticity as independent switches: the rules that are published are settings of them.

A synapse from unit i to unit j has a weight w that changes and, if the rule says so, a fixed part F and a gain G that
do not. In each step, in this order:

    effective weight    v_ij = w_ij, or F_ij + G_ij w_ij
    forward             o_j = f(Σ_i v_ij o_i)
    change              Δ_ij = η_ij (A_ij o_i o_j + B_ij o_i + C_ij o_j + D_ij - K_ij o_j² w_ij)
    trace               e_ij <- λ e_ij + Δ_ij, e = 0 at birth
    modulation          w_ij <- w_ij + m e_ij
    normaliser          w <- N(w)

With a clock of k steps the last four happen in every k-th step only, with o_i, o_j and m averaged over the k steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.genome import Layout
from neuroplastic.plastic.initial import DISTRIBUTIONS, EVOLVED, EVOLVED_NORMAL, draw, draw_normal
from neuroplastic.plastic.kernels import NORMALISERS
from neuroplastic.plastic.modulation import MODULATIONS
from neuroplastic.plastic.rules import SHARINGS, Layer, LivingLayer, Rule

_TERMS = re.compile(r"(A?B?C?D?)(\+lr)?(\+decay)?")
_TERM_NAMES = ("A", "B", "C", "D", "decay")
_SPELLING = "some of 'ABCD' in this order, then '+lr' or not, then '+decay' or not"


@dataclass(frozen=True)
class HebbianRule(Rule):
    """The switches. The defaults are Najarro & Risi 2020, "Meta-Learning through Hebbian Plasticity", eq. 1.

    Attributes:
        terms: the coefficients that there are, in this order: any of A, B, C, D, then "+lr" for η (without it, η = 1),
            then "+decay" for K, the decay of Oja 1982. Without terms the weights are static.
        constant: those of the terms that are 1 for every synapse and do not evolve, spelled likewise. Oja's rule with
            evolved learning rates has the terms "A+lr+decay", of which "A+decay" are constant.
        sharing: who has the evolving coefficients in common, one of `rules.SHARINGS`; `PlasticNetwork.codec` expands
            them to synapses.
        groups: K, of sharing "groups".
        rank: of sharing "low-rank".
        modulation: m: 1 for "none"; "unit": the last unit of the network's last hidden layer in this same step, as it
            is (a tanh unit: between -1 and 1); the "reward" of the step before; or that less its running mean.
        mean_rate: ρ of the running mean, above 0 and at most 1; see `modulation.PredictionError`.
        trace: λ in [0, 1); 0 = no trace.
        every: k, steps from one change to the next; each life counts its own.
        normaliser: after every change, "max" divides a layer's weights by the largest |w|; "row" divides the weights
            into each unit by their L2 norm; "clip" clamps each to ±limit; "standardise" makes the mean of a layer's
            weights 0 and their standard deviation 1; "none" leaves them.
        limit: of "clip".
        initial: weights at birth: one of `initial.DISTRIBUTIONS`, drawn anew from each life's seed; "evolved"; or
            "evolved-normal", drawn with the evolved mean and log-spread of each layer.
        fixed: synapses have a fixed part and a gain, which evolve, as in Miconi et al. 2018, "Differentiable
            plasticity".

    Raises:
        ArgumentError: terms or constant cannot be read, a number is out of range, or switches make no sense together.
        UnknownNameError: no such sharing, modulation, normaliser or initial distribution.
    """

    terms: str = "ABCD+lr"
    normaliser: str = "none"
    limit: float = 1.0
    initial: str = "uniform"
    constant: str = ""
    sharing: str = "synapse"
    groups: int = 0
    rank: int = 0
    modulation: str = "none"
    mean_rate: float = 0.1
    trace: float = 0.0
    every: int = 1
    fixed: bool = False

    def __post_init__(self) -> None:
        for argument in ("terms", "constant"):
            if not _TERMS.fullmatch(getattr(self, argument)):
                raise ArgumentError(f"{argument}: expected {_SPELLING}, as in 'AD+lr'; got {getattr(self, argument)!r}")
        check_name("normaliser", self.normaliser, NORMALISERS)
        check_range("limit", self.limit, low=0, above=True)
        check_name("initial", self.initial, [*DISTRIBUTIONS, EVOLVED, EVOLVED_NORMAL])
        check_name("sharing", self.sharing, SHARINGS)
        check_name("modulation", self.modulation, MODULATIONS)
        check_range("mean_rate", self.mean_rate, low=0, high=1, above=True)
        check_range("trace", self.trace, low=0)
        if self.trace >= 1:
            raise ArgumentError(f"trace: expected a number >= 0 and < 1; got {self.trace}")
        check_range("every", self.every, low=1)
        self._check_together()

    def _check_together(self) -> None:
        """Refuses switches that make no sense together."""
        terms, constant = set(_names(self.terms)), set(_names(self.constant))
        if terms == {"lr"}:
            raise ArgumentError("terms: expected a term that '+lr' is the rate of; got '+lr' alone")
        if not constant <= terms:
            raise ArgumentError(f"constant: expected some of the terms {self.terms!r}; got {self.constant!r}")
        if not terms:
            for argument in ("modulation", "trace", "every", "normaliser", "fixed"):
                value = getattr(self, argument)
                if value != getattr(type(self), argument):
                    raise ArgumentError(f"{argument}: expected no such switch without terms; got {value!r}")
        if self.sharing != "synapse" and not self.shared:
            raise ArgumentError(f"sharing: expected 'synapse', as no terms evolve; got {self.sharing!r}")
        for argument, sharing in (("groups", "groups"), ("rank", "low-rank")):
            number = getattr(self, argument)
            if self.sharing == sharing:
                check_range(argument, number, low=1)
            elif number:
                raise ArgumentError(f"{argument}: expected 0, as sharing is not {sharing!r}; got {number}")

    @property
    def shared(self) -> tuple[str, ...]:
        """The terms that evolve: A, B, C, D, lr, decay, those of them that there are."""
        constant = _names(self.constant)
        return tuple(name for name in _names(self.terms) if name not in constant)

    def layout(self, inputs: int, outputs: int) -> Layout:
        """Those that there are of A, B, C, D, lr, decay, W, fixed, gain, each [O, I], and of mean, log_spread, []."""
        weights = {EVOLVED: {"W": (outputs, inputs)}, EVOLVED_NORMAL: {"mean": (), "log_spread": ()}}
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(self.shared, (outputs, inputs))
        shapes |= weights.get(self.initial, {})
        shapes |= dict.fromkeys(["fixed", "gain"] if self.fixed else [], (outputs, inputs))
        return Layout(tuple(shapes.items()))

    def birth(self, layer: Layer, coefficients: Mapping[str, Tensor], seeds: Sequence[int]) -> LivingLayer:
        arrays, place = dict(coefficients), (layer.name, layer.inputs, layer.outputs, seeds)
        if self.initial == EVOLVED:
            weights = arrays.pop("W")
        elif self.initial == EVOLVED_NORMAL:
            mean, log_spread = (arrays.pop(name).cpu() for name in ("mean", "log_spread"))
            weights = draw_normal(mean, log_spread, *place).to(layer.device, layer.dtype)
        else:
            weights = draw(self.initial, *place).to(layer.device, layer.dtype)
        options = {"modulated": self.modulation != "none", "trace": self.trace, "every": self.every}
        switches = layer.activation, self.normaliser, self.limit
        if layer.backend == "gpu":
            from neuroplastic.plastic.kernels import gpu

            arrays |= dict.fromkeys(_names(self.constant), 1.0)
            return gpu.HebbianLayer(weights, arrays, *switches, **options, storage=layer.coefficients)
        if layer.backend == "reference":
            from neuroplastic.plastic.kernels.reference import HebbianLayer
        else:
            from neuroplastic.plastic.kernels.cpu import HebbianLayer
        arrays |= dict.fromkeys(_names(self.constant), weights.new_ones(1).expand_as(weights))
        if layer.coefficients == "bfloat16":
            arrays = _rounded(arrays)
        return HebbianLayer(weights, arrays, *switches, **options)


def _rounded(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Coefficients with η multiplied in, rounded to bfloat16; others as they are."""
    rate = arrays.get("lr")
    terms = {name: array if rate is None else array * rate for name, array in arrays.items() if name in _TERM_NAMES}
    others = {name: array for name, array in arrays.items() if name not in (*_TERM_NAMES, "lr")}
    return others | {name: array.to(torch.bfloat16).to(array.dtype) for name, array in terms.items()}


def _names(terms: str) -> list[str]:
    """ "AD+lr" -> ["A", "D", "lr"]."""
    letters, *others = terms.split("+")
    return [*letters, *others]


def static(initial: str = EVOLVED) -> HebbianRule:
    """Weights that never change: the rule without terms. They evolve, unless drawn from another distribution.

    Raises:
        UnknownNameError: no such initial distribution.
    """
    return HebbianRule(terms="", initial=initial)
