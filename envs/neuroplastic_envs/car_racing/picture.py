"""What a driver sees: the picture of the stock environment, which draws 1000 × 800 pixels and shrinks them.

Everything compiled, and every constant in it, is in this file (the score's characters, which do not change, come from
``digits.py``): numba's cache does not see a change in another one.

A picture [R, C, 3] has any size. The stock's own is 96 × 96 (`SIZE`), and what people watch 400 × 600. The **window**
is what the stock draws before it shrinks it: its coordinates are pixels, y upwards, with the car at (500, 200). The
road is painted in the stock's order into 16 samples of every pixel of the picture. The grass is an exact average along
each axis; the car, the gauges and the score are averages of the stock's own window pixels.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .digits import ADVANCE, GLYPHS, HEIGHT, KERNING, MINUS, WIDTH

SIZE = 96  # rows and columns of the stock's observation
PAPER = 84  # rows and columns of what the paper's network sees

# What the picture needs to know of a car, ``view`` [VIEW].
TIME, SCORE = 0, 1  # s; the return so far as the bar shows it
HULL = 2  # x, y, angle of the body
SPEED, SPIN, STEER = 5, 6, 7  # units/s, rad/s, angle of the front left wheel's joint
OMEGA = 8  # [4] rad/s of the wheels
WHEEL = 12  # [4, 4] x, y, angle, phase of the wheels
VIEW = 28

ROAD, BACKGROUND, GRASS = 0, 1, 2  # rows of ``colors`` [3, 3], 0-255
SHADE = 0.01 * 255  # how much lighter every second and, twice, every third tile is until it is visited

WINDOW_WIDTH, WINDOW_HEIGHT, BAR = 1000, 800, 100  # pixels of the window; the bar is at its bottom
CAR_X, CAR_Y = 500, 200  # where the window shows the hull
FAR, NEAR = 0.6, 16.2  # window pixels per unit at the start, and from 1 s on
FINE = 2.5  # below, the world is drawn in twice as many rows and columns
PLAYFIELD = 2000 / 6  # the world is [-PLAYFIELD, PLAYFIELD]²
FIELD = PLAYFIELD * np.array([(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)])
PATCHES = 2 * PLAYFIELD / 20  # the period of the grass; patches are half as wide
REACH = 11.5  # no vertex of a tile or its kerb is farther from the tile's point

# What a sample shows: 3 bits each, the leftmost one first, in a pixel's word.
GROUND, TILE, WHITE, RED, BEYOND = 0, 1, 4, 5, 6  # TILE + its shade
SAMPLES = 16
EVERYWHERE = 0o1111111111111111  # times a value: all samples of a pixel show it
ALL = 7 * EVERYWHERE
RANK = 7 * np.arange(SAMPLES) % SAMPLES  # of each sample from the top: no two are equally high or equally far left
CHANNEL = 16  # bits of one in a sum of colours
LANES = 1 << 2 * CHANNEL | 1 << CHANNEL | 1

# An edge of a polygon as rows are painted from the top: columns of `Brush.edges` and `Brush.sides`.
CROSS, LEAN, SPREAD, SCALE = 0, 1, 2, 3  # column where it crosses a row's middle, per row; half of LEAN; to DISTANCES
DIRECTION, FLIP = 0, 1  # row of NEXT_TO_EDGE; ALL if the polygon lies to its left, else 0
DIRECTIONS, DISTANCES = 32, 64  # that the table tells apart
FAR_OFF = 1e9  # pixels


def _words(samples):
    """Words [...] in which these samples [..., SAMPLES] have all their bits."""
    return (samples * (7 << 3 * np.arange(SAMPLES))).sum(axis=-1)


def _next_to_edge():
    """Words [DIRECTIONS, DISTANCES] for the samples of a pixel that lie to the right of an edge.

    As many samples as the area there is of the pixel's, whatever the edge's direction: those farthest to the right.
    """
    number = (np.arange(DIRECTIONS) + 0.5) * 4 / DIRECTIONS - 2
    lean = np.where(abs(number) <= 1, number, np.sign(number) / (2 - abs(number)))
    right, down = np.array([np.ones(DIRECTIONS), -lean]) / np.maximum(abs(lean), 1)
    place = (np.arange(SAMPLES) + 0.5) / SAMPLES
    order = np.argsort(np.argsort(-np.outer(right, place) - np.outer(down, place[RANK])))
    distance = (np.arange(DISTANCES) + 0.5) * 2 / DISTANCES - 1  # of the pixel's middle
    p, q = right[:, None] / 2, abs(down[:, None]) / 2
    area = sum(i * j * np.maximum(distance + i * p + j * q, 0) ** 2 / (8 * p * q) for i in (-1, 1) for j in (-1, 1))
    return _words(order[:, None] < np.rint(SAMPLES * area)[..., None])


NEXT_TO_EDGE = _next_to_edge()
FROM_RANK = _words(np.arange(SAMPLES + 1)[:, None] <= RANK)  # [SAMPLES + 1] samples of at least this rank

# By how much the stock's polygons are larger than they should be, in window pixels: it fills both ends of a line, and
# draws a smooth outline around that.
SWELL, SWELL_FLAT = 0.6, 0.5  # sideways where an edge is steep, up and down where it is flat
BITS = 14  # behind the point, in the numbers with which pygame shrinks
ONE = 1 << BITS
LOSS = 2  # what shrinking takes from an even colour, by rounding down twice

CAR = 0.02  # units in a unit of the car's drawing
HULL_SIZES = np.array([4, 4, 8, 4])
HULL_SHAPES = CAR * np.array(
    [
        [(60, 110), (60, 130), (-60, 130), (-60, 110)] + 4 * [(0, 0)],
        [(20, 20), (15, 120), (-15, 120), (-20, 20)] + 4 * [(0, 0)],
        [(50, -40), (50, -10), (25, 20), (-25, 20), (-50, -10), (-50, -40), (-20, -90), (20, -90)],
        [(50, -120), (50, -90), (-50, -90), (-50, -120)] + 4 * [(0, 0)],
    ]
)
WHEEL_X, WHEEL_Y = CAR * 14, CAR * 27  # half a wheel
STRIPE = 1.2  # rad of a wheel that are lighter
HULL_RED, STRIPE_GREY = 204.0, 77.0
CAR_ROWS, CAR_COLUMNS = 104, 88  # window pixels around the hull within which the car lies

GAUGE, GAUGE_LEAST = 25, 1e-4  # width in window pixels; smaller values are not shown
SCORE_X, SCORE_Y = 60, 727  # the score's middle, and its upper end (y downwards)
SCORE_MARGIN = 3  # empty rows above the characters
INK = np.zeros((11, WIDTH + 1, HEIGHT), np.int64)  # sums over the columns before
INK[:, 1:] = np.cumsum(GLYPHS, axis=2, dtype=np.int64).swapaxes(1, 2)
ADVANCES = np.array(ADVANCE)

RIGHT_PARTS = (np.arange(3 * 7) // 3 + 1).astype(np.float32)  # of seven of the paper's pixels, three channels each
LEFT_PARTS = 8 - RIGHT_PARTS


class Scratch(NamedTuple):
    """Working memory for pictures of R rows and C columns; one for each thread."""

    samples: NDArray[np.int64]  # [2 R, 2 C] words; all GROUND between pictures
    painted: NDArray[
        np.int64
    ]  # [2 R, 2] from where to where a row's may be other than GROUND; nowhere between pictures
    finer: NDArray[np.uint8]  # [2 R, 2 C, 3] a picture of the world
    zoom: NDArray[np.float64]  # [1] for which the next two are
    hull: NDArray[np.int64]  # [CAR_ROWS, 2] first and last column
    hull_area: NDArray[np.float64]  # [rows, columns, 3] how much of a pixel is hull, red, grey


class Camera(NamedTuple):
    """What a picture of the world shows of it."""

    rows: int  # above the bar
    columns: int
    across: float  # pixels of the picture in one of the window
    down: float
    x: float  # of the car
    y: float
    cos: float  # of the angle by which the window shows the world turned, times zoom
    sin: float
    zoom: float  # window pixels per unit


class Brush(NamedTuple):
    """Where polygons are painted, and memory for the one that is."""

    samples: NDArray[np.int64]
    painted: NDArray[np.int64]
    corners: NDArray[np.float64]  # [2, 4] x and y in the window
    edges: NDArray[np.float64]  # [4, 4]
    sides: NDArray[np.int64]  # [4, 2]


def scratch(rows: int = SIZE, columns: int = SIZE) -> Scratch:
    """Working memory for `draw` of pictures of this size.

    Raises:
        ValueError: if rows are not a multiple of 8 up to 800, or columns not one of 4 up to 1000.
    """
    for name, length, unit, most in (("rows", rows, 8, WINDOW_HEIGHT), ("columns", columns, 4, WINDOW_WIDTH)):
        if length % unit or not 0 < length <= most:
            raise ValueError(f"{name}: expected a multiple of {unit} from {unit} to {most}; got {length!r}")
    down, across = rows / WINDOW_HEIGHT, columns / WINDOW_WIDTH
    area = math.ceil(CAR_ROWS * down) + 1, math.ceil(CAR_COLUMNS * across) + 1, 3
    return Scratch(
        samples=np.full((2 * rows, 2 * columns), GROUND),
        painted=np.tile([2 * columns, 0], (2 * rows, 1)),
        finer=np.zeros((2 * rows, 2 * columns, 3), np.uint8),
        zoom=np.zeros(1),
        hull=np.zeros((CAR_ROWS, 2), np.int64),
        hull_area=np.zeros(area),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def draw(points, tiles, borders, kerb, shade, visited, view, colors, scratch, picture):
    """Draws what one car sees.

    Args:
        points: [T, 4] of the track; the last two are x and y.
        tiles: [T, 4, 2] corners of the road's tiles.
        borders: [T, 4, 2] corners of the kerbs.
        kerb: [T] 0 none, 1 white, 2 red.
        shade: [T] 0, 1 or 2.
        visited: [T] bool.
        view: [VIEW] of the car.
        colors: [3, 3] of road, background and grass, 0-255.
        scratch: working memory for pictures of this size.
        picture: [R, C, 3] uint8, changed in place.
    """
    if _zoom(view) < FINE:
        _world(points, tiles, borders, kerb, shade, visited, view, colors, scratch, scratch.finer)
        _halve(scratch.finer, picture)
    else:
        _world(points, tiles, borders, kerb, shade, visited, view, colors, scratch, picture)
    _car(view, scratch, picture)
    _bar(view, picture)


@njit(nogil=True, cache=True, error_model="numpy")
def _zoom(view):
    return FAR * max(1 - view[TIME], 0.0) + NEAR * min(view[TIME], 1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _camera(view, picture):
    rows, columns, _ = picture.shape
    x, y, angle = view[HULL], view[HULL + 1], view[HULL + 2]
    zoom = _zoom(view)
    return Camera(
        rows - rows * BAR // WINDOW_HEIGHT,
        columns,
        columns / WINDOW_WIDTH,
        rows / WINDOW_HEIGHT,
        x,
        y,
        zoom * math.cos(angle),
        zoom * math.sin(angle),
        zoom,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _halve(finer, picture):
    """Means of 2 × 2 pixels."""
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            for channel in range(3):
                total = np.int32(finer[2 * row, 2 * column, channel]) + finer[2 * row, 2 * column + 1, channel]
                total += np.int32(finer[2 * row + 1, 2 * column, channel]) + finer[2 * row + 1, 2 * column + 1, channel]
                picture[row, column, channel] = (total + 2) >> 2


@njit(nogil=True, cache=True, error_model="numpy")
def _world(points, tiles, borders, kerb, shade, visited, view, colors, scratch, picture):
    """Draws grass, road and kerbs, above the bar."""
    camera = _camera(view, picture)
    edges, sides = np.empty((4, 4)), np.empty((4, 2), np.int64)
    brush = Brush(scratch.samples, scratch.painted, np.empty((2, 4)), edges, sides)
    _paint(points, tiles, borders, kerb, shade, visited, camera, brush)
    _show(colors, camera, scratch, picture)


@njit(nogil=True, cache=True, error_model="numpy")
def _paint(points, tiles, borders, kerb, shade, visited, camera, brush):
    """Paints what is not ground: what lies beyond the field, then the road and its kerbs, tile by tile."""
    rows, columns, _, _, x, y, cos, sin, zoom = camera
    sight = math.hypot(WINDOW_WIDTH - CAR_X, WINDOW_HEIGHT - CAR_Y) / zoom
    if max(abs(x), abs(y)) + sight > PLAYFIELD:
        brush.samples[:rows, :columns] = BEYOND * EVERYWHERE
        brush.painted[:rows, 0], brush.painted[:rows, 1] = 0, columns
        _corners(FIELD, camera, brush.corners)
        _fill(GROUND, camera, brush)
    margin, sight = REACH * zoom, sight + REACH
    for tile in range(len(points)):
        east, north = points[tile, 2] - x, points[tile, 3] - y
        if east * east + north * north > sight * sight:
            continue
        right, up = CAR_X + cos * east + sin * north, CAR_Y + cos * north - sin * east
        if -margin < right < WINDOW_WIDTH + margin and BAR - margin < up < WINDOW_HEIGHT + margin:
            lightness = 0 if visited[tile] else shade[tile]
            _corners(tiles[tile], camera, brush.corners)
            _fill(TILE + lightness, camera, brush)
            if kerb[tile]:
                _corners(borders[tile], camera, brush.corners)
                _fill(WHITE if kerb[tile] == 1 else RED, camera, brush)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _corners(polygon, camera, corners):
    """Four corners in the window, cut to whole pixels as the stock does."""
    for corner in range(4):
        east, north = polygon[corner, 0] - camera.x, polygon[corner, 1] - camera.y
        corners[0, corner] = int(CAR_X + camera.cos * east + camera.sin * north)
        corners[1, corner] = int(CAR_Y + camera.cos * north - camera.sin * east)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(value, camera, brush):
    """Paints the samples that lie in the convex quadrilateral that has the brush's corners."""
    rows, columns, across, down, _, _, _, _, _ = camera
    samples, painted, (xs, ys), edges, sides = brush
    top = (WINDOW_HEIGHT - 0.5 - max(ys[0], ys[1], ys[2], ys[3]) - SWELL_FLAT) * down
    bottom = (WINDOW_HEIGHT - 0.5 - min(ys[0], ys[1], ys[2], ys[3]) + SWELL_FLAT) * down
    # Two flat edges meet far outside of a sliver: it is no wider than its corners.
    leftmost = max((min(xs[0], xs[1], xs[2], xs[3]) + 0.5 - SWELL) * across, 0.0)
    rightmost = min((max(xs[0], xs[1], xs[2], xs[3]) + 0.5 + SWELL) * across, float(columns))
    first_row, end_row = max(math.floor(top), 0), min(math.ceil(bottom), rows)
    if first_row >= end_row or leftmost >= rightmost:
        return
    _find_edges(first_row, camera, brush)
    paint = value * EVERYWHERE
    for row in range(first_row, end_row):
        within = ALL
        if row < top:
            within &= FROM_RANK[math.ceil((top - row) * SAMPLES - 0.5)]
        if row + 1 > bottom:
            within &= ~FROM_RANK[math.ceil((bottom - row) * SAMPLES - 0.5)]
        # Between ``outer`` and ``outer_end`` pixels are painted, between the inner ones wholly.
        outer, inner, inner_end, outer_end = leftmost, 0.0, float(columns), rightmost
        for edge in range(4):
            cross, spread = edges[edge, CROSS], edges[edge, SPREAD]
            if sides[edge, FLIP]:
                outer_end, inner_end = min(outer_end, cross + spread), min(inner_end, cross - spread)
            else:
                outer, inner = max(outer, cross - spread), max(inner, cross + spread)
        first, end = int(outer), math.ceil(outer_end)
        if first < end:
            painted[row, 0], painted[row, 1] = min(painted[row, 0], first), max(painted[row, 1], end)
            whole, whole_end = max(math.ceil(inner), first), min(int(max(inner_end, 0.0)), end)
            if within != ALL or whole >= whole_end:
                whole = whole_end = end
            _fill_partly(row, first, whole, within, paint, samples, edges, sides)
            for column in range(whole, whole_end):
                samples[row, column] = paint
            _fill_partly(row, whole_end, end, within, paint, samples, edges, sides)
        for edge in range(4):
            edges[edge, CROSS] += edges[edge, LEAN]


