"""Where the world is in a picture.

A picture [R, C, 3] has any size. The **window** is what the stock environment draws before it shrinks it: its
coordinates are pixels, y upwards, with the car at (CAR_X, CAR_Y), looking up. Its bottom is the bar.
"""

import math
from typing import NamedTuple

from .compiled import compiled
from .view import HULL, TIME

WINDOW_WIDTH, WINDOW_HEIGHT, BAR = 1000, 800, 100
CAR_X, CAR_Y = 500, 200
FAR, NEAR = 0.6, 16.2  # window pixels per unit at the start, and from 1 s on


class Camera(NamedTuple):
    """Which part of a picture shows what of the world."""

    top: int  # first row and column of the part
    left: int
    rows: int
    columns: int
    down: float  # pixels of the picture in one of the window
    across: float
    x: float  # of the car
    y: float
    cos: float  # of the angle by which the window shows the world turned, times zoom
    sin: float
    zoom: float  # window pixels per unit


@compiled
def camera_of(view, picture):
    """Of all that a picture [R, C, 3] shows above its bar."""
    rows, columns, _ = picture.shape
    zoom = FAR * max(1 - view[TIME], 0.0) + NEAR * min(view[TIME], 1.0)
    return Camera(
        0,
        0,
        rows - rows * BAR // WINDOW_HEIGHT,
        columns,
        rows / WINDOW_HEIGHT,
        columns / WINDOW_WIDTH,
        view[HULL],
        view[HULL + 1],
        zoom * math.cos(view[HULL + 2]),
        zoom * math.sin(view[HULL + 2]),
        zoom,
    )


@compiled
def in_window(x, y, camera):
    """Where the window shows a point of the world."""
    east, north = x - camera.x, y - camera.y
    return CAR_X + camera.cos * east + camera.sin * north, CAR_Y + camera.cos * north - camera.sin * east
