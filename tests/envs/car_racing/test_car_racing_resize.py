"""What else than the picture a driver may see is made of it by area, or as Gymnasium makes it."""

import numpy as np
from neuroplastic_envs.car_racing import resize


def area_weights(large, small):
    """[small, large] how much of each large pixel is in a small one, as a part of the latter."""
    ratio = large / small
    edges = np.arange(small + 1) * ratio
    low, high = np.maximum.outer(edges[:-1], np.arange(large)), np.minimum.outer(edges[1:], np.arange(large) + 1)
    return np.maximum(high - low, 0) / ratio


def test_the_papers_input_is_the_picture_resized_by_area(rng):
    large = rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)
    small = np.zeros((resize.PAPER, resize.PAPER, 3), np.float32)
    resize.paper(large, small)
    weights = area_weights(96, resize.PAPER)
    expected = np.einsum("ri,cj,ijk->rck", weights, weights, large.astype(float)) / 255
    np.testing.assert_allclose(small, expected, rtol=0, atol=1e-7)


def test_grey_is_gymnasiums(rng):
    large = rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)
    light = np.zeros((96, 96), np.uint8)
    resize.grey(large, light)
    expected = np.sum(np.multiply(large, np.array([0.2125, 0.7154, 0.0721])), axis=-1)
    assert np.abs(light - np.floor(expected)).max() <= 1
    assert (light == expected.astype(np.uint8)).mean() > 0.999
