"""The picture is the stock environment's, as near as is promised."""

import os
from pathlib import Path

import numpy as np
import pytest
from neuroplastic_envs.car_racing import picture, view
from stock_race import SITUATIONS, assert_alike, follow_road, ours, pair, start, wait_for_final_zoom


@pytest.mark.parametrize("randomize", [False, True], ids=["plain", "randomized"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_pictures_are_the_stocks(situation, randomize, rng):
    seen = False
    for _ in range(3):
        env = start(rng, domain_randomize=randomize)
        for _ in SITUATIONS[situation](env, rng):
            seen = True
            assert_alike(pair(env))
    assert seen or situation == "kerbs"  # a track may have none


def test_a_kerb_without_width_is_a_thin_line(rng):
    """Where a hard bend begins with a straight tile, both sides of its kerb lie in the middle of the road."""
    env = start(rng, domain_randomize=True)
    env.reset(seed=454611602)
    points, _, borders, kerb, _, _ = env.arrays()
    lines = np.flatnonzero((kerb > 0) & (borders[:, 0] == borders[:, 1]).all(axis=1))
    assert len(lines)
    wait_for_final_zoom(env)
    for point in lines.repeat(12):
        env.place(rng, *points[point, 2:4] + rng.uniform(-10, 10, 2))
        assert_alike(pair(env))


def test_the_three_shades_of_the_road_are_where_they_belong(env, rng):
    wait_for_final_zoom(env)
    for _ in range(10):
        env.step(np.array([0.0, 1.0, 0.0]))
    both = pair(env)
    shades = [102 - 2, 104 - 2, 107 - 2]
    for shade in shades:  # a road where a tile lies wholly in a pixel
        there = (both.stock == shade).all(axis=2)
        assert there.any()
        assert (both.ours[there] == shade).mean() > 0.97


def test_a_picture_depends_on_nothing_that_was_drawn_before(env, rng):
    memory = picture.scratch()
    drawn = [np.zeros((96, 96, 3), np.uint8) for _ in range(3)]
    world, colors = env.arrays(), env.colors()
    for place in (drawn[0], drawn[1]):
        picture.draw(*world, env.view(), colors, memory, place)
        other = env.view()
        other[view.TIME], other[view.HULL : view.HULL + 3] = rng.uniform(0, 3), rng.uniform(-330, 330, 3)
        picture.draw(*world, other, colors, memory, drawn[2])
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_the_large_picture_shows_the_same(env, rng):
    wait_for_final_zoom(env)
    for _ in range(60):
        env.step(follow_road(env, 60))
    env.car.particles.clear()  # traces of skidding, which only the stock's large picture shows
    expected, drawn = env.picture("rgb_array"), ours(env, 400, 600)
    difference = np.abs(expected.astype(int) - drawn)
    assert difference.mean() <= 1
    assert (difference.max(axis=2) > 40).mean() <= 0.005


@pytest.mark.parametrize(("rows", "columns"), [(0, 96), (90, 96), (96, 97), (808, 96), (96, 1004)])
def test_sizes_that_cannot_be_drawn_are_refused(rows, columns):
    with pytest.raises(ValueError, match="expected a multiple of"):
        picture.scratch(rows, columns)


def test_a_strip_for_people_to_look_at(rng, tmp_path):
    """Stock, ours, and their difference eight times as strong, one row for each situation.

    It is written below the folder PICTURES, if that is set.
    """
    image = pytest.importorskip("PIL.Image")
    rows = []
    for number, situation in enumerate(SITUATIONS.values()):
        env = start(rng, domain_randomize=number % 2 == 1)
        for _ in situation(env, rng):
            both = pair(env)
            strong = np.minimum(8 * both.difference, 255).astype(np.uint8)
        rows.append(np.hstack([both.stock, both.ours, strong]))
    path = Path(os.environ.get("PICTURES", tmp_path)) / "car_racing.png"
    image.fromarray(np.vstack(rows).repeat(4, axis=0).repeat(4, axis=1)).save(path)
    assert image.open(path).size == (4 * 3 * 96, 4 * 96 * len(SITUATIONS))
