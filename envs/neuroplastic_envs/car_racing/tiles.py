"""Which tiles a car touches, decided as Box2D decides it: by the distance between convex polygons, in single precision.

The distance is that of Gilbert, Johnson and Keerthi (1988) in barycentric coordinates; two polygons touch when it is at
most two skins. Most pairs are so clearly apart, or one so clearly on top of the other, that rounding cannot matter: the
tile's edges alone tell those. Box2D's broad phase is left out: its boxes reach 0.1 beyond the polygons, so it neither
misses nor delays a touch.
"""

import math

import numpy as np

from .compiled import compiled

F = np.float32
SIZE = 0.02
SKINS = F(0.01) + F(0.01)
EPSILON = np.finfo(F).eps
NO_DISTANCE = F(10) * EPSILON  # beyond the skins
ITERATIONS = 20

# Counterclockwise and from the rightmost lowest corner on, as Box2D holds them.
WHEEL_POLYGON = (SIZE * np.array([(14, -27), (14, 27), (-14, 27), (-14, -27)])).astype(F)
HULL_POLYGONS = tuple(
    (SIZE * np.array(corners)).astype(F)
    for corners in (
        [(60, 110), (60, 130), (-60, 130), (-60, 110)],
        [(20, 20), (15, 120), (-15, 120), (-20, 20)],
        [(50, -40), (50, -10), (25, 20), (-25, 20), (-50, -10), (-50, -40), (-20, -90), (20, -90)],
        [(50, -120), (50, -90), (-50, -90), (-50, -120)],
    )
)

X, Y, SIN, COS = 0, 1, 2, 3  # a pose [4]
HULL = 4  # its row among the poses [5, 4]; the wheels have the others

APART, OVER, CLOSE = 0, 1, 2  # the first two where rounding cannot matter
SURELY = F(0.02)  # an edge × the way from it to a point that is surely on the tile's side of it
WHEEL_REACH = F(0.7)  # farthest that a wheel touches from its center, and some more
HULL_REACH = F(3.0)  # the same from the hull's position
CAR_REACH = F(3.5)  # the same for all of the car
ROAM = F(8.0)  # how far the car may go before the tiles near it are looked for again


@compiled
def look_around(x, y, circles, near):
    """Puts the tiles that a car can touch while it is within ROAM of (x, y) into ``near``, the last of them first.

    Args:
        circles: [T, 3] around the tiles.
        near: [T] at least.

    Returns:
        How many they are.
    """
    found = 0
    for tile in range(len(circles) - 1, -1, -1):
        dx, dy, reach = circles[tile, 0] - x, circles[tile, 1] - y, circles[tile, 2] + CAR_REACH + ROAM
        if dx * dx + dy * dy <= reach * reach:
            near[found] = tile
            found += 1
    return found


@compiled
def contact(poses, shapes, near, found, grip, visited, earned, count, lap):
    """What a car touches where it is.

    Tiles are taken in falling order, as in a world where nothing was before.

    Args:
        poses: [5, 4] float32 X, Y, SIN, COS of the wheels and the hull.
        shapes: [T, 4, 2] float32 the tiles.
        near: those that it can touch.
        found: how many they are.
        grip: [4] bool; becomes whether a wheel is on the road.
        visited: [T] bool; set where a wheel or the hull touches a tile.
        earned: [T] bool; set where a wheel does, which is rewarded.
        count: how many were earned before.
        lap: part of the tiles beyond which the first tile, when it is earned, completes the lap.

    Returns:
        How many are earned now, and whether the lap was completed so.
    """
    grip[0] = grip[1] = grip[2] = grip[3] = complete = False
    for number in range(found):  # no slices here: numba counts references to them
        tile = near[number]
        side = _where(shapes, tile, poses, HULL, HULL_REACH)
        if side == APART:
            continue
        before = earned[tile]
        for wheel in range(4):
            if not (grip[wheel] and earned[tile]) and _wheel_touches(shapes, tile, poses, wheel):
                grip[wheel] = earned[tile] = visited[tile] = True
        if earned[tile] and not before:
            count += 1
            complete |= tile == 0 and count / len(shapes) > lap
        if not visited[tile]:
            visited[tile] = side == OVER or _hull_touches(shapes, tile, poses)
    return count, complete