@njit(nogil=True, cache=True, error_model="numpy")
def _find_edges(row, camera, brush):
    """Makes the edges ready for this row."""
    _, _, across, down, _, _, _, _, _ = camera
    _, _, (xs, ys), edges, sides = brush
    area = 0.0
    for corner in range(4):
        after = (corner + 1) & 3
        area += xs[corner] * ys[after] - xs[after] * ys[corner]
    for corner in range(4):
        after = (corner + 1) & 3
        rise = ys[after] - ys[corner]
        if rise == 0:  # the top or the bottom, and no side
            edges[corner, CROSS], edges[corner, LEAN], edges[corner, SPREAD] = -FAR_OFF, 0.0, 0.0
            edges[corner, SCALE] = 1.0
            sides[corner, DIRECTION], sides[corner, FLIP] = 0, 0
            continue
        lean = (xs[corner] - xs[after]) * across / (rise * down)
        swell = max(SWELL * across, SWELL_FLAT * down * abs(lean))
        middle = row + 0.5 - (WINDOW_HEIGHT - 0.5 - ys[corner]) * down
        cross = (xs[corner] + 0.5) * across + middle * lean
        is_right = (rise > 0) == (area >= 0)  # a line has two sides, too
        edges[corner, CROSS] = cross + swell if is_right else cross - swell
        edges[corner, LEAN], edges[corner, SPREAD] = lean, abs(lean) / 2
        edges[corner, SCALE] = DISTANCES / 2 / max(abs(lean), 1.0)
        number = lean if abs(lean) <= 1 else math.copysign(2.0, lean) - 1 / lean  # -2 to 2
        sides[corner, DIRECTION] = min(int((number + 2) * (DIRECTIONS / 4)), DIRECTIONS - 1)
        sides[corner, FLIP] = ALL if is_right else 0


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _fill_partly(row, first, end, within, paint, samples, edges, sides):
    """Paints the samples ``within`` that lie on the polygon's side of all edges, in the pixels ``first`` to ``end``."""
    for column in range(first, end):
        mask = within
        for edge in range(4):
            distance = int((column + 0.5 - edges[edge, CROSS]) * edges[edge, SCALE] + DISTANCES / 2)
            distance = min(max(distance, 0), DISTANCES - 1)
            mask &= NEXT_TO_EDGE[sides[edge, DIRECTION], distance] ^ sides[edge, FLIP]
        samples[row, column] = samples[row, column] & ~mask | paint & mask


