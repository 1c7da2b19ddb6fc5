"""The ground: a background with square patches of grass, half as wide as their period.

How much of a pixel is patch is the product of how much it is along each axis of the world. Places along an axis are
counted in 2^32 parts of the period from the middle of a patch, so that they wrap by themselves.
"""

import math
from typing import NamedTuple

import numpy as np

from .camera import CAR_X, CAR_Y, WINDOW_HEIGHT
from .compiled import compiled
from .view import PLAYFIELD

PERIOD = 2 * PLAYFIELD / 20
SWELL = 0.5  # window pixels by which the stock's patches are larger on each side
PARTS = 2.0**32


class Ramp(NamedTuple):
    """How much of a pixel is patch along one axis, as it falls with its distance."""

    middle: np.float32  # from what
    steep: np.float32  # how fast
    least: np.float32
    most: np.float32


class Ground(NamedTuple):
    """Where the pattern is in a picture: parts of the period, along both axes."""

    u: np.int64  # of the first pixel
    v: np.int64
    u_down: np.int64  # from a row to the next
    v_down: np.int64
    ramp_u: Ramp
    ramp_v: Ramp


@compiled
def lay_ground(camera, along):
    """Finds the pattern, and how far each column is along both axes from the first one: ``along`` [2, C] int32."""
    _, _, _, columns, down, across, x, y, cos, sin, zoom = camera
    period = PERIOD * zoom * zoom  # cos and sin are longer, too
    u_across, v_across = cos / (period * across), sin / (period * across)
    u_down, v_down = sin / (period * down), -cos / (period * down)
    patch = 0.5 + 2 * SWELL * max(abs(cos), abs(sin)) / period
    right, below = 0.5 - CAR_X * across, 0.5 - (WINDOW_HEIGHT - CAR_Y) * down  # from the car to the first pixel
    u = x / PERIOD - 0.25 + right * u_across + below * u_down
    v = y / PERIOD - 0.25 + right * v_across + below * v_down
    for column in range(columns):
        along[0, column] = np.int32(np.int64(column * u_across * PARTS))
        along[1, column] = np.int32(np.int64(column * v_across * PARTS))
    return Ground(
        np.int64(u * PARTS),
        np.int64(v * PARTS),
        np.int64(u_down * PARTS),
        np.int64(v_down * PARTS),
        _ramp(patch, math.hypot(u_across, u_down)),
        _ramp(patch, math.hypot(v_across, v_down)),
    )


@compiled
def _ramp(patch, span):
    """For patches this wide and pixels that span so much, both in periods."""
    return Ramp(
        np.float32((patch / span + 1) / 2),
        np.float32(1 / span / PARTS),
        np.float32(max(1 - (1 - patch) / span, 0.0)),
        np.float32(min(patch / span, 1.0)),
    )


@compiled
def add_grass(row, ground, along, more, shift, pixels):
    """Adds patches to a row of packed pixels [C], ``more`` of the channel that begins at the bit ``shift``."""
    u, v = np.int32(ground.u + row * ground.u_down), np.int32(ground.v + row * ground.v_down)
    middle_u, steep_u, least_u, most_u = ground.ramp_u
    middle_v, steep_v, least_v, most_v = ground.ramp_v
    half = np.float32(0.5)
    for column in range(len(pixels)):
        a = abs(np.float32(np.int32(u + along[0, column])))
        b = abs(np.float32(np.int32(v + along[1, column])))
        patch = min(max(middle_u - a * steep_u, least_u), most_u) * min(max(middle_v - b * steep_v, least_v), most_v)
        pixels[column] += np.uint32(np.int32(patch * more + half) << shift)
