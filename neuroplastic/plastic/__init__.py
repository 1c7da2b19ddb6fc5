"""Networks whose weights change while they live."""

from collections.abc import Callable

from neuroplastic.plastic.front import ConvolutionalFront, LivingFront
from neuroplastic.plastic.hebbian import HebbianRule, static
from neuroplastic.plastic.network import PlasticNetwork, Policy
from neuroplastic.plastic.rules import Layer, LivingLayer, Rule

# What `rule.name` of a recipe may say; the other keys of its section are the keyword arguments.
rules: dict[str, Callable[..., Rule]] = {"hebbian": HebbianRule, "static": static}

__all__ = [
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
