"""The car in the picture is the stock environment's."""

import numpy as np
import pytest
from stock_race import CAR_BOX, ours, pair, wait_for_final_zoom


@pytest.mark.parametrize("time", [0.3, 1.0])
def test_the_car_is_drawn_in_any_pose_of_its_wheels(env, rng, time):
    for _ in range(20):
        env.t = time
        for wheel in env.car.wheels:
            wheel.phase, wheel.angle = rng.uniform(-50, 50), env.car.hull.angle + rng.uniform(-0.4, 0.4)
        assert pair(env).difference[CAR_BOX].mean() <= 2


def test_a_car_that_is_missing_or_has_no_stripes_would_be_noticed(env):
    wait_for_final_zoom(env)
    both = pair(env)
    env.car.drawlist = env.car.drawlist[:4]  # no hull
    assert np.abs(env.picture()[CAR_BOX].astype(int) - both.ours[CAR_BOX]).mean() > 2
    for wheel in env.car.wheels:
        wheel.phase = -1.6  # the stripe is in sight
    with_stripes = pair(env)
    for wheel in env.car.wheels:
        wheel.phase = 0.9  # and out of it
    assert np.abs(env.picture()[CAR_BOX].astype(int) - with_stripes.stock[CAR_BOX]).mean() > 0.3
    assert np.abs(ours(env)[CAR_BOX].astype(int) - with_stripes.ours[CAR_BOX]).mean() > 0.3
