"""What polygons cover of pixels is their area, and nothing beyond them."""

import math
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from neuroplastic_envs.car_racing.camera import Camera
from neuroplastic_envs.car_racing.coverage import GROUND, LANE, OFFSET, PLAIN, RED, WHOLE, add_edge
from neuroplastic_envs.car_racing.outline import add_line

PLACES = st.tuples(st.integers(-300, 1300), st.integers(-100, 1000))
SHORT = st.integers(-3, 60)


class Painted(NamedTuple):
    part: np.ndarray  # [84, 96] of a pixel that is covered; below 0 where a polygon is inside out
    changed: np.ndarray  # [84, 97] where differences are kept
    spans: np.ndarray  # [84, 2] where they may be


def painted(corners):
    """What a quadrilateral [4, 2] in the window becomes in a picture of 96 × 96 pixels."""
    camera = Camera(0, 0, 84, 96, 96 / 800, 96 / 1000, 0.0, 0.0, 1.0, 0.0, 1.0)
    cover, spans = np.zeros((84, 97), np.int64), np.tile([96, -1], (84, 1))
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        add_line(*np.array([*start, *end], float), 1 << LANE * RED, camera, cover, spans)
    words = GROUND + np.cumsum(cover, axis=1)[:, :96]
    parts = [(words >> LANE * kind & (1 << LANE) - 1) - OFFSET for kind in range(6)]
    assert not np.delete(parts, RED, axis=0).any()
    return Painted(parts[RED] / WHOLE, cover != 0, spans)


def extent(corners):
    """Left, right, top and bottom [4] in the window, of the middles of pixels."""
    (left, down), (right, up) = np.min(corners, axis=0), np.max(corners, axis=0)
    return left + 0.5, right + 0.5, 799.5 - up, 799.5 - down


@settings(deadline=None)
@given(st.lists(PLACES, min_size=4, max_size=4) | st.tuples(PLACES, *3 * [st.tuples(SHORT, SHORT)]))
def test_what_is_painted_stays_within_its_corners_extent(corners):
    """Any corners: also lines, points, and those that cross."""
    if all(abs(x) <= 60 and abs(y) <= 60 for x, y in corners[1:]):
        corners = [corners[0], *np.add(corners[1:], corners[0])]
    part, changed, spans = painted(corners)
    left, right, top, bottom = extent(corners)
    columns, rows = np.arange(96) * 1000 / 96, np.arange(84) * 800 / 96
    inside = (columns < right) & (columns + 1000 / 96 > left) & ((rows < bottom) & (rows + 800 / 96 > top))[:, None]
    assert not part[~inside].any()
    spanned = (np.arange(97) >= spans[:, :1]) & (np.arange(97) <= spans[:, 1:])
    assert not changed[~spanned].any()


@settings(deadline=None, max_examples=60)
@given(PLACES, st.floats(0, 2 * math.pi), st.integers(30, 400), st.integers(30, 400), st.floats(-0.3, 0.3))
def test_as_much_as_the_area(place, angle, length, width, bend):
    """Of a tile's shape, against 20 × 20 points in each pixel that no edge or one passes through."""
    east, north = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    shape = [(-1, -1 - bend), (1, -1), (1, 1), (-1, 1 + bend)]
    corners = np.trunc([place + a * length / 2 * east + b * width / 2 * north for a, b in shape])
    points, ends = (np.arange(84 * 20) + 0.5) / 20, np.arange(85)
    inside, passing = np.ones((84 * 20, 96 * 20), bool), np.zeros((84, 96), int)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        dx, dy = x1 - x0, y1 - y0

        def within(rows, columns, dx=dx, dy=dy, x0=x0, y0=y0):
            """Distance to an edge, in pixels of the window."""
            x, y = columns * 1000 / 96 - 0.5, 799.5 - rows[:, None] * 800 / 96
            return (dx * (y - y0) - dy * (x - x0)) / math.hypot(dx, dy)

        inside &= within(points, (np.arange(96 * 20) + 0.5) / 20) >= 0
        at_corners = within(ends, np.arange(97))
        four = np.stack([at_corners[:-1, :-1], at_corners[:-1, 1:], at_corners[1:, :-1], at_corners[1:, 1:]])
        passing += (four.min(axis=0) < 1) & (four.max(axis=0) > -1)
    area = inside.reshape(84, 20, 96, 20).mean(axis=(1, 3))
    wrong = abs(painted(corners).part - area)
    assert not wrong[passing == 0].any()
    # Half a step of the corners' heights and half one of the area, both at each end, and half a distance of points.
    assert (wrong[passing == 1] <= 1 / 128 + 1 / 128 + 1 / 40).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 150), st.integers(-5000, 15000)), min_size=3, max_size=6))
def test_an_edge_that_two_polygons_share_leaves_nothing(corners):
    """Gone along in both directions, it is not there: so tiles neither overlap nor leave a gap."""
    cover, spans = np.zeros((84, 97), np.int64), np.tile([96, -1], (84, 1))
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        add_edge(x0, y0, x1, y1, 1 << LANE * PLAIN, cover, spans)
        add_edge(x1, y1, x0, y0, 1 << LANE * PLAIN, cover, spans)
    assert not cover.any()
