"""The score, as text in the bar. It changes now and then only, so what has been drawn last is kept."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .camera import BAR, WINDOW_HEIGHT, WINDOW_WIDTH
from .compiled import compiled
from .digits import ADVANCE, GLYPHS, HEIGHT, KERNING, MINUS, WIDTH
from .shrink import BITS, ends, shrinking

X, Y = 60, 730  # window pixels: the text's middle, and the upper end of its characters (y downwards)
MOST = 99999
KEPT = 64  # scores
INK = np.zeros((11, WIDTH + 1, HEIGHT), np.int64)  # sums over the columns before
INK[:, 1:] = np.cumsum(GLYPHS, axis=2, dtype=np.int64).swapaxes(1, 2)
ADVANCES = np.array(ADVANCE)


class Scores(NamedTuple):
    """Scores as they look in the R rows of a picture's bar."""

    known: NDArray[np.int64]  # [KEPT] 2 × the number, and 1 if it has a minus; -1 for none
    light: NDArray[np.uint8]  # [KEPT, R, C]
    lines: NDArray[np.int64]  # [C, HEIGHT] working memory


def scores(rows: int, columns: int) -> Scores:
    """For pictures of this size."""
    width = math.ceil(4 * X * columns / WINDOW_WIDTH)
    light = np.zeros((KEPT, rows * BAR // WINDOW_HEIGHT, width), np.uint8)
    return Scores(np.full(KEPT, -1), light, np.zeros((width, HEIGHT), np.int64))


@compiled
def draw_score(score, scores, picture):
    """The score is at least four characters wide; numbers above -1 that round to 0 keep their minus."""
    known, light, _ = scores
    whole, minus = min(np.int64(abs(np.rint(score))), MOST), math.copysign(1.0, score) < 0
    text = 2 * whole + minus
    place = text % KEPT
    if known[place] != text:
        _write(whole, minus, place, picture, scores)
        known[place] = text
    _, rows, columns = light.shape
    top = picture.shape[0] - rows
    for row in range(rows):
        for column in range(columns):
            grey = light[place, row, column]
            if grey > 0:
                for channel in range(3):
                    picture[top + row, column, channel] = grey


@compiled
def _write(whole, minus, place, picture, scores):
    """Writes a score into its place."""
    _, light, lines = scores
    rows, columns, _ = picture.shape
    across, down = shrinking(WINDOW_WIDTH, columns), shrinking(WINDOW_HEIGHT, rows)
    count = 3 if minus else 4
    while whole >= 10**count:
        count += 1
    lines[:] = 0
    x = X - _width(whole, minus, count) // 2
    pen, before = 0, -1
    for character in range(count + minus):
        symbol = MINUS if minus and character == 0 else whole // 10 ** (count + minus - 1 - character) % 10
        if before >= 0:
            pen += 64 * ADVANCES[before] + KERNING[before, symbol]
        _add_glyph(symbol, x + (pen >> 6), across, lines)
        before = symbol
    light[place] = 0
    top = rows - light.shape[1]
    for row in range(Y * rows // WINDOW_HEIGHT, (Y + HEIGHT) * rows // WINDOW_HEIGHT + 1):
        start, stop, part, part_end = ends(row, down)
        start, stop = start - Y, stop - Y
        for column in range(lines.shape[0]):
            total = 0
            if 0 <= start < HEIGHT:
                total += (((lines[column, start] * across.part) >> 16) * part) >> BITS
            for line in range(max(start + 1, 0), min(stop, HEIGHT)):
                total += (lines[column, line] * across.part) >> 16
            if 0 <= stop < HEIGHT:
                total += (((lines[column, stop] * across.part) >> 16) * part_end) >> BITS
            light[place, row - top, column] = (total * down.part) >> 16


@compiled
def _width(whole, minus, count):
    """Width of the score's text in window pixels."""
    pen, before = 0, MINUS if minus else -1
    for place in range(count):
        symbol = whole // 10 ** (count - 1 - place) % 10
        if before >= 0:
            pen += 64 * ADVANCES[before] + KERNING[before, symbol]
        before = symbol
    return (pen >> 6) + WIDTH


@compiled
def _add_glyph(symbol, left, across, lines):
    """Adds a character to sums [C, HEIGHT] over the window pixels of each of the picture's columns."""
    for column in range((left << BITS) // across.size, ((left + WIDTH) << BITS) // across.size + 1):
        start, stop, part, part_end = ends(column, across)
        start, stop = start - left, stop - left
        # Of three kinds: the pixels that lie in the column wholly, and the parts of the first and the last one.
        first, end = min(max(start + 1, 0), WIDTH), max(min(stop, WIDTH), 0)
        part = part if 0 <= start < WIDTH else 0
        part_end = part_end if 0 <= stop < WIDTH else 0
        start, stop = min(max(start, 0), WIDTH - 1), min(max(stop, 0), WIDTH - 1)
        for line in range(HEIGHT):
            total = max(INK[symbol, end, line] - INK[symbol, first, line], 0)
            total += ((INK[symbol, start + 1, line] - INK[symbol, start, line]) * part) >> BITS
            total += ((INK[symbol, stop + 1, line] - INK[symbol, stop, line]) * part_end) >> BITS
            lines[column, line] += total
