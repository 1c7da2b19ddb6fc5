"""What a driver sees: the picture of the stock environment, which draws 1000 × 800 pixels and shrinks them.

A picture [R, C, 3] has any size. The stock's own is 96 × 96, and what people watch 400 × 600. It is drawn in three
parts, each in a file of its own: the world, the car on it, and the bar below. Everything is a function of one car; only
`look_all` knows that there are others.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .body import Body, body, draw_car
from .camera import BAR, WINDOW_HEIGHT, WINDOW_WIDTH, camera_of
from .compiled import compiled
from .dashboard import draw_bar
from .resize import SIZE
from .score import Scores, scores
from .world import Canvas, canvas, draw_world


class Roads(NamedTuple):
    """What pictures show of the tracks of cars [N], each of up to T tiles, as in `Track`."""

    lengths: NDArray[np.int64]  # [N]
    points: NDArray[np.float64]  # [N, T, 4]
    tiles: NDArray[np.float64]  # [N, T, 4, 2]
    borders: NDArray[np.float64]  # [N, T, 4, 2]
    kerb: NDArray[np.uint8]  # [N, T]
    shade: NDArray[np.uint8]  # [N, T]


class Scratch(NamedTuple):
    """Working memory for pictures of one size; one for each thread."""

    canvas: Canvas
    body: Body
    scores: Scores


def scratch(rows: int = SIZE, columns: int = SIZE) -> Scratch:
    """Working memory for `draw` of pictures of this size.

    Raises:
        ValueError: if rows are not a multiple of 8 up to 800, or columns not one of 4 up to 1000.
    """
    for name, length, unit, most in (("rows", rows, 8, WINDOW_HEIGHT), ("columns", columns, 4, WINDOW_WIDTH)):
        if length % unit or not 0 < length <= most:
            raise ValueError(f"{name}: expected a multiple of {unit} from {unit} to {most}; got {length!r}")
    above = rows - rows * BAR // WINDOW_HEIGHT
    return Scratch(canvas(above, columns), body(rows, columns), scores(rows, columns))


@compiled
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
    camera = camera_of(view, picture)
    draw_world(points, tiles, borders, kerb, shade, visited, colors, camera, scratch.canvas, picture)
    draw_car(view, camera, scratch.body, picture)
    draw_bar(view, scratch.scores, picture)


@compiled
def look(row, roads, visited, views, colors, scratch, picture):
    """Draws what car ``row`` sees.

    Args:
        row: which of N cars.
        roads: theirs.
        visited: [N, T] bool.
        views: [N, VIEW].
        colors: [N, 3, 3].
        scratch: working memory for pictures of this size.
        picture: [R, C, 3] uint8, changed in place.
    """
    length = roads.lengths[row]
    points, tiles, borders = roads.points[row, :length], roads.tiles[row, :length], roads.borders[row, :length]
    kerb, shade, seen = roads.kerb[row, :length], roads.shade[row, :length], visited[row, :length]
    draw(points, tiles, borders, kerb, shade, seen, views[row], colors[row], scratch, picture)


@compiled
def look_all(rows, roads, visited, views, colors, scratch, pictures):
    """Draws what the cars ``rows`` [n] see: pictures [N, R, C, 3], of which these change in place."""
    for row in rows:
        look(row, roads, visited, views, colors, scratch, pictures[row])
