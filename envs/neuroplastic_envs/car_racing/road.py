"""The road and its kerbs, and the end of the world, as what they cover of a picture.

Tiles share the line between them, which is drawn only where they differ. The road swells only to its sides: there is no
end of it.
"""

import math
from typing import NamedTuple

from .camera import BAR, CAR_X, CAR_Y, WINDOW_HEIGHT, WINDOW_WIDTH, in_window
from .compiled import compiled
from .coverage import BEYOND, LANE, PLAIN, RED, WHITE, WHOLE
from .outline import add_line, add_quadrilateral, corner, swell
from .view import PLAYFIELD

REACH = 11.5  # no vertex of a tile or its kerb is farther from the tile's point
NEAR, FAR, FAR_BEFORE, NEAR_BEFORE = 0, 1, 2, 3  # corners of a kerb: sides of the road, at a tile's point and before


class Line(NamedTuple):
    """A line across the road, in the window."""

    left_x: float
    left_y: float
    right_x: float
    right_y: float
    out: tuple[float, float]  # by how much the right end has moved outwards; the left one has gone the other way


@compiled
def paint(points, tiles, borders, kerb, shade, visited, camera, cover, spans):
    """Covers what is not ground.

    Args:
        points: [T, 4] of the track; the last two are x and y.
        tiles: [T, 4, 2] corners of the road's tiles: left and right at their points, right and left at those before.
        borders: [T, 4, 2] corners of the kerbs.
        kerb: [T] 0 none, 1 white, 2 red.
        shade: [T] 0, 1 or 2, how light a tile is until it is visited.
        visited: [T] bool.
        camera: what the picture shows.
        cover: [R, C + 1] words, changed in place, as is the next.
        spans: [R, 2] the first and the last of a row that have changed.
    """
    sight = math.hypot(WINDOW_WIDTH - CAR_X, WINDOW_HEIGHT - CAR_Y) / camera.zoom
    if max(abs(camera.x), abs(camera.y)) + sight > PLAYFIELD:
        _end_the_world(camera, cover, spans)
    before, back = 0, Line(0.0, 0.0, 0.0, 0.0, (0.0, 0.0))
    for tile in range(len(points)):
        kind = 0
        if _is_in_sight(points[tile, 2], points[tile, 3], sight + REACH, camera):
            kind = 1 << LANE * (PLAIN + (0 if visited[tile] else shade[tile]))
        if kind != 0 and before == 0:
            back = _line(tiles, tile, 3, 2, camera)
        if kind != before:
            add_line(back.left_x, back.left_y, back.right_x, back.right_y, kind - before, camera, cover, spans)
        if kind != 0:
            front = _line(tiles, tile, 0, 1, camera)
            add_line(front.left_x, front.left_y, back.left_x, back.left_y, kind, camera, cover, spans)
            add_line(back.right_x, back.right_y, front.right_x, front.right_y, kind, camera, cover, spans)
            if kerb[tile]:
                _paint_kerb(tile, borders, kerb, front.out, back.out, camera, cover, spans)
            back = front
        before = kind
    if before != 0:
        add_line(back.left_x, back.left_y, back.right_x, back.right_y, -before, camera, cover, spans)


@compiled
def _is_in_sight(x, y, sight, camera):
    """Whether a tile at this point may be: most are not even near."""
    east, north = x - camera.x, y - camera.y
    if east * east + north * north > sight * sight:
        return False
    right, up = in_window(x, y, camera)
    margin = REACH * camera.zoom
    return -margin < right < WINDOW_WIDTH + margin and BAR - margin < up < WINDOW_HEIGHT + margin


@compiled
def _line(tiles, tile, left, right, camera):
    """From one corner of a tile to another, back along the road by as much as a tile swells over the one before."""
    left_x, left_y = in_window(tiles[tile, left, 0], tiles[tile, left, 1], camera)
    right_x, right_y = in_window(tiles[tile, right, 0], tiles[tile, right, 1], camera)
    x, y = swell(right_x - left_x, right_y - left_y)
    left_x, left_y, right_x, right_y = int(left_x) - x, int(left_y) - y, int(right_x) + x, int(right_y) + y
    return Line(left_x + y, left_y - x, right_x + y, right_y - x, (x, y))


@compiled
def _paint_kerb(tile, borders, kerb, front_out, back_out, camera, cover, spans):
    """Covers a kerb, which may have no width and lie in the middle of the road.

    Where another one follows, which the stock paints over it, it ends earlier by as much as that one swells.
    """
    near_x, near_y = corner(borders[tile, NEAR, 0], borders[tile, NEAR, 1], camera)
    far_x, far_y = corner(borders[tile, FAR, 0], borders[tile, FAR, 1], camera)
    front = near_x, near_y, far_x, far_y
    near_x, near_y = corner(borders[tile, NEAR_BEFORE, 0], borders[tile, NEAR_BEFORE, 1], camera)
    far_x, far_y = corner(borders[tile, FAR_BEFORE, 0], borders[tile, FAR_BEFORE, 1], camera)
    back = near_x, near_y, far_x, far_y
    if (front[2] - front[0]) * front_out[0] + (front[3] - front[1]) * front_out[1] < 0:  # to the left of the road
        front, back = (front[2], front[3], front[0], front[1]), (back[2], back[3], back[0], back[1])
    ahead = -1.0 if kerb[(tile + 1) % len(kerb)] else 1.0
    value = 1 << LANE * (WHITE if kerb[tile] == 1 else RED)
    add_quadrilateral(front, back, front_out, back_out, ahead, value, camera, cover, spans)


@compiled
def _end_the_world(camera, cover, spans):
    """Covers all, and uncovers the field."""
    value = 1 << LANE * BEYOND
    for row in range(camera.rows):
        cover[row, 0] += value * WHOLE
        spans[row, 0], spans[row, 1] = 0, max(spans[row, 1], 0)
    left, top = corner(-PLAYFIELD, PLAYFIELD, camera)
    right, right_top = corner(PLAYFIELD, PLAYFIELD, camera)
    front = left, top, right, right_top
    left, bottom = corner(-PLAYFIELD, -PLAYFIELD, camera)
    right, right_bottom = corner(PLAYFIELD, -PLAYFIELD, camera)
    back = left, bottom, right, right_bottom
    out = swell(camera.cos, -camera.sin)
    add_quadrilateral(front, back, out, out, 1.0, -value, camera, cover, spans)
