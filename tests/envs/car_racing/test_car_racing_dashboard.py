"""The bar below the picture is the stock environment's: the score exactly, the gauges but for rounding."""

import numpy as np
import pytest
from stock_race import BAR, SCORE, pair


@pytest.mark.parametrize(("low", "high"), [(-1.6, 1.6), (-130, 0), (0, 1000), (-2000, -100)])
def test_any_score_is_exact(env, rng, low, high):
    for score in rng.uniform(low, high, 30):
        env.reward = score
        both = pair(env)
        np.testing.assert_array_equal(both.ours[SCORE], both.stock[SCORE], err_msg=f"{score}")


def test_any_gauge_is_exact_but_for_rounding(env, rng):
    for _ in range(30):
        for wheel in env.car.wheels:
            wheel.omega = float(rng.choice([0.0, 1e-5, rng.uniform(-150, 350)]))
        env.car.hull.angularVelocity = rng.normal() * 5
        env.car.hull.linearVelocity = tuple(rng.normal(size=2) * 60)
        assert pair(env).difference[BAR].max() <= 4