@compiled
def _wheel_touches(shapes, tile, poses, wheel):
    side = _where(shapes, tile, poses, wheel, WHEEL_REACH)
    return side == OVER or (side == CLOSE and touch(shapes, tile, WHEEL_POLYGON, poses, wheel))


@compiled
def _hull_touches(shapes, tile, poses):
    return (
        touch(shapes, tile, HULL_POLYGONS[0], poses, HULL)
        or touch(shapes, tile, HULL_POLYGONS[1], poses, HULL)
        or touch(shapes, tile, HULL_POLYGONS[2], poses, HULL)
        or touch(shapes, tile, HULL_POLYGONS[3], poses, HULL)
    )


@compiled
def _where(shapes, tile, poses, body, reach):
    """How a polygon that holds its body's position, and lies within reach of it, is to a tile: APART, OVER or CLOSE."""
    x, y = poses[body, X], poses[body, Y]
    over = True
    for i in range(4):
        ax, ay = shapes[tile, i, 0], shapes[tile, i, 1]
        ex, ey = shapes[tile, (i + 1) & 3, 0] - ax, shapes[tile, (i + 1) & 3, 1] - ay
        inward = ex * (y - ay) - ey * (x - ax)
        if inward < SURELY:
            over = False
            if inward < 0 and inward * inward > reach * reach * (ex * ex + ey * ey):
                return APART
    return OVER if over else CLOSE


@compiled
def touch(shapes, tile, polygon, poses, body):
    """Whether a tile of shapes [T, 4, 2], in the world, and a polygon [K, 2] of a body touch; both counterclockwise.

    A simplex has up to three corners, each a corner j of the polygon minus a corner i of the tile. Its point closest to
    the origin has shares r of them.
    """
    count, i1, j1, i2, j2, i3, j3 = 1, 0, 0, 0, 0, 0, 0
    r1, r2 = F(1), F(0)
    sin, cos = poses[body, SIN], poses[body, COS]
    for _ in range(ITERATIONS):
        before, a1, b1, a2, b2, a3, b3 = count, i1, j1, i2, j2, i3, j3
        x1, y1 = _corner(shapes, tile, i1, polygon, j1, poses, body)
        x2, y2 = _corner(shapes, tile, i2, polygon, j2, poses, body)
        if count == 2:
            kept, r1, r2 = _segment(x1, y1, x2, y2)
            if kept == 2:
                i1, j1, x1, y1 = i2, j2, x2, y2
            count = 2 if kept == 3 else 1
        elif count == 3:
            x3, y3 = _corner(shapes, tile, i3, polygon, j3, poses, body)
            kept, r1, r2 = _triangle(x1, y1, x2, y2, x3, y3)
            if kept == 7:
                return True  # the origin is inside
            if kept == 2:
                i1, j1, x1, y1 = i2, j2, x2, y2
            elif kept == 4 or kept == 6:
                i1, j1, x1, y1 = i3, j3, x3, y3
            elif kept == 5:
                i2, j2, x2, y2 = i3, j3, x3, y3
            count = 1 if kept in (1, 2, 4) else 2

        if count == 1:
            dx, dy = -x1, -y1
        else:
            ex, ey = x2 - x1, y2 - y1
            dx, dy = (-ey, ex) if ex * -y1 - ey * -x1 > 0 else (ey, -ex)
        if dx * dx + dy * dy < EPSILON * EPSILON:
            break
        i = _tile_support(shapes, tile, -dx, -dy)
        j = _support(polygon, cos * dx + sin * dy, -sin * dx + cos * dy)
        if (i == a1 and j == b1) or (before > 1 and i == a2 and j == b2) or (before > 2 and i == a3 and j == b3):
            break
        if count == 1:
            i2, j2 = i, j
        else:
            i3, j3 = i, j
        count += 1
    if count == 3:
        return True
    ax, ay = shapes[tile, i1, 0], shapes[tile, i1, 1]
    bx, by = _placed(polygon, j1, poses, body)
    if count == 2:
        ax, ay = r1 * ax + r2 * shapes[tile, i2, 0], r1 * ay + r2 * shapes[tile, i2, 1]
        cx, cy = _placed(polygon, j2, poses, body)
        bx, by = r1 * bx + r2 * cx, r1 * by + r2 * cy
    dx, dy = ax - bx, ay - by
    distance = math.sqrt(dx * dx + dy * dy)
    return not (distance > SKINS and distance > EPSILON) or distance - SKINS < NO_DISTANCE


