"""The world in a picture, row by row: the ground, and over it what covers it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .coverage import BEYOND, GROUND, KINDS, LANE, LIGHT, LIGHTER, OFFSET, PLAIN, RED, WHITE, WHOLE, WHOLE_BITS
from .ground import add_grass, lay_ground
from .road import paint
from .shrink import shrunk

ROAD, BACKGROUND, GRASS = 0, 1, 2  # rows of ``colors`` [3, 3], 0-255
SHADE = 0.01 * 255  # how much lighter every second and, twice, every third tile is until it is visited
SPREAD = 16  # bits of a channel in a sum of colours; packed ones have 8
LANES = 1 << 2 * SPREAD | 1 << SPREAD | 1


class Canvas(NamedTuple):
    """Working memory for the world in R rows and C columns."""

    cover: NDArray[np.int64]  # [R, C + 1] 0 between pictures
    spans: NDArray[np.int64]  # [R, 2] C, -1 between pictures
    along: NDArray[np.int32]  # [2, C]
    pixels: NDArray[np.uint32]  # [C] a row, packed: a channel in each of the lowest three bytes
    palette: NDArray[np.int64]  # [KINDS] colours, spread


def canvas(rows: int, columns: int) -> Canvas:
    return Canvas(
        cover=np.zeros((rows, columns + 1), np.int64),
        spans=np.tile([columns, -1], (rows, 1)),
        along=np.zeros((2, columns), np.int32),
        pixels=np.zeros(columns, np.uint32),
        palette=np.zeros(KINDS, np.int64),
    )


@compiled
def draw_world(points, tiles, borders, kerb, shade, visited, colors, camera, canvas, picture):
    """Draws all that is above the bar; `paint` says what of."""
    cover, spans, along, pixels, palette = canvas
    paint(points, tiles, borders, kerb, shade, visited, camera, cover, spans)
    _mix_colors(colors, palette)
    ground = lay_ground(camera, along)
    base, (red, green, blue) = _ground_colors(colors)
    words = picture.reshape(picture.shape[0], -1).view(np.uint32)
    for row in range(camera.rows):
        for column in range(len(pixels)):
            pixels[column] = base
        if red != 0:
            add_grass(row, ground, along, red, np.int32(0), pixels)
        if green != 0:
            add_grass(row, ground, along, green, np.int32(8), pixels)
        if blue != 0:
            add_grass(row, ground, along, blue, np.int32(16), pixels)
        if spans[row, 0] <= spans[row, 1]:
            _cover_row(row, cover, spans, palette, pixels)
        _unpack(row, pixels, words)


@compiled
def _ground_colors(colors):
    """The background, packed, and what patches add to its channels."""
    base = 0
    for channel in range(3):
        base |= shrunk(colors[BACKGROUND, channel]) << 8 * channel
    red = np.float32(shrunk(colors[GRASS, 0]) - shrunk(colors[BACKGROUND, 0]))
    green = np.float32(shrunk(colors[GRASS, 1]) - shrunk(colors[BACKGROUND, 1]))
    blue = np.float32(shrunk(colors[GRASS, 2]) - shrunk(colors[BACKGROUND, 2]))
    return np.uint32(base), (red, green, blue)


@compiled
def _mix_colors(colors, palette):
    palette[:] = 0
    for channel in range(3):
        lane = SPREAD * channel
        for lightness in range(3):
            palette[PLAIN + lightness] |= shrunk(colors[ROAD, channel] + lightness * SHADE) << lane
        palette[WHITE] |= shrunk(255) << lane
    palette[RED] = shrunk(255)


@compiled
def _cover_row(row, cover, spans, palette, pixels):
    """Puts what covers a row of packed pixels over the ground that they show, and forgets it."""
    first, last = spans[row, 0], spans[row, 1]
    spans[row, 0], spans[row, 1] = len(pixels), -1
    word, known, known_pixel = GROUND, 0, np.uint32(0)
    for column in range(first, min(last + 1, len(pixels))):
        word += cover[row, column]
        cover[row, column] = 0
        if word == known:
            pixels[column] = known_pixel
        elif word != GROUND:
            pixels[column], bare = _covered(word, pixels[column], palette)
            if bare == 0:
                known, known_pixel = word, pixels[column]
    cover[row, len(pixels)] = 0
    if word != GROUND:
        for column in range(last + 1, len(pixels)):
            pixels[column], _ = _covered(word, pixels[column], palette)


@compiled
def _covered(word, pixel, palette):
    """A packed pixel of ground with what covers it, and how much is bare: kerbs lie over tiles, lighter ones on top."""
    bare, total = WHOLE, (WHOLE - 1) * LANES  # rounds up: colours lose less where they are mixed
    for kind in (WHITE, RED, LIGHTER, LIGHT, PLAIN, BEYOND):
        part = min(max((word >> LANE * kind & (1 << LANE) - 1) - OFFSET, 0), bare)
        total += part * palette[kind]
        bare -= part
    ground = np.int64(pixel)
    spread = ground & 255 | (ground & 0xFF00) << SPREAD - 8 | (ground & 0xFF0000) << 2 * SPREAD - 16
    total = total + bare * spread >> WHOLE_BITS
    return np.uint32(total & 255 | total >> SPREAD - 8 & 0xFF00 | total >> 2 * SPREAD - 16 & 0xFF0000), bare


@compiled
def _unpack(row, pixels, words):
    """Packed pixels [C], four bytes each, to the bytes of a row of the picture, seen as words [R, 3 C / 4]."""
    for group in range(len(pixels) // 4):
        a, b, c, d = pixels[4 * group], pixels[4 * group + 1], pixels[4 * group + 2], pixels[4 * group + 3]
        words[row, 3 * group] = a | b << 24
        words[row, 3 * group + 1] = b >> 8 | c << 16
        words[row, 3 * group + 2] = c >> 16 | d << 8
