"""How much of each pixel of a picture is covered, and by what: exact areas of polygons, kept as sums along rows.

An edge of a polygon covers what lies to its right: a pixel holds by how much more of it is covered than of the pixel
to its left. The edges on the other side of the polygon take that back. So an edge costs no more than the pixels it
passes through, edges that two polygons of one kind share need not be drawn at all, and the sum over a row's pixels up
to one, a word, tells what covers that pixel: a lane of bits for each kind.
"""

from .compiled import compiled

PLAIN, LIGHT, LIGHTER, WHITE, RED, BEYOND = range(6)  # kinds: the road's three shades, the kerbs, outside of the field
KINDS = 6
LANE = 10  # bits
WHOLE_BITS = 7
WHOLE = 1 << WHOLE_BITS  # a pixel that is covered once; also the steps in which an edge's ends lie in rows
OFFSET = 128  # of each lane, so that what has been rounded below 0 takes nothing from the next one
GROUND = sum(OFFSET << LANE * kind for kind in range(KINDS))  # a word where nothing covers


@compiled
def add_edge(x0, y0, x1, y1, value, cover, spans):
    """Covers what is to the right of an edge if it goes down, and uncovers it if it goes up.

    Args:
        x0: where it starts, in pixels from the left.
        y0: the same from the top, a whole number of parts: WHOLE to a pixel.
        x1: where it ends.
        y1: the same from the top.
        value: 1 in the lane of the kind that covers; or a sum and difference of such.
        cover: [R, C + 1] differences, changed in place.
        spans: [R, 2] the first and the last of a row that have changed; in place.
    """
    if y0 > y1:
        x0, y0, x1, y1, value = x1, y1, x0, y0, -value
    rows, columns = cover.shape[0], cover.shape[1] - 1
    if y0 == y1 or y1 <= 0 or y0 >= rows * WHOLE or min(x0, x1) >= columns:
        return
    lean = (x1 - x0) / (y1 - y0)
    for row in range(max(y0, 0) >> WHOLE_BITS, (min(y1, rows * WHOLE) - 1 >> WHOLE_BITS) + 1):
        top, bottom = max(y0, row << WHOLE_BITS), min(y1, (row + 1) << WHOLE_BITS)
        height, low, high = bottom - top, x0 + (top - y0) * lean, x0 + (bottom - y0) * lean
        if low > high:
            low, high = high, low
        if low >= columns:
            continue
        first = max(int(low), 0)
        spans[row, 0] = min(spans[row, 0], first)
        if low >= 0 and high <= first + 1:
            beside = int(height * ((low + high) / 2 - first) + 0.5)
            cover[row, first] += value * (height - beside)
            cover[row, first + 1] += value * beside
            spans[row, 1] = max(spans[row, 1], first + 1)
            continue
        # The area to the right of the edge that lies to the left of a column's end, of which it is a parabola.
        last, done, area = first, 0, 0.0
        bend = 0.5 / (high - low)
        if low < 0:
            inside = min(-low, high - low)
            area = inside * inside * bend + max(-high, 0.0)
        while last < high and last < columns:
            inside = min(last + 1, high) - low
            more = inside * inside * bend + max(last + 1 - high, 0.0)
            covered = int(height * (more - area) + 0.5)
            cover[row, last] += value * (covered - done)
            done, area, last = covered, more, last + 1
        cover[row, last] += value * (height - done)
        spans[row, 1] = max(spans[row, 1], last)