@njit(nogil=True, cache=True, error_model="numpy")
def _show(colors, camera, scratch, picture):
    """Colours the rows above the bar: the grass everywhere, then what the samples show."""
    rows, columns, across, down, x, y, cos, sin, zoom = camera
    flat, sums = _palette(colors)
    ground = _ground(colors, 0), _ground(colors, 1), _ground(colors, 2)
    # From one pixel to the next, and from a row to the one below, in periods of the grass along both axes of the world.
    period = PATCHES * zoom * zoom  # cos and sin are longer, too
    u_across, v_across = cos / (period * across), sin / (period * across)
    u_down, v_down = sin / (period * down), -cos / (period * down)
    patch = 0.5 + 2 * SWELL_FLAT * max(abs(cos), abs(sin)) / period
    ramp_u, ramp_v = _ramp(patch, math.hypot(u_across, u_down)), _ramp(patch, math.hypot(v_across, v_down))
    right, below = 0.5 - CAR_X * across, 0.5 - (WINDOW_HEIGHT - CAR_Y) * down  # from the car to the first pixel
    u = x / PATCHES - 0.25 + right * u_across + below * u_down  # from the middle of a patch
    v = y / PATCHES - 0.25 + right * v_across + below * v_down
    along, pixels = np.empty((2, columns), np.float32), np.empty(columns, np.uint32)
    for column in range(columns):
        along[0, column], along[1, column] = column * u_across, column * v_across
    words = picture.reshape(picture.shape[0], -1).view(np.uint32)
    for row in range(rows):
        _grass(np.float32(u + row * u_down), np.float32(v + row * v_down), along, ramp_u, ramp_v, ground, pixels)
        _resolve(row, scratch.samples, scratch.painted, flat, sums, pixels)
        _unpack(row, pixels, words)


