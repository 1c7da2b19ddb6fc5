"""Networks whose weights change while they live."""

from collections.abc import Callable, Mapping

from neuroplastic.plastic.front import ConvolutionalFront, LivingFront
from neuroplastic.plastic.hebbian import HebbianRule, static
from neuroplastic.plastic.network import PlasticNetwork, Policy
from neuroplastic.plastic.published import PUBLISHED
from neuroplastic.plastic.rules import Layer, LivingLayer, Rule

# What `rule.name` of a recipe may say; the other keys of its section are the keyword arguments.
rules: Mapping[str, Callable[..., Rule]] = {"hebbian": HebbianRule} | {
    name: each.rule for name, each in PUBLISHED.items()
}

__all__ = [
    "PUBLISHED",
    "ConvolutionalFront",
    "HebbianRule",
    "Layer",
    "LivingFront",
    "LivingLayer",
    "PlasticNetwork",
    "Policy",
    "Rule",
    "rules",
    "static",
]
