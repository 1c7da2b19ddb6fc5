"""Polygons of the window, as the stock environment fills them.

It cuts their corners to whole pixels, fills both ends of each line, and draws a smooth outline around that. So they are
larger than they should be by about half a pixel on each side. Here their corners move outwards by as much.
"""

import math

from .camera import WINDOW_HEIGHT, in_window
from .compiled import compiled
from .coverage import WHOLE, add_edge

SWELL, SWELL_FLAT = 0.6, 0.5  # window pixels by which an edge moves, sideways and up or down


@compiled
def corner(x, y, camera):
    """A point of the world in the window, cut to whole pixels."""
    x, y = in_window(x, y, camera)
    return float(int(x)), float(int(y))


@compiled
def swell(x, y):
    """By how much an edge moves in this direction, which is across it."""
    length = math.sqrt(x * x + y * y)
    by = max(SWELL * abs(x), SWELL_FLAT * abs(y)) / (length * length)
    return by * x, by * y


@compiled
def add_line(x0, y0, x1, y1, value, camera, cover, spans):
    """`add_edge` between the middles of two pixels of the window."""
    x0, x1 = (x0 + 0.5) * camera.across - camera.left, (x1 + 0.5) * camera.across - camera.left
    y0, y1 = (WINDOW_HEIGHT - 0.5 - y0) * camera.down, (WINDOW_HEIGHT - 0.5 - y1) * camera.down
    add_edge(x0, round((y0 - camera.top) * WHOLE), x1, round((y1 - camera.top) * WHOLE), value, cover, spans)


@compiled
def add_quadrilateral(front, back, front_out, back_out, ahead, value, camera, cover, spans):
    """Covers a quadrilateral that looks up, or is so turned.

    Args:
        front: x and y of its left corner, and of its right one.
        back: the same at its back.
        front_out: x and y by which its front right corner moves to the right; the left one moves to the left.
        back_out: the same at the back.
        ahead: how often as far the front corners move ahead; the back ones move back once.
        value: what covers it.
        camera: what the picture shows.
        cover: [R, C + 1] words, changed in place, as is the next.
        spans: [R, 2] the first and the last of a row that have changed.
    """
    x, y = front_out
    x0, y0 = front[0] - x - ahead * y, front[1] - y + ahead * x
    x1, y1 = front[2] + x - ahead * y, front[3] + y + ahead * x
    x, y = back_out
    x2, y2 = back[0] - x + y, back[1] - y - x
    x3, y3 = back[2] + x + y, back[3] + y - x
    add_line(x0, y0, x2, y2, value, camera, cover, spans)
    add_line(x2, y2, x3, y3, value, camera, cover, spans)
    add_line(x3, y3, x1, y1, value, camera, cover, spans)
    add_line(x1, y1, x0, y0, value, camera, cover, spans)
