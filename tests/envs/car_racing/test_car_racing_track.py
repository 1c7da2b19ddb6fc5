"""Tracks: number by number those of the stock environment, from the same random numbers."""

import numpy as np
import pytest
from gymnasium.envs.box2d.car_racing import CarRacing
from gymnasium.utils.seeding import np_random
from neuroplastic_envs.car_racing.cars import COLORS, Cars, random_colors
from neuroplastic_envs.car_racing.track import NO_KERB, RED, WHITE, Track, make_track


class Stock(CarRacing):
    """The stock environment without its pictures, which are nearly all of its time."""

    def _render(self, mode):
        return None


def seeds(rng: np.random.Generator, number: int) -> list[int]:
    return rng.integers(2**31, size=number).tolist()


def assert_same(track: Track, stock: Stock) -> None:
    count = len(stock.track)
    assert np.array_equal(track.points, stock.track)
    tiles, shades = [], []
    borders, kerbs = np.zeros((count, 4, 2)), np.full(count, NO_KERB)
    for quad, color in stock.road_poly:
        if isinstance(color, tuple):  # a kerb, drawn after its tile
            borders[len(tiles) - 1], kerbs[len(tiles) - 1] = quad, WHITE if color == (255, 255, 255) else RED
        else:
            tiles.append(quad)
            shades.append(color)
    assert np.array_equal(track.tiles, tiles)
    shaded = stock.road_color + (0.01 * track.shade * 255)[:, None]
    touched = (shades == stock.road_color).all(1)  # the car has touched those around the start
    assert touched.mean() < 0.4  # every third has no shade
    assert np.array_equal(np.where(touched[:, None], stock.road_color, shaded), shades)
    assert np.array_equal(track.kerb, kerbs)
    assert np.array_equal(track.borders, borders)
    for shape, body in zip(track.shapes, stock.road, strict=True):
        corners = np.array(body.fixtures[0].shape.vertices, np.float32)
        assert np.array_equal(shape[: len(corners)], corners)
        assert (shape[len(corners) :] == corners[-1]).all()


def test_track_is_that_of_the_stock(rng):
    stock = Stock()
    for seed in seeds(rng, 12):
        stock.reset(seed=seed)
        own = np_random(seed)[0]
        assert_same(make_track(own), stock)
        assert own.bit_generator.state == stock.np_random.bit_generator.state


@pytest.mark.slow
def test_many_tracks_are_those_of_the_stock(rng):
    stock = Stock()
    for seed in seeds(rng, 300):
        stock.reset(seed=seed)
        track = make_track(np_random(seed)[0])
        assert np.array_equal(track.points, stock.track), seed


def test_next_track_of_the_same_generator(rng):
    stock, own = Stock(), np_random(seed := seeds(rng, 1)[0])[0]
    stock.reset(seed=seed)
    make_track(own)
    for _ in range(3):
        stock.reset()
        assert_same(make_track(own), stock)


def test_attempts_that_fail(rng):
    """Where the first 24 numbers make no closed road, the next 24 are drawn, as often as it takes."""
    stock = Stock()
    while True:
        seed = seeds(rng, 1)[0]
        own, once = np_random(seed)[0], np_random(seed)[0]
        make_track(own)
        once.random(24)
        if own.bit_generator.state != once.bit_generator.state:
            break
    stock.reset(seed=seed)
    assert np.array_equal(make_track(np_random(seed)[0]).points, stock.track)
    assert own.bit_generator.state == stock.np_random.bit_generator.state


def test_random_colors_are_drawn_before_the_track(rng):
    stock = Stock(domain_randomize=True)
    seed = seeds(rng, 1)[0]
    stock.reset(seed=seed)
    own = np_random(seed)[0]
    colors = random_colors(own)
    assert np.array_equal(colors, [stock.road_color, stock.bg_color, stock.grass_color])
    assert_same(make_track(own), stock)


def test_colors_can_be_kept(rng):
    stock, cars = Stock(domain_randomize=True), Cars(1, domain_randomize=True)
    seed = seeds(rng, 1)[0]
    own = np_random(seed)[0]
    stock.reset(seed=seed)
    cars.reset(0, own)
    kept = cars.colors.copy()
    stock.reset(options={"randomize": False})
    cars.reset(0, own, randomize=False)
    assert np.array_equal(cars.colors, kept)
    assert np.array_equal(cars.colors[0], [stock.road_color, stock.bg_color, stock.grass_color])
    assert np.array_equal(cars.tracks[0].points, stock.track)


def test_plain_colors_are_those_of_the_stock():
    stock = Stock()
    assert np.array_equal(COLORS, [stock.road_color, stock.bg_color, stock.grass_color])


def test_circles_hold_their_tiles(rng):
    track = make_track(rng)
    away = np.hypot(*np.moveaxis(track.shapes.astype(float) - track.circles[:, None, :2], -1, 0))
    assert (away <= track.circles[:, 2:] + 1e-4).all()


def test_tracks_are_shared_and_cannot_be_written(rng):
    seed = seeds(rng, 1)[0]
    track = make_track(np_random(seed)[0])
    assert make_track(np_random(seed)[0]) is track
    for array in track:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
