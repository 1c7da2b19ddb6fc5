"""What a driver sees: the picture of the stock environment, which draws 1000 × 800 pixels and shrinks them.

Everything compiled, and every constant in it, is in this file (the score's characters, which do not change, come from
``digits.py``): numba's cache does not see a change in another one.

A picture [R, C, 3] has any size. The stock's own is 96 × 96 (`SIZE`), and what people watch 400 × 600. The **window**
is what the stock draws before it shrinks it: its coordinates are pixels, y upwards, with the car at (500, 200). The
road is sampled at 9 places of every pixel of the picture, painted in the stock's order. The grass is an exact average
along each axis; the car, the gauges and the score are averages of the stock's own window pixels.
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
PATCHES = 2 * PLAYFIELD / 20  # the period of the grass; patches are half as wide
REACH = 11.5  # no vertex of a tile or its kerb is farther from the tile's point

# What a sample shows: 3 bits each, 9 samples to a pixel, the upper ones first.
GROUND, TILE, WHITE, RED = 0, 1, 4, 5  # TILE + its shade
PATCH = 6  # no sample's value, but a row of the palette
SAMPLE = np.uint32(7)
EVERYWHERE = np.uint32(0o111111111)  # times a value: all samples of a pixel show it
LINES, ALONG = 3, 3  # lines of samples in a pixel, and samples in each: no two at the same distance from the left
LINE = 0o777  # all samples of a line
# The first sample at or right of x is number int(x + OFFSETS[line]), x in samples: the first one of a line lies at 5/6,
# 1/2 or 1/6 of the distance between two.
OFFSETS = (1 / 6, 5 / 6, 1 / 2)
FAR_OFF = 1e9  # samples

# By how much the stock's polygons are larger than they should be, in window pixels: it fills both ends of a line, and
# draws a smooth outline around that.
SWELL, SWELL_FLAT = 0.6, 0.5  # sideways where an edge is steep, up and down where it is flat
BITS = 14  # behind the point, in the numbers with which pygame shrinks
ONE = 1 << BITS
LOSS = 2.0  # what shrinking takes from an even colour, by rounding down twice

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
INK = np.concatenate([np.zeros((11, HEIGHT, 1), np.int64), np.cumsum(GLYPHS, axis=2, dtype=np.int64)], axis=2)
ADVANCES = np.array(ADVANCE)


class Layer(NamedTuple):
    """Working memory for the world in a picture of R rows and C columns."""

    samples: NDArray[np.uint32]  # [R, C]
    painted: NDArray[np.int64]  # [R, 2] from where to where a row's samples may be other than ground
    patches: NDArray[np.float32]  # [C] how much of a pixel's ground is a patch
    pixels: NDArray[np.uint32]  # [C] colours of a row, packed


class Scratch(NamedTuple):
    """Working memory for pictures of one size; one for each thread."""

    layer: Layer
    fine: Layer  # twice as many rows and columns
    finer: NDArray[np.uint8]  # [2 R, 2 C, 3] a picture of the world
    palette: NDArray[np.float32]  # [7, 3]
    flat: NDArray[np.uint32]  # [7] the palette, packed
    corners: NDArray[np.float64]  # [2, 8] x and y of a polygon in the window
    ends: NDArray[np.float64]  # [4, 3] of the world
    spans: NDArray[np.int64]  # [LINES, 2] of samples
    hull: NDArray[np.int64]  # [CAR_ROWS, 2] first and last column
    car: NDArray[np.float64]  # [rows, columns, 3] how much of a pixel is car, red, grey
    score: NDArray[np.int64]  # [HEIGHT, columns]


def scratch(rows: int = SIZE, columns: int = SIZE) -> Scratch:
    """Working memory for `draw` of pictures of this size.

    Raises:
        ValueError: if rows are not a multiple of 8 up to 800, or columns not one of 4 up to 1000.
    """
    for name, length, unit, most in (("rows", rows, 8, WINDOW_HEIGHT), ("columns", columns, 4, WINDOW_WIDTH)):
        if length % unit or not 0 < length <= most:
            raise ValueError(f"{name}: expected a multiple of {unit} from {unit} to {most}; got {length!r}")
    down, across = rows / WINDOW_HEIGHT, columns / WINDOW_WIDTH
    return Scratch(
        layer=_layer(rows, columns),
        fine=_layer(2 * rows, 2 * columns),
        finer=np.zeros((2 * rows, 2 * columns, 3), np.uint8),
        palette=np.zeros((7, 3), np.float32),
        flat=np.zeros(7, np.uint32),
        corners=np.zeros((2, 8)),
        ends=np.zeros((4, 3)),
        spans=np.zeros((LINES, 2), np.int64),
        hull=np.zeros((CAR_ROWS, 2), np.int64),
        car=np.zeros((math.ceil(CAR_ROWS * down) + 1, math.ceil(CAR_COLUMNS * across) + 1, 3)),
        score=np.zeros((HEIGHT, math.ceil(4 * SCORE_X * across)), np.int64),
    )


def _layer(rows: int, columns: int) -> Layer:
    return Layer(
        samples=np.zeros((rows, columns), np.uint32),
        painted=np.zeros((rows, 2), np.int64),
        patches=np.zeros(columns, np.float32),
        pixels=np.zeros(columns, np.uint32),
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
    _set_palette(colors, scratch.palette, scratch.flat)
    if _camera(view)[2] < FINE:
        finer = scratch.finer
        _world(points, tiles, borders, kerb, shade, visited, view, scratch.fine, scratch, finer)
        _halve(finer, picture)
    else:
        _world(points, tiles, borders, kerb, shade, visited, view, scratch.layer, scratch, picture)
    _car(view, scratch, picture)
    _bar(view, scratch, picture)


@njit(nogil=True, cache=True, error_model="numpy")
def _camera(view):
    """Window pixels per unit times cosine and sine of the angle by which the window shows the world turned."""
    zoom = FAR * max(1 - view[TIME], 0.0) + NEAR * min(view[TIME], 1.0)
    return zoom * math.cos(view[HULL + 2]), zoom * math.sin(view[HULL + 2]), zoom


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
def _world(points, tiles, borders, kerb, shade, visited, view, layer, scratch, picture):
    """Draws grass, road and kerbs, above the bar."""
    samples, painted, corners = layer.samples, layer.painted, scratch.corners
    rows = picture.shape[0] - picture.shape[0] * BAR // WINDOW_HEIGHT
    samples[:rows] = GROUND
    painted[:, 0], painted[:, 1] = samples.shape[1], 0
    cos, sin, zoom = _camera(view)
    x, y = view[HULL], view[HULL + 1]
    margin = REACH * zoom
    for tile in range(len(points)):
        east, north = points[tile, 2] - x, points[tile, 3] - y
        right, up = CAR_X + cos * east + sin * north, CAR_Y + cos * north - sin * east
        if -margin < right < WINDOW_WIDTH + margin and BAR - margin < up < WINDOW_HEIGHT + margin:
            lightness = 0 if visited[tile] else shade[tile]
            _corners(tiles[tile], x, y, cos, sin, corners)
            _fill(corners, TILE + lightness, rows, samples, painted, scratch.spans)
            if kerb[tile]:
                _corners(borders[tile], x, y, cos, sin, corners)
                _fill(corners, WHITE if kerb[tile] == 1 else RED, rows, samples, painted, scratch.spans)
    _show(view, rows, layer, scratch.palette, scratch.flat, scratch.ends, picture)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _corners(polygon, x, y, cos, sin, corners):
    """Four corners in the window, cut to whole pixels as the stock does."""
    for corner in range(4):
        east, north = polygon[corner, 0] - x, polygon[corner, 1] - y
        corners[0, corner] = int(CAR_X + cos * east + sin * north)
        corners[1, corner] = int(CAR_Y + cos * north - sin * east)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(corners, value, rows, samples, painted, spans):
    """Paints the samples that lie in a convex quadrilateral."""
    columns = samples.shape[1]
    across, down = columns / WINDOW_WIDTH, samples.shape[0] / WINDOW_HEIGHT
    xs, ys = corners[0], corners[1]
    lowest, highest, area = ys[0], ys[0], 0.0
    for corner in range(4):
        after = (corner + 1) & 3
        lowest, highest = min(lowest, ys[corner]), max(highest, ys[corner])
        area += xs[corner] * ys[after] - xs[after] * ys[corner]
    top = (WINDOW_HEIGHT - 0.5 - highest - SWELL_FLAT) * down
    bottom = (WINDOW_HEIGHT - 0.5 - lowest + SWELL_FLAT) * down
    first, end = max(math.ceil(LINES * top - 0.5), 0), min(math.ceil(LINES * bottom - 0.5), LINES * rows)
    if first >= end:
        return
    # Up to three edges on either side: where each crosses the first line of samples, and how far it moves to the next.
    left0 = left1 = left2 = -FAR_OFF
    right0 = right1 = right2 = FAR_OFF
    by_left0 = by_left1 = by_left2 = by_right0 = by_right1 = by_right2 = 0.0
    row, row_end = first // LINES, (end + LINES - 1) // LINES
    height = WINDOW_HEIGHT - 0.5 - (row + 0.5 / LINES) / down
    scale = ALONG * across
    for corner in range(4):
        after = (corner + 1) & 3
        rise = ys[after] - ys[corner]
        if rise == 0:
            continue
        slope = (xs[after] - xs[corner]) / rise
        swell = max(SWELL, SWELL_FLAT * abs(slope))
        cross, by = xs[corner] + 0.5 + (height - ys[corner]) * slope, -slope * scale / (LINES * down)
        if rise * area > 0:
            right2, right1, right0 = right1, right0, (cross + swell) * scale
            by_right2, by_right1, by_right0 = by_right1, by_right0, by
        else:
            left2, left1, left0 = left1, left0, (cross - swell) * scale
            by_left2, by_left1, by_left0 = by_left1, by_left0, by
    # Two flat edges meet far outside of a sliver: it is no wider than its corners.
    least_x, most_x = min(xs[0], xs[1], xs[2], xs[3]), max(xs[0], xs[1], xs[2], xs[3])
    fewest = max((least_x + 0.5 - 2 * SWELL) * scale, 0.0)
    most = min((most_x + 0.5 + 2 * SWELL) * scale + 1, float(ALONG * columns))
    paint = np.uint32(np.uint32(value) * EVERYWHERE)
    while row < row_end:
        pixels, line = samples[row], LINES * row
        whole, whole_end, least, last = 0, columns, columns, 0
        for part in range(LINES):
            start, stop = max(left0, left1, left2) + OFFSETS[part], min(right0, right1, right2) + OFFSETS[part]
            left0, left1, left2 = left0 + by_left0, left1 + by_left1, left2 + by_left2
            right0, right1, right2 = right0 + by_right0, right1 + by_right1, right2 + by_right2
            a, b = int(max(min(start, most), fewest)), int(max(min(stop, most), 0.0))
            if line + part < first or line + part >= end or a >= b:
                a, b = 0, 0
            else:
                least, last = min(least, a // ALONG), max(last, (b + ALONG - 1) // ALONG)
            spans[part, 0], spans[part, 1] = a, b
            whole, whole_end = max(whole, (a + ALONG - 1) // ALONG), min(whole_end, b // ALONG)
        if least < last:
            painted[row, 0], painted[row, 1] = min(painted[row, 0], least), max(painted[row, 1], last)
            if whole >= whole_end:
                whole = whole_end = columns
            for column in range(whole, whole_end):
                pixels[column] = paint
            for part in range(LINES):
                a, b = spans[part, 0], spans[part, 1]
                _edge(pixels, a // ALONG, min(whole, (b + ALONG - 1) // ALONG), a, b, 3 * ALONG * part, paint)
                _edge(pixels, max(whole_end, a // ALONG), (b + ALONG - 1) // ALONG, a, b, 3 * ALONG * part, paint)
        row += 1


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _edge(pixels, first, end, a, b, shift, paint):
    """Paints those of the samples a to b of a line that lie in the pixels ``first`` to ``end``."""
    for column in range(first, end):
        begin = ALONG * column
        mask = (LINE << (3 * max(a - begin, 0))) & (LINE >> (3 * max(begin + ALONG - b, 0))) & LINE
        mask = np.uint32(mask << shift)
        pixels[column] = pixels[column] & ~mask | paint & mask


@njit(nogil=True, cache=True, error_model="numpy")
def _set_palette(colors, palette, flat):
    """Colours after shrinking. Row GROUND is the background; row PATCH is what a patch of grass adds to it."""
    for channel in range(3):
        background = int(colors[BACKGROUND, channel])
        palette[GROUND, channel] = _shrunk(background)
        palette[PATCH, channel] = _shrunk(int(colors[GRASS, channel])) - palette[GROUND, channel]
        for lightness in range(3):
            palette[TILE + lightness, channel] = _shrunk(int(colors[ROAD, channel] + lightness * SHADE))
        palette[WHITE, channel] = _shrunk(255)
        palette[RED, channel] = _shrunk(255 if channel == 0 else 0)
    for value in range(len(flat)):
        flat[value] = _packed(palette[value, 0], palette[value, 1], palette[value, 2])


@njit(nogil=True, cache=True, error_model="numpy")
def _shrunk(value):
    return max(value - LOSS, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _show(view, rows, layer, palette, flat, ends, picture):
    """Colours the first ``rows`` rows: the grass everywhere, then what the samples show."""
    samples, painted, patches, pixels = layer.samples, layer.painted, layer.patches, layer.pixels
    across, down = picture.shape[1] / WINDOW_WIDTH, picture.shape[0] / WINDOW_HEIGHT
    cos, sin, zoom = _camera(view)
    unit = 1 / (zoom * zoom * PATCHES)  # periods of the grass in a window pixel, over zoom
    # What a pixel and a patch, as the stock swells it, span along either axis of the world, in periods.
    swell = SWELL_FLAT * max(abs(cos), abs(sin)) * unit
    span_u = math.hypot(cos / across, sin / down) * unit
    span_v = math.hypot(sin / across, cos / down) * unit
    ramp_u, ramp_v = _ramp(0.5 + 2 * swell, span_u), _ramp(0.5 + 2 * swell, span_v)
    by_u, by_v = np.float32(cos * unit / across), np.float32(sin * unit / across)
    right = 0.5 / across - CAR_X
    reach = math.hypot(WINDOW_WIDTH - CAR_X, WINDOW_HEIGHT - CAR_Y) / zoom
    at_end = max(abs(view[HULL]), abs(view[HULL + 1])) + reach > PLAYFIELD
    if at_end:
        _find_ends(view, across, down, ends)
    words = picture.reshape(picture.shape[0], -1).view(np.uint32)
    for row in range(rows):
        up = WINDOW_HEIGHT - (row + 0.5) / down - CAR_Y
        u = np.float32(view[HULL] / PATCHES + (right * cos - up * sin) * unit)
        v = np.float32(view[HULL + 1] / PATCHES + (right * sin + up * cos) * unit)
        _grass(u, v, by_u, by_v, ramp_u, ramp_v, patches)
        _ground(patches, palette, pixels)
        if at_end:
            _darken(up + CAR_Y, across, ends, pixels)
        _resolve(samples[row], painted[row, 0], painted[row, 1], patches, palette, flat, pixels)
        _unpack(pixels, words[row])


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
def _grass(u, v, by_u, by_v, ramp_u, ramp_v, patches):
    """How much of each pixel of a row would be a patch; u and v are the first one's place, in periods."""
    middle_u, steep_u, least_u, most_u = ramp_u
    middle_v, steep_v, least_v, most_v = ramp_v
    half, patch = np.float32(0.5), np.float32(0.25)  # in the middle of a patch
    u, v = u - patch, v - patch
    for column in range(len(patches)):
        place = np.float32(column)
        a, b = u + place * by_u, v + place * by_v
        a, b = abs(a - np.floor(a + half)), abs(b - np.floor(b + half))
        a = min(max(middle_u - a * steep_u, least_u), most_u)
        b = min(max(middle_v - b * steep_v, least_v), most_v)
        patches[column] = a * b


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _ground(patches, palette, pixels):
    """Colours a row of packed pixels as if all of it were ground."""
    half = np.float32(0.5)
    red, green, blue = palette[GROUND, 0] + half, palette[GROUND, 1] + half, palette[GROUND, 2] + half
    more_red, more_green, more_blue = palette[PATCH, 0], palette[PATCH, 1], palette[PATCH, 2]
    for column in range(len(patches)):
        patch = patches[column]
        pixels[column] = _packed(red + patch * more_red, green + patch * more_green, blue + patch * more_blue)


