"""What tests of the car race share."""

import pytest


@pytest.fixture
def env(rng):
    """A stock environment that has just been reset; without Box2D the test is skipped."""
    return pytest.importorskip("stock_race").start(rng)
