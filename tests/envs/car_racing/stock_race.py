"""The stock environment beside ours: what it shows, what ours shows of the same, and situations to compare them in."""

import math
import os
from typing import NamedTuple

import numpy as np
import pytest
from neuroplastic_envs.car_racing import picture, view

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
car_racing = pytest.importorskip("gymnasium.envs.box2d.car_racing")

FINAL_ZOOM = 50  # steps after which the camera is near
CAR_BOX = np.s_[61:79, 42:54]
BAR = np.s_[84:]
SCORE = np.s_[84:, :12]


class Stock(car_racing.CarRacing):
    """The stock environment, which draws only when asked: steps are 70 times faster."""

    draws = False

    def _render(self, mode):
        return super()._render(mode) if self.draws else None

    def picture(self, mode="state_pixels"):
        self.draws = True
        drawn = self._render(mode)
        self.draws = False
        return drawn

    def view(self):
        car = self.car
        seen = np.zeros(view.VIEW)
        seen[view.TIME], seen[view.SCORE] = self.t, self.reward
        seen[view.HULL : view.HULL + 3] = *car.hull.position, car.hull.angle
        seen[view.SPEED] = math.hypot(*car.hull.linearVelocity)
        seen[view.SPIN], seen[view.STEER] = car.hull.angularVelocity, car.wheels[0].joint.angle
        for number, wheel in enumerate(car.wheels):
            seen[view.OMEGA + number] = wheel.omega
            place = view.WHEEL + 4 * number
            seen[place : place + 4] = *wheel.position, wheel.angle, wheel.phase
        return seen

    def arrays(self):
        """What `picture.draw` takes of the track, and what has been visited."""
        number = len(self.track)
        tiles, borders = np.zeros((number, 4, 2)), np.zeros((number, 4, 2))
        kerb = np.zeros(number, np.uint8)
        tile = -1
        for polygon, color in self.road_poly:
            if isinstance(color, tuple):
                borders[tile], kerb[tile] = polygon, 1 if color == (255, 255, 255) else 2
            else:
                tile += 1
                tiles[tile] = polygon
        shade = (np.arange(number) % 3).astype(np.uint8)
        visited = np.array([np.array_equal(tile.color, self.road_color) for tile in self.road])
        return np.array(self.track), tiles, borders, kerb, shade, visited

    def colors(self):
        return np.array([self.road_color, self.bg_color, self.grass_color], float)

    def place(self, rng, x, y):
        """Puts a car there, turned, turning and steering; it has moved for a few steps."""
        self.car.destroy()
        self.car = car_racing.Car(self.world, rng.uniform(0, 2 * math.pi), x, y)
        self.car.hull.angularVelocity = rng.normal() * 3
        self.car.steer(rng.uniform(-1, 1))
        self.car.gas(1.0)
        for _ in range(int(rng.integers(3, 30))):
            self.step(None)


class Pair(NamedTuple):
    stock: np.ndarray
    ours: np.ndarray

    @property
    def difference(self):
        return np.abs(self.stock.astype(int) - self.ours.astype(int))


def ours(env, rows=96, columns=96):
    drawn = np.full((rows, columns, 3), 77, np.uint8)
    picture.draw(*env.arrays(), env.view(), env.colors(), picture.scratch(rows, columns), drawn)
    return drawn


def pair(env):
    return Pair(env.picture(), ours(env))


def start(rng, **options):
    env = Stock(**options)
    env.reset(seed=int(rng.integers(2**31)))
    return env


def assert_alike(both):
    """What is promised, whatever the colours. In 550 pictures the largest mean was 0.15, that of cars 1.0."""
    difference = both.difference
    assert difference.mean() <= 0.25
    assert (difference.max(axis=2) > 40).mean() <= 0.001
    assert difference[CAR_BOX].mean() <= 2
    assert difference[BAR].mean() <= 0.05
    np.testing.assert_array_equal(both.ours[SCORE], both.stock[SCORE])


def follow_road(env, speed):
    """An action that keeps to the road."""
    (x, y), points = env.car.hull.position, np.array(env.track)
    ahead = points[(np.hypot(points[:, 2] - x, points[:, 3] - y).argmin() + 4) % len(points)]
    error = math.remainder(math.atan2(ahead[3] - y, ahead[2] - x) - math.pi / 2 - env.car.hull.angle, 2 * math.pi)
    slow = math.hypot(*env.car.hull.linearVelocity) < speed
    return np.array([min(max(-1.5 * error, -1), 1), float(slow), 0.0])


def at_start(env, rng):
    yield
    env.step(np.array([0.3, 1.0, 0.0]))
    yield


def in_the_zoom(env, rng):
    for step in range(FINAL_ZOOM):
        env.step(follow_road(env, 60))
        if step % 6 == 0:
            yield


def on_the_road(env, rng):
    for step in range(300):
        env.step(follow_road(env, rng.uniform(30, 70)))
        if step > FINAL_ZOOM and step % 30 == 0:
            yield


def on_kerbs(env, rng):
    wait_for_final_zoom(env)
    for point in rng.permutation(np.flatnonzero(env.arrays()[3]))[:4]:
        env.place(rng, *env.track[point][2:4])
        yield


def on_grass(env, rng):
    wait_for_final_zoom(env)
    for _ in range(6):
        env.place(rng, *rng.uniform(-250, 250, 2))
        yield


def at_the_edge(env, rng):
    wait_for_final_zoom(env)
    for _ in range(6):
        env.place(rng, *rng.permutation([rng.choice([-1, 1]) * rng.uniform(310, 333), rng.uniform(-333, 333)]))
        yield


def wildly(env, rng):
    for step in range(200):
        if step % 15 == 0:
            action = np.array([rng.uniform(-1, 1), rng.uniform(), rng.choice([0.0, 0.0, rng.uniform()])])
        if env.step(action)[2]:
            return
        if step % 20 == 19:
            yield


def wait_for_final_zoom(env):
    for _ in range(FINAL_ZOOM):
        env.step(np.zeros(3))


SITUATIONS = {
    "start": at_start,
    "zoom": in_the_zoom,
    "road": on_the_road,
    "kerbs": on_kerbs,
    "grass": on_grass,
    "edge": at_the_edge,
    "wild": wildly,
}
