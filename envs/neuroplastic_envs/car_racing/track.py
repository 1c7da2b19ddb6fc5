"""Tracks: closed roads of convex tiles, the very ones that Gymnasium's CarRacing-v3 makes from the same random numbers.

A pen walks from one checkpoint of a morphed circle to the next with a limited turn rate, several times around; the last
whole lap is the track.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

SCALE = 6.0
RADIUS = 900 / SCALE  # of the circle that is morphed
STEP = 21 / SCALE  # that the pen makes, and so the length of a tile
TURN_RATE = 0.31  # most that it turns in a step (rad)
HALF_WIDTH = 40 / SCALE  # of the road
KERB_WIDTH = 8 / SCALE
KERB_TILES = 4  # hard turns in a row that make a kerb
CHECKPOINTS = 12
LONGEST = 2500  # steps of the pen
LAPS = 4  # it stops after these, and the one it is in
NO_KERB, WHITE, RED = 0, 1, 2
CACHED = 256  # tracks, of about 60 kB each


class Track(NamedTuple):
    """A closed road of T tiles: tile i lies between points i - 1 and i. Lengths in the world's units, angles in rad.

    Attributes:
        points: [T, 4] float64, angle around the origin, heading of the road, x, y.
        tiles: [T, 4, 2] float64, corners of the road's quadrilaterals: left and right at point i, then right and left
            at point i - 1.
        borders: [T, 4, 2] float64, corners of the kerbs; zero where there is none.
        kerb: [T] uint8, NO_KERB, WHITE or RED.
        shade: [T] uint8, which of three shades of the road's colour a tile has before it is touched.
        shapes: [T, 4, 2] float32, the tiles as Box2D holds them: convex hulls, counterclockwise from their rightmost
            corner. A hull of three corners has its last one twice.
        circles: [T, 3] float32, center x, y and radius of a circle around each tile.
    """

    points: NDArray[np.float64]
    tiles: NDArray[np.float64]
    borders: NDArray[np.float64]
    kerb: NDArray[np.uint8]
    shade: NDArray[np.uint8]
    shapes: NDArray[np.float32]
    circles: NDArray[np.float32]


def make_track(np_random: np.random.Generator) -> Track:
    """Draws until the road closes: 24 numbers an attempt. Its arrays are shared and must not be changed."""
    while True:
        track = _track_of(np_random.random(2 * CHECKPOINTS).tobytes())
        if track is not None:
            return track


@lru_cache(CACHED)
def _track_of(numbers: bytes) -> Track | None:
    """The track that 24 random numbers in [0, 1) make, None if it does not close."""
    points = _walk(np.frombuffer(numbers))
    if not len(points):
        return None
    track = Track(points, *_lay(points))
    for array in track:
        array.flags.writeable = False
    return track


@compiled
def _walk(numbers):
    """The points [T, 4] of the track; T = 0 if it does not close."""
    goals = np.empty((CHECKPOINTS, 3))
    for number in range(CHECKPOINTS):
        noise = 2 * math.pi * 1 / CHECKPOINTS * numbers[2 * number]
        alpha = 2 * math.pi * number / CHECKPOINTS + noise
        radius = RADIUS / 3 + (RADIUS - RADIUS / 3) * numbers[2 * number + 1]
        if number == 0:
            alpha, radius = 0.0, 1.5 * RADIUS
        if number == CHECKPOINTS - 1:
            alpha, radius = 2 * math.pi * number / CHECKPOINTS, 1.5 * RADIUS
        goals[number, 0] = alpha
        goals[number, 1], goals[number, 2] = radius * math.cos(alpha), radius * math.sin(alpha)

    path = np.empty((LONGEST, 4))
    length = 0
    x, y, beta = 1.5 * RADIUS, 0.0, 0.0
    goal = laps = 0
    other_side = False
    while length < LONGEST and laps <= LAPS:
        alpha = math.atan2(y, x)
        if other_side and alpha > 0:
            laps += 1
            other_side = False
        if alpha < 0:
            other_side = True
            alpha += 2 * math.pi
        while alpha > goals[goal, 0]:
            goal += 1
            if goal == CHECKPOINTS:
                goal = 0
                alpha -= 2 * math.pi

        cos, sin = math.cos(beta), math.sin(beta)
        off = cos * (goals[goal, 1] - x) + sin * (goals[goal, 2] - y)
        while beta - alpha > 1.5 * math.pi:
            beta -= 2 * math.pi
        while beta - alpha < -1.5 * math.pi:
            beta += 2 * math.pi
        before = beta
        off *= SCALE
        if off > 0.3:
            beta -= min(TURN_RATE, abs(0.001 * off))
        if off < -0.3:
            beta += min(TURN_RATE, abs(0.001 * off))
        x += -sin * STEP
        y += cos * STEP
        path[length, 0], path[length, 1] = alpha, before * 0.5 + beta * 0.5
        path[length, 2], path[length, 3] = x, y
        length += 1
    return _last_lap(path[:length])


@compiled
def _last_lap(path):
    start = 2 * math.pi * (-0.5) / CHECKPOINTS
    first = last = -1
    for number in range(len(path) - 1, 0, -1):
        if path[number, 0] > start and path[number - 1, 0] <= start:
            if last >= 0:
                first = number
                break
            last = number
    if first < 0:
        return path[:0].copy()
    lap = path[first : last - 1]
    along = math.cos(lap[0, 1]) * (lap[0, 2] - lap[-1, 2])
    aside = math.sin(lap[0, 1]) * (lap[0, 3] - lap[-1, 3])
    if math.sqrt(along * along + aside * aside) > STEP:
        return path[:0].copy()
    return lap.copy()


@compiled
def _lay(points):
    """Everything else of a `Track`, in its order."""
    count = len(points)
    tiles, borders = np.empty((count, 4, 2)), np.zeros((count, 4, 2))
    kerb, shade = _kerbs(points), np.empty(count, np.uint8)
    shapes, circles = np.empty((count, 4, 2), np.float32), np.empty((count, 3), np.float32)
    cos1, sin1 = math.cos(points[-1, 1]), math.sin(points[-1, 1])
    for i in range(count):
        shade[i] = i % 3
        cos0, sin0 = cos1, sin1
        x0, y0, x1, y1 = points[i - 1, 2], points[i - 1, 3], points[i, 2], points[i, 3]
        cos1, sin1 = math.cos(points[i, 1]), math.sin(points[i, 1])
        _span(tiles, i, x0, y0, x1, y1, cos0, sin0, cos1, sin1, -HALF_WIDTH, HALF_WIDTH)
        if kerb[i]:
            side = np.sign(points[i - 1, 1] - points[i, 1])
            outer = side * (HALF_WIDTH + KERB_WIDTH)
            _span(borders, i, x0, y0, x1, y1, cos0, sin0, cos1, sin1, side * HALF_WIDTH, outer)
        _wrap(tiles, i, shapes)
        _enclose(shapes, i, circles)
    return tiles, borders, kerb, shade, shapes, circles


@compiled
def _span(quads, i, x0, y0, x1, y1, cos0, sin0, cos1, sin1, near, far):
    """Quadrilateral i, between two points of the track and two distances to their right."""
    quads[i, 0, 0], quads[i, 0, 1] = x1 + near * cos1, y1 + near * sin1
    quads[i, 1, 0], quads[i, 1, 1] = x1 + far * cos1, y1 + far * sin1
    quads[i, 2, 0], quads[i, 2, 1] = x0 + far * cos0, y0 + far * sin0
    quads[i, 3, 0], quads[i, 3, 1] = x0 + near * cos0, y0 + near * sin0


@compiled
def _kerbs(points):
    """[T] the kerbs: where four tiles in a row turn hard to the same side, and at the four before the last of them."""
    count = len(points)
    turns = np.empty(count, np.int8)  # hard ones: 1 to the left, -1 to the right
    for i in range(count):
        turn = points[i, 1] - points[i - 1, 1]
        turns[i] = np.sign(turn) if abs(turn) > TURN_RATE * 0.2 else 0
    hard = np.empty(count, np.bool_)
    for i in range(count):
        side = 0
        for back in range(KERB_TILES):
            side += turns[i - back]
        hard[i] = abs(side) == KERB_TILES
    for i in range(count):
        for back in range(KERB_TILES):
            hard[i - back] |= hard[i]
    kerb = np.empty(count, np.uint8)
    for i in range(count):
        kerb[i] = (WHITE if i % 2 == 0 else RED) if hard[i] else NO_KERB
    return kerb


@compiled
def _wrap(tiles, tile, shapes):
    """The convex hull of a tile's corners in single precision, by gift wrapping in the order in which Box2D does it."""
    first = 0
    for i in range(1, 4):
        x, y, best = np.float32(tiles[tile, i, 0]), np.float32(tiles[tile, i, 1]), np.float32(tiles[tile, first, 0])
        if x > best or (x == best and y < np.float32(tiles[tile, first, 1])):
            first = i
    at, corner = first, 0
    while corner < 4:
        x, y = np.float32(tiles[tile, at, 0]), np.float32(tiles[tile, at, 1])
        shapes[tile, corner, 0], shapes[tile, corner, 1] = x, y
        corner += 1
        following = 0
        ax, ay = np.float32(tiles[tile, 0, 0]) - x, np.float32(tiles[tile, 0, 1]) - y
        for i in range(1, 4):
            bx, by = np.float32(tiles[tile, i, 0]) - x, np.float32(tiles[tile, i, 1]) - y
            cross = ax * by - ay * bx
            farther = bx * bx + by * by > ax * ax + ay * ay
            if following == at or cross < 0 or (cross == 0 and farther):
                following, ax, ay = i, bx, by
        at = following
        if at == first:
            break
    for spare in range(corner, 4):
        shapes[tile, spare, 0], shapes[tile, spare, 1] = shapes[tile, corner - 1, 0], shapes[tile, corner - 1, 1]


@compiled
def _enclose(shapes, tile, circles):
    x, y = np.float32(0), np.float32(0)
    for i in range(4):
        x += shapes[tile, i, 0] / np.float32(4)
        y += shapes[tile, i, 1] / np.float32(4)
    square = np.float32(0)
    for i in range(4):
        dx, dy = shapes[tile, i, 0] - x, shapes[tile, i, 1] - y
        square = max(square, dx * dx + dy * dy)
    circles[tile, 0], circles[tile, 1], circles[tile, 2] = x, y, math.sqrt(square)
