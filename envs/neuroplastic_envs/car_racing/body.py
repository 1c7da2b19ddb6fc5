"""The car in a picture: a red hull above four black wheels, on which a stripe shows how they turn."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .camera import CAR_X, CAR_Y, WINDOW_HEIGHT, WINDOW_WIDTH, Camera, in_window
from .compiled import compiled
from .coverage import LANE, OFFSET, WHOLE, WHOLE_BITS
from .outline import add_line
from .shrink import shrunk
from .tiles import SIZE
from .view import WHEEL

ROWS, COLUMNS = 104, 88  # window pixels around the hull within which the car lies

# The right side of the hull, all of it counterclockwise, and where it hides the rear wheels.
FRONT = [(60, 130), (60, 110), (15.5, 110), (20, 20)]
REAR = [(25, 20), (50, -10), (50, -40), (20, -90), (50, -90), (50, -120)]
OUTLINE = SIZE * np.array([(-x, y) for x, y in FRONT + REAR] + (FRONT + REAR)[::-1])
HIDDEN_LEFT = SIZE * np.array([(-41, -90), (-50, -90), (-50, -109), (-41, -109)])
HIDDEN_RIGHT = SIZE * np.array([(50, -90), (41, -90), (41, -109), (50, -109)])
WHEEL_X, WHEEL_Y = 14 * SIZE, 27 * SIZE  # half a wheel
STRIPE_ANGLE = 1.2  # rad of a wheel that are lighter
HULL_RED, STRIPE_GREY = 204, 77

SWELL = 0.5  # window pixels by which the stock's edges swell if they are straight
TIRE_SLANTED, STRIPE_SLANTED = 0.0, 1.0  # and if they are not, which depends on the corner at which it starts
TIRE, STRIPE, HULL = 1, 1 << LANE, 1 << 2 * LANE  # what covers a pixel
BARE = OFFSET | OFFSET << LANE | OFFSET << 2 * LANE


class Body(NamedTuple):
    """Working memory for the car in the rows R and the columns C of a picture that are near it."""

    cover: NDArray[np.int64]  # [R, C + 1] 0 between pictures
    hull: NDArray[np.int64]  # [R, C + 1] what the hull adds to it
    spans: NDArray[np.int64]  # [R, 2]
    zoom: NDArray[np.float64]  # [1] of the hull


def body(rows: int, columns: int) -> Body:
    """For pictures of this size."""
    height = math.ceil(ROWS * rows / WINDOW_HEIGHT) + 1
    width = math.ceil(COLUMNS * columns / WINDOW_WIDTH) + 1
    return Body(
        cover=np.zeros((height, width + 1), np.int64),
        hull=np.zeros((height, width + 1), np.int64),
        spans=np.zeros((height, 2), np.int64),
        zoom=np.zeros(1),
    )


@compiled
def draw_car(view, camera, body, picture):
    """Draws a car over the world."""
    cover, hull, spans, zoom = body
    near = _near_the_car(camera, cover)
    if zoom[0] != camera.zoom:
        hull[:] = 0
        _add_hull(near, hull, spans)
        zoom[0] = camera.zoom
    for wheel in range(4):
        _add_wheel(view, WHEEL + 4 * wheel, near, cover, spans)
    for row in range(near.rows):
        word = BARE
        for column in range(near.columns):
            word += cover[row, column] + hull[row, column]
            cover[row, column] = 0
            if word != BARE:
                _cover_pixel(word, near.top + row, near.left + column, picture)
        cover[row, near.columns] = 0


@compiled
def _near_the_car(camera, cover):
    """What shows the car alone."""
    return Camera(
        math.floor((WINDOW_HEIGHT - CAR_Y - ROWS // 2) * camera.down),
        math.floor((CAR_X - COLUMNS // 2) * camera.across),
        cover.shape[0],
        cover.shape[1] - 1,
        camera.down,
        camera.across,
        camera.x,
        camera.y,
        camera.cos,
        camera.sin,
        camera.zoom,
    )


@compiled
def _add_hull(camera, cover, spans):
    """Covers the hull, which always looks up, and so is the same for a zoom."""
    _add_part_of_hull(OUTLINE, HULL, camera, cover, spans)
    _add_part_of_hull(HIDDEN_LEFT, -TIRE, camera, cover, spans)
    _add_part_of_hull(HIDDEN_RIGHT, -TIRE, camera, cover, spans)


@compiled
def _add_part_of_hull(polygon, value, camera, cover, spans):
    """Covers a polygon [K, 2] around the car; where an edge is flat its two corners move up or down."""
    xs, ys = np.empty(len(polygon)), np.empty(len(polygon))
    for i in range(len(polygon)):
        x, y = polygon[i]
        flat = polygon[i - 1, 0] - x if polygon[i - 1, 1] == y else 0.0
        after = (i + 1) % len(polygon)
        flat = x - polygon[after, 0] if polygon[after, 1] == y else flat
        xs[i], ys[i] = int(CAR_X + camera.zoom * x), int(CAR_Y + camera.zoom * y) + SWELL * np.sign(flat)
    for i in range(len(polygon)):
        out = SWELL * np.sign(ys[i] - ys[i - 1]) if xs[i] == xs[i - 1] else 0.0
        add_line(xs[i - 1] + out, ys[i - 1], xs[i] + out, ys[i], value, camera, cover, spans)


@compiled
def _add_wheel(view, wheel, camera, cover, spans):
    """Covers a wheel, and the part of its stripe that is on its upper side."""
    x, y, angle, phase = view[wheel], view[wheel + 1], view[wheel + 2], view[wheel + 3]
    cos, sin = math.cos(angle), math.sin(angle)
    front = _across_wheel(x, y, cos, sin, 1.0, camera)
    back = _across_wheel(x, y, cos, sin, -1.0, camera)
    _add_part(front, back, TIRE, TIRE_SLANTED, camera, cover, spans)
    start, stop = math.cos(phase), math.cos(phase + STRIPE_ANGLE)
    hidden, hidden_after = math.sin(phase) > 0, math.sin(phase + STRIPE_ANGLE) > 0
    if not (hidden and hidden_after):
        start = np.sign(start) if hidden else start
        stop = np.sign(stop) if hidden_after else stop
        front = _across_wheel(x, y, cos, sin, max(start, stop), camera)
        back = _across_wheel(x, y, cos, sin, min(start, stop), camera)
        _add_part(front, back, STRIPE, STRIPE_SLANTED, camera, cover, spans)


@compiled
def _across_wheel(x, y, cos, sin, ahead, camera):
    """The left and the right end of a line across a wheel, in the window; ahead is 1 at its front."""
    x, y = x - sin * ahead * WHEEL_Y, y + cos * ahead * WHEEL_Y
    left, up = in_window(x - cos * WHEEL_X, y - sin * WHEEL_X, camera)
    right, right_up = in_window(x + cos * WHEEL_X, y + sin * WHEEL_X, camera)
    return float(int(left)), float(int(up)), float(int(right)), float(int(right_up))


@compiled
def _add_part(front, back, value, slanted, camera, cover, spans):
    """Covers what is between two lines across a wheel."""
    x0, y0, x1, y1 = front[0], front[1] + SWELL, front[2], front[3] + SWELL
    x2, y2, x3, y3 = back[0], back[1] - SWELL, back[2], back[3] - SWELL
    left, right = SWELL if x0 == x2 else slanted, SWELL if x1 == x3 else slanted
    x0, x1, x2, x3 = x0 - left, x1 + right, x2 - left, x3 + right
    add_line(x0, y0, x2, y2, value, camera, cover, spans)
    add_line(x2, y2, x3, y3, value, camera, cover, spans)
    add_line(x3, y3, x1, y1, value, camera, cover, spans)
    add_line(x1, y1, x0, y0, value, camera, cover, spans)


@compiled
def _cover_pixel(word, row, column, picture):
    """Puts the hull above the stripe above the tire."""
    hull = min(max((word >> 2 * LANE) - OFFSET, 0), WHOLE)
    wheel = min(max((word & (1 << LANE) - 1) - OFFSET, 0), WHOLE - hull)
    stripe = min(max((word >> LANE & (1 << LANE) - 1) - OFFSET, 0), wheel)
    bare, grey = WHOLE - hull - wheel, stripe * shrunk(STRIPE_GREY) + WHOLE // 2
    for channel in range(3):
        red = hull * shrunk(HULL_RED) if channel == 0 else 0
        picture[row, column, channel] = np.uint8(bare * picture[row, column, channel] + red + grey >> WHOLE_BITS)