@njit(nogil=True, cache=True, error_model="numpy")
def _find_ends(view, across, down, ends):
    """For each of the world's four sides a, b, c [4, 3]: a x + b y + c of a pixel at (x, y) in the window is inside."""
    cos, sin, _ = _camera(view)
    for side in range(4):
        x = y = right = up = 0.0
        for corner in range(side, side + 2):
            right, up = x, y
            east = (PLAYFIELD if corner & 2 else -PLAYFIELD) - view[HULL]
            north = (PLAYFIELD if (corner + 1) & 2 else -PLAYFIELD) - view[HULL + 1]
            x, y = int(CAR_X + cos * east + sin * north) + 0.5, int(CAR_Y + cos * north - sin * east) + 0.5
        length = math.hypot(x - right, y - up)
        a, b = (y - up) / length, (right - x) / length  # to the right of one who goes round clockwise
        c = SWELL_FLAT * max(abs(a), abs(b)) - a * x - b * y
        span = math.hypot(a / across, b / down)
        ends[side, 0], ends[side, 1], ends[side, 2] = a / span, b / span, c / span + 0.5


@njit(nogil=True, cache=True, error_model="numpy")
def _darken(y, across, ends, pixels):
    """Blackens those packed pixels of a row, ``y`` in the window, that lie beyond the world's ends."""
    for column in range(len(pixels)):
        inside = 1.0
        for side in range(4):
            a, b, c = ends[side]
            inside *= min(max(a * (column + 0.5) / across + b * y + c, 0.0), 1.0)
        if inside < 1:
            color = pixels[column]
            red, green, blue = color & 255, (color >> 8) & 255, (color >> 16) & 255
            pixels[column] = _packed(red * inside, green * inside, blue * inside)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _packed(red, green, blue):
    """A colour as one number, rounded down."""
    return np.uint32(np.int32(red) | np.int32(green) << 8 | np.int32(blue) << 16)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _resolve(samples, first, end, patches, palette, flat, pixels):
    """Colours the packed pixels ``first`` to ``end`` of a row from their samples, unless all of those show ground."""
    for column in range(first, end):
        word = samples[column]
        if word == GROUND:
            continue
        value = np.uint32(word & SAMPLE)
        if word == np.uint32(value * EVERYWHERE):
            pixels[column] = flat[value]
        else:
            pixels[column] = _mean_color(word, patches[column], palette)


