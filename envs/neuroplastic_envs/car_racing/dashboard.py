"""The bar below the picture: gauges of speed, wheels, steering and spin beside the score."""

from .camera import BAR, WINDOW_HEIGHT, WINDOW_WIDTH
from .compiled import compiled
from .score import draw_score
from .shrink import shrinking, shrunk_line
from .view import OMEGA, SCORE, SPEED, SPIN, STEER

GAUGE, LEAST = 25, 1e-4  # width in window pixels; smaller values are not shown
WHITE, GREEN, RED = (255, 255, 255), (0, 255, 0), (255, 0, 0)


@compiled
def draw_bar(view, scores, picture):
    rows, columns, channels = picture.shape
    for row in range(rows - rows * BAR // WINDOW_HEIGHT, rows):
        for column in range(columns):
            for channel in range(channels):
                picture[row, column, channel] = 0
    shrunk = shrinking(WINDOW_WIDTH, columns), shrinking(WINDOW_HEIGHT, rows)
    high, low = _upright(view[SPEED], 0.02)
    _rectangle(5 * GAUGE, 6 * GAUGE, high, low, WHITE, shrunk, picture)
    for wheel in range(4):
        high, low = _upright(view[OMEGA + wheel], 0.01)
        color = (0 if wheel < 2 else 51, 0, 255)
        left, right = (7 + wheel) * GAUGE, (8 + wheel) * GAUGE
        if wheel == 3:
            _rectangle(left, right, high, low, color, shrunk, picture)
            break
        next_high, next_low = _upright(view[OMEGA + wheel + 1], 0.01)  # the next one is painted over the last column
        _rectangle(left, right - 1, high, low, color, shrunk, picture)
        _rectangle(right, right, high, min(low, next_high - 1), color, shrunk, picture)
        _rectangle(right, right, max(high, next_low + 1), low, color, shrunk, picture)
    spin = view[SPIN]
    steer_end = WINDOW_WIDTH - 1
    if spin > LEAST:  # may reach so far to the left that it covers the steering
        steer_end = int(GAUGE * (30 - 0.8 * spin)) - 1
    _level(20, view[STEER], -10.0, steer_end, GREEN, shrunk, picture)
    _level(30, spin, -0.8, WINDOW_WIDTH - 1, RED, shrunk, picture)
    draw_score(view[SCORE], scores, picture)


@compiled
def _upright(value, scale):
    """First and last window row of a gauge that grows upwards."""
    if abs(value) <= LEAST:
        return WINDOW_HEIGHT, WINDOW_HEIGHT - 1  # none
    foot = WINDOW_HEIGHT - 20
    top = int(WINDOW_HEIGHT - (20 + 20 * scale * value))
    return min(top, foot), max(top, foot)


@compiled
def _level(place, value, scale, end, color, shrunk, picture):
    """A gauge that grows to the left or the right, up to the column ``end``."""
    if abs(value) > LEAST:
        tip = int(GAUGE * (place + scale * value))
        left, right = min(tip, GAUGE * place), max(tip, GAUGE * place)
        _rectangle(left, min(right, end), WINDOW_HEIGHT - 80, WINDOW_HEIGHT - 40, color, shrunk, picture)


@compiled
def _rectangle(left, right, top, bottom, color, shrunk, picture):
    """Adds a rectangle of window pixels, first to last, to what is black in the bar."""
    across, down = shrunk
    left, right = max(left, 0), min(right, WINDOW_WIDTH - 1)
    top, bottom = max(top, WINDOW_HEIGHT - BAR), min(bottom, WINDOW_HEIGHT - 1)
    if left > right or top > bottom:
        return
    first, end = left * across.cells // WINDOW_WIDTH, -(-(right + 1) * across.cells // WINDOW_WIDTH)
    first_row, end_row = top * down.cells // WINDOW_HEIGHT, -(-(bottom + 1) * down.cells // WINDOW_HEIGHT)
    for column in range(first, end):
        for channel in range(3):
            value = shrunk_line(color[channel], left, right, column, across)
            if value > 0:
                for row in range(first_row, end_row):
                    picture[row, column, channel] += shrunk_line(value, top, bottom, row, down)
