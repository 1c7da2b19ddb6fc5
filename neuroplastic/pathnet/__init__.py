"""A super-network, and the paths that go through it."""

from neuroplastic.pathnet.descent import Descent
from neuroplastic.pathnet.history import PathHistory
from neuroplastic.pathnet.modules import Convolution, Identity, Linear, Module
from neuroplastic.pathnet.network import Block, Subnetwork, SuperNetwork, Tensors
from neuroplastic.pathnet.path import active, overlap, random_paths

__all__ = [
    "Block",
    "Convolution",
    "Descent",
    "Identity",
    "Linear",
    "Module",
    "PathHistory",
    "Subnetwork",
    "SuperNetwork",
    "Tensors",
    "active",
    "overlap",
    "random_paths",
]
