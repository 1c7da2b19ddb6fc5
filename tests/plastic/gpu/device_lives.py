"""What tests of lives on a GPU share: where they compute, and the layers and samples that they compute with.

Without a GPU, Triton's interpreter runs the kernels on the CPU.
"""

import itertools

import numpy as np
import pytest
import torch

from neuroplastic.genome import Sample
from neuroplastic.noise import perturbed
from neuroplastic.plastic import ConvolutionalFront
from neuroplastic.plastic.kernels.gpu import HebbianLayer

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
needs_a_gpu = pytest.mark.skipif(not CUDA, reason="needs a GPU")

LIMIT = 0.3
TERMS = ("A", "B", "C", "D", "decay")
TWO_BLOCKS = (13, 130)  # inputs and outputs of a layer whose lives take two programs, the second of them two units
OPTIONS = [
    {"modulated": modulated, "trace": trace, "every": every}
    for modulated, trace, every in itertools.product([False, True], [0.0, 0.7], [1, 2])
]
FRONT, PICTURE = ConvolutionalFront([2], [3], [2], [2]), (6, 9, 1)


def random_layer(names, rows, inputs, outputs, generator, fixed=False):
    """Weights and coefficients in float64 that float32 holds exactly."""

    def draw(scale):
        return (scale * torch.randn(rows, outputs, inputs, generator=generator)).double()

    weights, coefficients = draw(0.3), {name: draw(0.1) for name in names}
    if "decay" in coefficients:
        coefficients["decay"].abs_()  # a decay below 0 is growth
    return weights, coefficients | ({"fixed": draw(0.3), "gain": draw(1.0)} if fixed else {})


def on_device(weights, coefficients, *switches, **options):
    """A layer of the device; coefficients that are 1 at every synapse are so by name."""
    ones = {name for name, array in coefficients.items() if name in (*TERMS, "lr") and bool((array == 1).all())}
    arrays = {name: 1.0 if name in ones else array.float().to(DEVICE) for name, array in coefficients.items()}
    return HebbianLayer(weights.float().to(DEVICE), arrays, *switches, **options)


def lay(*numbers):
    """Numbers as a layer of the device takes them."""
    return [number.to(DEVICE, torch.float32 if number.is_floating_point() else number.dtype) for number in numbers]


def sampled(network, streams, generator, sigma=0.1):
    """Members of these streams around a fresh center, of one sign and the other in turn."""
    center = 0.1 * torch.randn(network.layout.size, generator=generator)
    signs = np.array([1, -1] * len(streams), np.int8)[: len(streams)]
    return Sample(center, sigma, np.array(streams, np.uint64), signs)


def rows_of(sample):
    """The genomes that a sample stands for [members, D]."""
    return perturbed(sample.center, sample.sigma, sample.streams, sample.signs)