@compiled
def _placed(polygon, j, poses, body):
    x, y, sin, cos = polygon[j, 0], polygon[j, 1], poses[body, SIN], poses[body, COS]
    return (cos * x - sin * y) + poses[body, X], (sin * x + cos * y) + poses[body, Y]


@compiled
def _corner(shapes, tile, i, polygon, j, poses, body):
    x, y = _placed(polygon, j, poses, body)
    return x - shapes[tile, i, 0], y - shapes[tile, i, 1]


@compiled
def _support(polygon, dx, dy):
    """The first corner that lies farthest in a direction."""
    best, farthest = 0, polygon[0, 0] * dx + polygon[0, 1] * dy
    for i in range(1, len(polygon)):
        far = polygon[i, 0] * dx + polygon[i, 1] * dy
        if far > farthest:
            best, farthest = i, far
    return best


@compiled
def _tile_support(shapes, tile, dx, dy):
    best, farthest = 0, shapes[tile, 0, 0] * dx + shapes[tile, 0, 1] * dy
    for i in range(1, 4):
        far = shapes[tile, i, 0] * dx + shapes[tile, i, 1] * dy
        if far > farthest:
            best, farthest = i, far
    return best


@compiled
def _segment(x1, y1, x2, y2):
    """The ends (bits 1, 2) that span a segment's closest point to the origin, and their shares."""
    ex, ey = x2 - x1, y2 - y1
    share2 = -(x1 * ex + y1 * ey)
    if share2 <= 0:
        return 1, F(1), F(0)
    share1 = x2 * ex + y2 * ey
    if share1 <= 0:
        return 2, F(1), F(0)
    scale = F(1) / (share1 + share2)
    return 3, share1 * scale, share2 * scale


@compiled
def _triangle(x1, y1, x2, y2, x3, y3):
    """The corners (bits 1, 2, 4) that span a triangle's closest point to the origin, and the shares of the two kept.

    Corner 3 takes the place of the one that is dropped, and so its share.
    """
    ex, ey = x2 - x1, y2 - y1
    a1, a2 = x2 * ex + y2 * ey, -(x1 * ex + y1 * ey)
    fx, fy = x3 - x1, y3 - y1
    b1, b2 = x3 * fx + y3 * fy, -(x1 * fx + y1 * fy)
    gx, gy = x3 - x2, y3 - y2
    c1, c2 = x3 * gx + y3 * gy, -(x2 * gx + y2 * gy)
    area = ex * fy - ey * fx
    d1, d2, d3 = area * (x2 * y3 - y2 * x3), area * (x3 * y1 - y3 * x1), area * (x1 * y2 - y1 * x2)
    if a2 <= 0 and b2 <= 0:
        return 1, F(1), F(0)
    if a1 > 0 and a2 > 0 and d3 <= 0:
        scale = F(1) / (a1 + a2)
        return 3, a1 * scale, a2 * scale
    if b1 > 0 and b2 > 0 and d2 <= 0:
        scale = F(1) / (b1 + b2)
        return 5, b1 * scale, b2 * scale
    if a1 <= 0 and c2 <= 0:
        return 2, F(1), F(0)
    if b1 <= 0 and c1 <= 0:
        return 4, F(1), F(0)
    if c1 > 0 and c2 > 0 and d1 <= 0:
        scale = F(1) / (c1 + c2)
        return 6, c2 * scale, c1 * scale
    return 7, F(0), F(0)