@njit(nogil=True, cache=True, error_model="numpy")
def _palette(colors):
    """Colours after shrinking.

    Returns:
        Those of each value [8], packed, and the sums of those of two samples [64]: three channels, and then the number
        of samples that show ground, whose colours are not in it.
    """
    flat, sums = np.zeros(8, np.uint32), np.zeros(64, np.int64)
    for channel in range(3):
        for value in range(TILE, BEYOND):
            color = 255 if value == WHITE or (value == RED and channel == 0) else 0
            if value < WHITE:
                color = int(colors[ROAD, channel] + (value - TILE) * SHADE)
            shrunk = max(color - LOSS, 0)
            flat[value] |= np.uint32(shrunk << 8 * channel)
            sums[value] |= shrunk << CHANNEL * channel
    sums[GROUND] = 1 << 3 * CHANNEL
    for pair in range(63, -1, -1):  # the first ones are not yet sums
        sums[pair] = sums[pair >> 3] + sums[pair & 7]
    return flat, sums


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _ground(colors, channel):
    """The background's colour after shrinking, and what a patch of grass adds to it."""
    background, grass = int(colors[BACKGROUND, channel]), int(colors[GRASS, channel])
    shrunk = max(background - LOSS, 0)
    return np.float32(shrunk), np.float32(max(grass - LOSS, 0) - shrunk)


