"""Update rules that are found: small genomes, shared by all neurons and synapses, that say how networks learn.

>>> import numpy as np, torch
>>> rule, genome = back_propagation(0.05, output="tanh")
>>> networks = rule.birth(genome[None], [2, 8, 1], np.array([1, 2]))  # one genome, two networks
>>> x = torch.rand(1, 2, 64, 2, dtype=torch.float64) * 2 - 1
>>> targets = x[..., :1].sign()
>>> for _ in range(200):
...     networks = rule.learn(genome[None], networks, x, targets)
>>> bool((rule.predict(genome[None], networks, x).sign() == targets).double().mean() > 0.9)
True
"""

from neuroplastic.learned.agent import LearnedPolicy
from neuroplastic.learned.base import UpdateRule
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.descent import SGD, Adam
from neuroplastic.learned.known import back_propagation, hebb
from neuroplastic.learned.recall import Recall, frozen, hopfield
from neuroplastic.learned.scaling import Scaled

rules: dict[str, type[UpdateRule]] = {"blur": Blur, "sgd": SGD, "adam": Adam}
"""Name -> rule, by whose attributes a recipe can set it up."""

__all__ = [
    "SGD",
    "Adam",
    "Blur",
    "LearnedPolicy",
    "Recall",
    "Scaled",
    "UpdateRule",
    "back_propagation",
    "frozen",
    "hebb",
    "hopfield",
    "rules",
]
