"""Fronts to test with: the paper's and a small one with their pictures, others of any size, and fresh filters."""

import math

import torch
from hypothesis import strategies as st

from neuroplastic.plastic import ConvolutionalFront

PAPER, PICTURE = ConvolutionalFront(), (84, 84, 3)
SMALL, SMALL_PICTURE = ConvolutionalFront([2, 3], [2, 3], [1, 2], [2, 1]), (13, 12, 2)


def random_filters(front, picture, rows, generator, dtype=torch.float32):
    """Filters that float32 holds exactly, and whose sums are about as large as 1."""
    shapes = front.layout(picture).shapes
    return {
        name: (torch.randn(rows, *shape, generator=generator) / math.sqrt(math.prod(shape[1:]))).to(dtype)
        for name, shape in shapes
    }


@st.composite
def fronts(draw, most, beyond):
    """A front of one or two stages, and the shape of pictures [H, W, C] that are large enough for it; C is 4 at most.

    Args:
        most: channels, kernel, stride and pool of a stage.
        beyond: lines and columns of a picture at most, more than the front needs.
    """
    stage = st.tuples(*(st.integers(1, largest) for largest in most))
    lists = list(zip(*draw(st.lists(stage, min_size=1, max_size=2)), strict=True))
    front = ConvolutionalFront(*lists)
    smallest = 1
    for _, kernel, stride, pool in reversed(list(zip(*lists, strict=True))):
        smallest = kernel + stride * (pool * smallest - 1)
    height, width = (smallest + draw(st.integers(0, beyond)) for _ in range(2))
    return front, (height, width, draw(st.integers(1, 4)))