@njit(nogil=True, cache=True, error_model="numpy")
def _ramp(patch, span):
    """How much of a pixel is patch, along one axis, falls with its distance: from what, how fast, least, and most."""
    return (
        np.float32((patch / span + 1) / 2),
        np.float32(1 / span),
        np.float32(max(1 - (1 - patch) / span, 0.0)),
        np.float32(min(patch / span, 1.0)),
    )


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _grass(u, v, along, ramp_u, ramp_v, ground, pixels):
    """Colours a row of packed pixels as if all of it were ground; u and v are the first one's place, in periods."""
    middle_u, steep_u, least_u, most_u = ramp_u
    middle_v, steep_v, least_v, most_v = ramp_v
    (red, more_red), (green, more_green), (blue, more_blue) = ground
    half = np.float32(0.5)
    red, green, blue = red + half, green + half, blue + half
    for column in range(len(pixels)):
        a, b = u + along[0, column], v + along[1, column]
        a, b = abs(a - np.rint(a)), abs(b - np.rint(b))
        patch = min(max(middle_u - a * steep_u, least_u), most_u) * min(max(middle_v - b * steep_v, least_v), most_v)
        pixels[column] = _packed(red + patch * more_red, green + patch * more_green, blue + patch * more_blue)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _packed(red, green, blue):
    """A colour as one number, rounded down."""
    return np.uint32(np.int32(red) | np.int32(green) << 8 | np.int32(blue) << 16)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _resolve(row, samples, painted, flat, sums, pixels):
    """Colours a row of packed pixels, which show ground, from their samples, and forgets these."""
    first, end = painted[row, 0], painted[row, 1]
    painted[row, 0], painted[row, 1] = samples.shape[1], 0
    for column in range(first, end):
        word = samples[row, column]
        samples[row, column] = GROUND
        if word == GROUND:
            continue
        value = word & 7
        if word == value * EVERYWHERE:
            pixels[column] = flat[value]
        else:
            pixels[column] = _mean_color(word, pixels[column], sums)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _mean_color(word, ground, sums):
    """Mean of a pixel's samples, packed."""
    total = SAMPLES * LANES  # rounds up: colours lose less where they are mixed
    for pair in range(SAMPLES // 2):
        total += sums[word >> 6 * pair & 63]
    ground = np.int64(ground)
    lanes = ground & 255 | (ground & 0xFF00) << CHANNEL - 8 | (ground & 0xFF0000) << 2 * CHANNEL - 16
    total = (total + (total >> 3 * CHANNEL) * lanes) // SAMPLES
    return np.uint32(total & 255 | total >> CHANNEL - 8 & 0xFF00 | total >> 2 * CHANNEL - 16 & 0xFF0000)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _unpack(row, pixels, words):
    """Packed pixels [C], four bytes each, to the bytes of a row of the picture, seen as words [R, 3 C / 4]."""
    for group in range(len(pixels) // 4):
        a, b, c, d = pixels[4 * group], pixels[4 * group + 1], pixels[4 * group + 2], pixels[4 * group + 3]
        words[row, 3 * group] = a | b << 24
        words[row, 3 * group + 1] = b >> 8 | c << 16
        words[row, 3 * group + 2] = c >> 16 | d << 8


@njit(nogil=True, cache=True, error_model="numpy")
def _car(view, scratch, picture):
    """Paints the car over the world: an average of the stock's window pixels, the hull above the wheels."""
    _, _, across, down, hull_x, hull_y, cos, sin, zoom = _camera(view, picture)
    if zoom != scratch.zoom[0]:
        _hull(zoom, across, down, scratch)
    hull, car, corners = scratch.hull, scratch.hull_area.copy(), np.empty((2, 4))
    for wheel in range(4):
        x, y, angle, phase = view[WHEEL + 4 * wheel : WHEEL + 4 * wheel + 4]
        c, s = math.cos(angle), math.sin(angle)
        start, stop = math.cos(phase), math.cos(phase + STRIPE)
        hidden, hidden_after = math.sin(phase) > 0, math.sin(phase + STRIPE) > 0
        start = np.sign(start) if hidden else start
        stop = np.sign(stop) if hidden_after else stop
        for part in range(1 if hidden and hidden_after else 2):
            low, high = (-1.0, 1.0) if part == 0 else (start, stop)
            for corner in range(4):
                # The stock's corners start at the lower right for the wheel, and at the left for its stripe.
                along = (high if 0 < corner < 3 else low) if part == 0 else (low if corner < 2 else high)
                side = (1 if corner < 2 else -1) if part == 0 else (1 if 0 < corner < 3 else -1)
                east = x + c * side * WHEEL_X - s * along * WHEEL_Y - hull_x
                north = y + s * side * WHEEL_X + c * along * WHEEL_Y - hull_y
                corners[0, corner] = int(CAR_X + cos * east + sin * north)
                corners[1, corner] = int(CAR_Y + cos * north - sin * east)
            first, last = _extent(corners, 4)
            for level in range(first, last + 1):
                a, b = _span(corners, 4, level, last)
                line = level - CAR_Y + CAR_ROWS // 2
                if hull[line, 0] > hull[line, 1]:
                    _add(line, a, b, 2 * part, across, down, car)
                else:
                    _add(line, a, min(b, hull[line, 0] - 1), 2 * part, across, down, car)
                    _add(line, max(a, hull[line, 1] + 1), b, 2 * part, across, down, car)
    top = math.floor((WINDOW_HEIGHT - CAR_Y - CAR_ROWS // 2) * down)
    left = math.floor((CAR_X - CAR_COLUMNS // 2) * across)
    for row in range(car.shape[0]):
        for column in range(car.shape[1]):
            covered, red, grey = car[row, column]
            if covered > 0:
                pixel = picture[top + row, left + column]
                rest = max(1 - covered, 0.0)
                grey *= STRIPE_GREY - LOSS
                pixel[0] = np.uint8(rest * pixel[0] + red * (HULL_RED - LOSS) + grey + 0.5)
                pixel[1] = np.uint8(rest * pixel[1] + grey + 0.5)
                pixel[2] = np.uint8(rest * pixel[2] + grey + 0.5)


@njit(nogil=True, cache=True, error_model="numpy")
def _hull(zoom, across, down, scratch):
    """Draws the hull, which always looks up, and so is the same for a zoom."""
    hull, area, corners = scratch.hull, scratch.hull_area, np.empty((2, 8))
    hull[:, 0], hull[:, 1] = WINDOW_WIDTH, -1
    for shape in range(4):
        size = HULL_SIZES[shape]
        for corner in range(size):
            corners[0, corner] = int(CAR_X + zoom * HULL_SHAPES[shape, corner, 0])
            corners[1, corner] = int(CAR_Y + zoom * HULL_SHAPES[shape, corner, 1])
        first, last = _extent(corners, size)
        for y in range(first, last + 1):
            a, b = _span(corners, size, y, last)
            line = y - CAR_Y + CAR_ROWS // 2
            hull[line, 0], hull[line, 1] = min(hull[line, 0], a), max(hull[line, 1], b)
    area[:] = 0.0
    for line in range(CAR_ROWS):
        _add(line, hull[line, 0], hull[line, 1], 1, across, down, area)
    scratch.zoom[0] = zoom


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _extent(corners, size):
    """Lowest and highest row of a polygon, within the car's rows."""
    lowest = highest = corners[1, 0]
    for corner in range(1, size):
        lowest, highest = min(lowest, corners[1, corner]), max(highest, corners[1, corner])
    return max(int(lowest), CAR_Y - CAR_ROWS // 2), min(int(highest), CAR_Y + CAR_ROWS // 2 - 1)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _span(corners, size, y, highest):
    """First and last pixel of a polygon's row, rounded as pygame-ce does: the first edge met down, the next one up."""
    low, high, met = WINDOW_WIDTH, -1, 0
    xs, ys = corners[0], corners[1]
    leftmost, rightmost = xs[0], xs[0]
    for corner in range(size):
        before = corner - 1 if corner else size - 1
        x1, y1, x2, y2 = xs[before], ys[before], xs[corner], ys[corner]
        leftmost, rightmost = min(leftmost, x2), max(rightmost, x2)
        if y1 > y2:
            x1, y1, x2, y2 = x2, y2, x1, y1
        if y1 < y2 and (y1 <= y < y2 or y == highest == y2):
            cross = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
            x = int(math.ceil(cross) if met & 1 else math.floor(cross))
            low, high, met = min(low, x), max(high, x), met + 1
    return (low, high) if met else (int(leftmost), int(rightmost))


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _add(line, first, last, kind, across, down, car):
    """Adds pixels ``first`` to ``last`` of a window row to the car's: kind 0 is black, 1 red, 2 grey over black."""
    left, top = CAR_X - CAR_COLUMNS // 2, WINDOW_HEIGHT - CAR_Y - CAR_ROWS // 2
    first, last = max(first, left), min(last, left + CAR_COLUMNS - 1)
    if first > last:
        return
    y = top + CAR_ROWS - 1 - line
    begin, end = first * across - math.floor(left * across), (last + 1) * across - math.floor(left * across)
    upper, lower = y * down - math.floor(top * down), (y + 1) * down - math.floor(top * down)
    for row in range(int(upper), math.ceil(lower)):
        height = min(lower, row + 1) - max(upper, row)
        for column in range(int(begin), math.ceil(end)):
            size = height * (min(end, column + 1) - max(begin, column))
            if kind < 2:
                car[row, column, 0] += size
            if kind > 0:
                car[row, column, kind] += size


@njit(nogil=True, cache=True, error_model="numpy")
def _bar(view, picture):
    """The bar below the picture: speed, wheels, steering, spin, and the score."""
    rows = picture.shape[0]
    picture[rows - rows * BAR // WINDOW_HEIGHT :] = 0
    high, low = _gauge(view[SPEED], 0.02)
    _rectangle(picture, 5 * GAUGE, 6 * GAUGE, high, low, (255, 255, 255))
    for wheel in range(4):
        high, low = _gauge(view[OMEGA + wheel], 0.01)
        color = (0 if wheel < 2 else 51, 0, 255)
        left, right = (7 + wheel) * GAUGE, (8 + wheel) * GAUGE
        if wheel == 3:
            _rectangle(picture, left, right, high, low, color)
            break
        next_high, next_low = _gauge(view[OMEGA + wheel + 1], 0.01)  # the next one is painted over the last column
        _rectangle(picture, left, right - 1, high, low, color)
        _rectangle(picture, right, right, high, min(low, next_high - 1), color)
        _rectangle(picture, right, right, max(high, next_low + 1), low, color)
    spin = view[SPIN]
    steer_end = WINDOW_WIDTH - 1
    if spin > GAUGE_LEAST:  # may reach so far to the left that it covers the steering
        steer_end = int(GAUGE * (30 - 0.8 * spin)) - 1
    _level(picture, 20, view[STEER], -10.0, steer_end, (0, 255, 0))
    _level(picture, 30, spin, -0.8, WINDOW_WIDTH - 1, (255, 0, 0))
    _score(view[SCORE], picture)


@njit(nogil=True, cache=True, error_model="numpy")
def _gauge(value, scale):
    """First and last window row of a gauge that grows upwards."""
    if abs(value) <= GAUGE_LEAST:
        return WINDOW_HEIGHT, WINDOW_HEIGHT - 1  # none
    foot = WINDOW_HEIGHT - 20
    top = int(WINDOW_HEIGHT - (20 + 20 * scale * value))
    return min(top, foot), max(top, foot)


@njit(nogil=True, cache=True, error_model="numpy")
def _level(picture, place, value, scale, end, color):
    """A gauge that grows to the left or the right, up to the column ``end``."""
    if abs(value) > GAUGE_LEAST:
        tip = int(GAUGE * (place + scale * value))
        left, right = min(tip, GAUGE * place), max(tip, GAUGE * place)
        _rectangle(picture, left, min(right, end), WINDOW_HEIGHT - 80, WINDOW_HEIGHT - 40, color)


@njit(nogil=True, cache=True, error_model="numpy")
def _rectangle(picture, left, right, top, bottom, color):
    """Adds a rectangle of window pixels, first to last, to what is black in the bar."""
    rows, columns, _ = picture.shape
    left, right = max(left, 0), min(right, WINDOW_WIDTH - 1)
    top, bottom = max(top, WINDOW_HEIGHT - BAR), min(bottom, WINDOW_HEIGHT - 1)
    if left > right or top > bottom:
        return
    for column in range(left * columns // WINDOW_WIDTH, math.ceil((right + 1) * columns / WINDOW_WIDTH)):
        for channel in range(3):
            across = _shrunk_line(color[channel], left, right, column, WINDOW_WIDTH, columns)
            if across > 0:
                for row in range(top * rows // WINDOW_HEIGHT, math.ceil((bottom + 1) * rows / WINDOW_HEIGHT)):
                    picture[row, column, channel] += _shrunk_line(across, top, bottom, row, WINDOW_HEIGHT, rows)


@njit(nogil=True, cache=True, error_model="numpy")
def _shrunk_line(value, first, last, cell, length, cells):
    """What shrinking ``length`` pixels to ``cells`` makes of one cell if the pixels first to last have this value.

    The arithmetic is pygame's: fixed-point numbers with 14 bits behind the point, rounded down.
    """
    size = (length << BITS) // cells
    begin, end = cell * size, (cell + 1) * size
    start, stop = begin >> BITS, end >> BITS
    total = value * max(min(last, stop - 1) - max(first, start + 1) + 1, 0)
    if first <= start <= last:
        total += (value * (ONE - (begin & (ONE - 1)))) >> BITS
    if first <= stop <= last:
        total += (value * (end & (ONE - 1))) >> BITS
    return (total * ((ONE << 16) // size)) >> 16


@njit(nogil=True, cache=True, error_model="numpy")
def _score(score, picture):
    """The score as text, at least four characters wide; numbers above -1 that round to 0 keep their minus."""
    rows, columns, _ = picture.shape
    whole = min(np.int64(abs(np.rint(score))), 99999)
    minus = math.copysign(1.0, score) < 0
    count = 3 if minus else 4
    while whole >= 10**count:
        count += 1
    width = _score_width(whole, minus, count)
    x = SCORE_X - width // 2
    lines = np.zeros((math.ceil(4 * SCORE_X * columns / WINDOW_WIDTH), HEIGHT), np.int64)
    pen, before = 0, -1
    for place in range(count + minus):
        symbol = MINUS if minus and place == 0 else whole // 10 ** (count + minus - 1 - place) % 10
        if before >= 0:
            pen += 64 * ADVANCES[before] + KERNING[before, symbol]
        _glyph(symbol, x + (pen >> 6), columns, lines)
        before = symbol
    recip = (ONE << 16) // ((WINDOW_WIDTH << BITS) // columns)
    size = (WINDOW_HEIGHT << BITS) // rows
    top = SCORE_Y + SCORE_MARGIN
    for row in range(top * rows // WINDOW_HEIGHT, (top + HEIGHT) * rows // WINDOW_HEIGHT + 1):
        begin, end = row * size, (row + 1) * size
        start, stop = (begin >> BITS) - top, (end >> BITS) - top
        for column in range(lines.shape[0]):
            total = 0
            if 0 <= start < HEIGHT:
                total += (((lines[column, start] * recip) >> 16) * (ONE - (begin & (ONE - 1)))) >> BITS
            for line in range(max(start + 1, 0), min(stop, HEIGHT)):
                total += (lines[column, line] * recip) >> 16
            if 0 <= stop < HEIGHT:
                total += (((lines[column, stop] * recip) >> 16) * (end & (ONE - 1))) >> BITS
            if total > 0:
                grey = (total * ((ONE << 16) // size)) >> 16
                picture[row, column, 0] = picture[row, column, 1] = picture[row, column, 2] = grey


@njit(nogil=True, cache=True, error_model="numpy")
def _score_width(whole, minus, count):
    """Width of the score's text in window pixels."""
    pen, before = 0, MINUS if minus else -1
    for place in range(count):
        symbol = whole // 10 ** (count - 1 - place) % 10
        if before >= 0:
            pen += 64 * ADVANCES[before] + KERNING[before, symbol]
        before = symbol
    return (pen >> 6) + WIDTH


@njit(nogil=True, cache=True, error_model="numpy")
def _glyph(symbol, left, columns, lines):
    """Adds a character to sums [columns, HEIGHT] over the window pixels of each of the picture's columns."""
    size = (WINDOW_WIDTH << BITS) // columns
    for column in range((left << BITS) // size, ((left + WIDTH) << BITS) // size + 1):
        begin, end = column * size, (column + 1) * size
        start, stop = (begin >> BITS) - left, (end >> BITS) - left
        # Of three kinds: the pixels that lie in the column wholly, and the parts of the first and the last one.
        a, b = min(max(start + 1, 0), WIDTH), max(min(stop, WIDTH), 0)
        part = ONE - (begin & (ONE - 1)) if 0 <= start < WIDTH else 0
        part_end = end & (ONE - 1) if 0 <= stop < WIDTH else 0
        start, stop = min(max(start, 0), WIDTH - 1), min(max(stop, 0), WIDTH - 1)
        for line in range(HEIGHT):
            total = max(INK[symbol, b, line] - INK[symbol, a, line], 0)
            total += ((INK[symbol, start + 1, line] - INK[symbol, start, line]) * part) >> BITS
            total += ((INK[symbol, stop + 1, line] - INK[symbol, stop, line]) * part_end) >> BITS
            lines[column, line] += total


@njit(nogil=True, cache=True, error_model="numpy")
def paper(picture, small):
    """The paper's input: a picture [96, 96, 3] resized by area to [84, 84, 3] float32 in [0, 1], in place.

    A pixel spans 8/7 of the larger picture's: of each 8 rows, row j of 7 takes 7 - j parts of row j and j + 1 parts of
    the next. Sums of parts are whole numbers, which float32 holds exactly.
    """
    scale, eight = 1.0 / (64 * 255), np.float32(8)
    pixels, means = picture.reshape(SIZE, -1), small.reshape(PAPER, -1)
    line = np.empty(3 * SIZE, np.float32)
    for row in range(PAPER):
        y, under = row + row // 7, np.float32(row % 7 + 1)
        for place in range(3 * SIZE):
            line[place] = (eight - under) * np.float32(pixels[y, place]) + under * np.float32(pixels[y + 1, place])
        for group in range(PAPER // 7):
            for place in range(3 * 7):
                here = 3 * 8 * group + place
                total = LEFT_PARTS[place] * line[here] + RIGHT_PARTS[place] * line[here + 3]
                means[row, 3 * 7 * group + place] = total * scale


@njit(nogil=True, cache=True, error_model="numpy")
def grey(picture, light):
    """Lightness [R, C] of a picture [R, C, 3], in place: as Gymnasium's ``GrayscaleObservation``, rounded down."""
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            red, green, blue = picture[row, column]
            light[row, column] = np.uint8(0.2125 * red + 0.7154 * green + 0.0721 * blue)
