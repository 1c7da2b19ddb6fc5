"""A driver's score is the one that it has in the stock environment."""

from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
from test_car_racing_physics import good, view

ID = "neuroplastic_envs:neuroplastic/CarRacing-v0"
ROAD_AHEAD = np.s_[50:58]  # rows of the picture, some 7 to 11 units before the car
SPEED_BAR = np.s_[84:, 13]
FROM_THE_MIDDLE = np.arange(96) - 47.5

Driver = Callable[[int, np.ndarray], np.ndarray]  # from the step and the picture to an action


def score(env: gymnasium.Env, driver: Driver, seed: int) -> float:
    """The return of an episode, of 1,000 steps if the car does not end it."""
    seen, _ = env.reset(seed=seed)
    total, over = 0.0, False
    for step in range(1001):
        seen, reward, terminated, truncated, _ = env.step(driver(step, seen))
        total, over = total + float(reward), terminated or truncated
        if over:
            break
    assert over
    return total


def by_picture(step: int, picture: np.ndarray) -> np.ndarray:
    """Steers to the middle of the road ahead, and goes as fast as it is straight. Continuous in what it sees."""
    if step < 50:  # the camera has not come near yet
        return np.float32([0, 0.3, 0])
    red, green = picture[ROAD_AHEAD][..., 0].astype(float), picture[ROAD_AHEAD][..., 1].astype(float)
    road = (np.clip(1 - (green - red) / 100, 0, 1) * np.clip(red / 100, 0, 1)).sum(axis=0)
    aside = (road * FROM_THE_MIDDLE).sum() / max(road.sum(), 20)
    speed, wanted = picture[SPEED_BAR].mean(axis=1).sum() / 12, 55 / (1 + 0.06 * abs(aside))
    return np.clip([0.08 * aside, min(0.1 * (wanted - speed), 0.5), 0.02 * (speed - wanted - 4)], (-1, 0, 0), 1)


@pytest.mark.slow
def test_a_driver_who_knows_all_scores_the_same(rng):
    """Exactly, though in each environment by its own road and car. The stock one need not draw then."""
    stock, ours = gymnasium.make("CarRacing-v3", disable_env_checker=True), gymnasium.make(ID)
    race, cars = stock.unwrapped, ours.unwrapped._race.cars
    race._render, race.shown = lambda mode: None, 0.0
    roads = {}

    def by_stock(step: int, _: np.ndarray) -> np.ndarray:
        if step == 0:
            roads["stock"] = np.array(race.track)
        return good(step, roads["stock"], view(race), None).astype(np.float32)

    def by_ours(step: int, _: np.ndarray) -> np.ndarray:
        return good(step, cars.tracks[0].points, cars.views[0], None).astype(np.float32)

    scores = []
    for seed in rng.integers(2**31, size=50).tolist():
        scores.append(score(ours, by_ours, seed))
        assert scores[-1] == score(stock, by_stock, seed), seed
    assert np.mean(scores) > 400  # it does drive
    stock.close(), ours.close()


@pytest.mark.slow
def test_a_driver_who_sees_scores_the_same(rng):
    """Pictures differ by rounding, so actions do in the third digit, and a car may meet a tile some frames later.

    In 200 pairs of episodes half of the returns were equal, the others within 23 of about 816 (a tile is worth 3.4).
    """
    stock, ours, beside = gymnasium.make("CarRacing-v3"), gymnasium.make(ID), gymnasium.make(ID)
    apart, actions = [], []
    for seed in rng.integers(2**31, size=3).tolist():
        beside.reset(seed=seed)  # lives the stock environment's episode: what would the driver do in it?

        def by_stocks_picture(step: int, picture: np.ndarray) -> np.ndarray:
            action = by_picture(step, picture)
            own = by_picture(step, beside.unwrapped._race.observations[0])
            beside.step(action)
            actions.append(np.abs(action - own))
            return action

        apart.append(abs(score(stock, by_stocks_picture, seed) - score(ours, by_picture, seed)))
    assert np.mean(actions, axis=0).max() < 0.01  # a picture that is a pixel aside would make it 0.08
    assert np.median(apart) < 30
    stock.close(), ours.close(), beside.close()