@njit(nogil=True, cache=True, error_model="numpy")
def _mean_color(word, patch, palette):
    """Mean of a pixel's samples, packed; ``patch`` of its ground is a patch of grass."""
    red = green = blue = grounds = np.float32(0)
    for _ in range(LINES * ALONG):
        value = word & 7
        red, green, blue = red + palette[value, 0], green + palette[value, 1], blue + palette[value, 2]
        grounds += np.float32(1) if value == GROUND else np.float32(0)
        word >>= 3
    part, half, more = np.float32(1 / (LINES * ALONG)), np.float32(0.5 + LOSS / 4), grounds * patch
    return _packed(
        (red + more * palette[PATCH, 0]) * part + half,
        (green + more * palette[PATCH, 1]) * part + half,
        (blue + more * palette[PATCH, 2]) * part + half,
    )


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _unpack(pixels, words):
    """Packed pixels [C], four bytes each, to the bytes of a row of the picture, seen as words [3 C / 4]."""
    for group in range(len(pixels) // 4):
        a, b, c, d = pixels[4 * group], pixels[4 * group + 1], pixels[4 * group + 2], pixels[4 * group + 3]
        words[3 * group] = a | b << 24
        words[3 * group + 1] = b >> 8 | c << 16
        words[3 * group + 2] = c >> 16 | d << 8


@njit(nogil=True, cache=True, error_model="numpy")
def _car(view, scratch, picture):
    """Paints the car over the world: an average of the stock's window pixels, the hull above the wheels."""
    rows, columns, _ = picture.shape
    across, down = columns / WINDOW_WIDTH, rows / WINDOW_HEIGHT
    cos, sin, zoom = _camera(view)
    hull, car, corners = scratch.hull, scratch.car, scratch.corners
    hull[:, 0], hull[:, 1] = WINDOW_WIDTH, -1
    car[:] = 0.0
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
    for line in range(CAR_ROWS):
        _add(line, hull[line, 0], hull[line, 1], 1, across, down, car)
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
                east = x + c * side * WHEEL_X - s * along * WHEEL_Y - view[HULL]
                north = y + s * side * WHEEL_X + c * along * WHEEL_Y - view[HULL + 1]
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
def _bar(view, scratch, picture):
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
    _score(view[SCORE], scratch.score, picture)


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
def _score(score, lines, picture):
    """The score as text, at least four characters wide; numbers above -1 that round to 0 keep their minus."""
    rows, columns, _ = picture.shape
    whole = min(np.int64(abs(np.rint(score))), 99999)
    minus = math.copysign(1.0, score) < 0
    count = 3 if minus else 4
    while whole >= 10**count:
        count += 1
    width = _score_width(whole, minus, count)
    x = SCORE_X - width // 2
    lines[:] = 0
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
        for column in range(lines.shape[1]):
            total = 0
            if 0 <= start < HEIGHT:
                total += (((lines[start, column] * recip) >> 16) * (ONE - (begin & (ONE - 1)))) >> BITS
            for line in range(max(start + 1, 0), min(stop, HEIGHT)):
                total += (lines[line, column] * recip) >> 16
            if 0 <= stop < HEIGHT:
                total += (((lines[stop, column] * recip) >> 16) * (end & (ONE - 1))) >> BITS
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
    """Adds a character to sums [HEIGHT, columns] over the window pixels of each of the picture's columns."""
    size = (WINDOW_WIDTH << BITS) // columns
    for column in range((left << BITS) // size, ((left + WIDTH) << BITS) // size + 1):
        begin, end = column * size, (column + 1) * size
        start, stop = (begin >> BITS) - left, (end >> BITS) - left
        a, b = min(max(start + 1, 0), WIDTH), max(min(stop, WIDTH), 0)
        for line in range(HEIGHT):
            ink = INK[symbol, line]
            total = max(ink[b] - ink[a], 0)
            if 0 <= start < WIDTH:
                total += ((ink[start + 1] - ink[start]) * (ONE - (begin & (ONE - 1)))) >> BITS
            if 0 <= stop < WIDTH:
                total += ((ink[stop + 1] - ink[stop]) * (end & (ONE - 1))) >> BITS
            lines[line, column] += total


@njit(nogil=True, cache=True, error_model="numpy")
def paper(picture, small):
    """The paper's input: a picture [96, 96, 3] resized by area to [84, 84, 3] float32 in [0, 1], in place.

    A pixel spans 8/7 of the larger picture's: of each 8 rows, row j of 7 takes 7 - j parts of row j and j + 1 parts of
    the next.
    """
    scale = 1.0 / (64 * 255)
    for row in range(PAPER):
        y, lower = row + row // 7, row % 7 + 1
        for column in range(PAPER):
            x, right = column + column // 7, column % 7 + 1
            for channel in range(3):
                upper = (8 - right) * picture[y, x, channel] + right * picture[y, x + 1, channel]
                under = (8 - right) * picture[y + 1, x, channel] + right * picture[y + 1, x + 1, channel]
                small[row, column, channel] = ((8 - lower) * upper + lower * under) * scale


@njit(nogil=True, cache=True, error_model="numpy")
def grey(picture, light):
    """Lightness [R, C] of a picture [R, C, 3], in place: as Gymnasium's ``GrayscaleObservation``, rounded down."""
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            red, green, blue = picture[row, column]
            light[row, column] = np.uint8(0.2125 * red + 0.7154 * green + 0.0721 * blue)
