"""The ABCD rules of Najarro & Risi 2020, "Meta-Learning through Hebbian Plasticity in Random Networks"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.genome import Layout
from neuroplastic.plastic.initial import DISTRIBUTIONS, EVOLVED, draw
from neuroplastic.plastic.kernels import NORMALISERS
from neuroplastic.plastic.rules import Layer, LivingLayer, Rule

_TERMS = re.compile(r"(A?B?C?D?)(\+lr)?")


@dataclass(frozen=True)
class HebbianRule(Rule):
    """Δw_ij = η_ij (A_ij o_i o_j + B_ij o_i + C_ij o_j + D_ij), eq. 1: i is pre-, j post-synaptic.

    Every synapse has its own coefficients. In each step the layer first computes o_j with its old weights, then the
    weights change by the rule, then they are normalised.

    Attributes:
        terms: the coefficients that evolve, in this order: any of A, B, C, D, then "+lr" for η (without it, η = 1).
            With none of A, B, C, D the weights are static.
        normaliser: after every update, "max" divides a layer's weights by the largest |w|; "row" divides the weights
            into each unit by their L2 norm; "clip" clamps each to ±limit; "none" leaves them.
        limit: of "clip".
        initial: weights at birth: one of `initial.DISTRIBUTIONS`, drawn anew from each life's seed, or "evolved".

    Raises:
        ArgumentError: terms cannot be read, or limit is not above 0.
        UnknownNameError: no such normaliser or initial distribution.
    """

    terms: str = "ABCD+lr"
    normaliser: str = "none"
    limit: float = 1.0
    initial: str = "uniform"

    def __post_init__(self) -> None:
        if not _TERMS.fullmatch(self.terms):
            raise ArgumentError(
                f"terms: expected some of 'ABCD' in this order, and '+lr' or not, as in 'AD+lr'; got {self.terms!r}"
            )
        check_name("normaliser", self.normaliser, NORMALISERS)
        check_range("limit", self.limit, low=0, above=True)
        check_name("initial", self.initial, [*DISTRIBUTIONS, EVOLVED])

    def layout(self, inputs: int, outputs: int) -> Layout:
        """The arrays A, B, C, D, lr, W, those of them that evolve, each [O, I]."""
        letters, _, rate = self.terms.partition("+")
        names = [*letters, *filter(None, [rate]), *(["W"] if self.initial == EVOLVED else [])]
        return Layout(tuple((name, (outputs, inputs)) for name in names))

    def birth(self, layer: Layer, coefficients: Mapping[str, Tensor], seeds: Sequence[int]) -> LivingLayer:
        if layer.backend == "reference":
            from neuroplastic.plastic.kernels.reference import HebbianLayer
        else:
            from neuroplastic.plastic.kernels.cpu import HebbianLayer
        coefficients = dict(coefficients)
        weights = coefficients.pop("W", None)
        if weights is None:
            weights = draw(self.initial, layer.name, layer.inputs, layer.outputs, seeds).to(layer.dtype)
        return HebbianLayer(weights, coefficients, layer.activation, self.normaliser, self.limit)


def static(initial: str = EVOLVED) -> HebbianRule:
    """Weights that never change: the rule without terms. They evolve, unless drawn from another distribution.

    Raises:
        UnknownNameError: no such initial distribution.
    """
    return HebbianRule(terms="", initial=initial)
