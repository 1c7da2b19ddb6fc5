"""How pygame shrinks a line of pixels to fewer cells: with 14 bits behind the point, rounded down."""

from typing import NamedTuple

from .compiled import compiled

BITS = 14
ONE = 1 << BITS
LOSS = 2  # what shrinking takes from an even colour, by rounding down in both directions


class Shrinking(NamedTuple):
    """How many pixels become how many cells, and numbers made of that."""

    pixels: int
    cells: int
    size: int  # of a cell in pixels, times ONE
    part: int  # what a pixel adds to it, of 2^16


@compiled
def shrinking(pixels, cells):
    size = (pixels << BITS) // cells
    return Shrinking(pixels, cells, size, (ONE << 16) // size)


@compiled
def ends(cell, by):
    """Of the pixels in a cell: the first and the last one, and which parts of these, of ONE, the cell holds.

    The last one may be the one after the line, of which it holds nothing.
    """
    begin, end = cell * by.size, (cell + 1) * by.size
    return begin >> BITS, end >> BITS, ONE - (begin & (ONE - 1)), end & (ONE - 1)


@compiled
def shrunk_line(value, first, last, cell, by):
    """What becomes of one cell if the pixels first to last have this value, and the others none."""
    start, stop, part, part_end = ends(cell, by)
    total = value * max(min(last, stop - 1) - max(first, start + 1) + 1, 0)
    if first <= start <= last:
        total += (value * part) >> BITS
    if first <= stop <= last:
        total += (value * part_end) >> BITS
    return (total * by.part) >> 16


@compiled
def shrunk(color):
    """What becomes of an even colour."""
    return max(int(color) - LOSS, 0)
