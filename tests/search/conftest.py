"""What the tests of strategies share."""

import secrets

import pytest


@pytest.fixture
def fresh() -> int:
    """A seed that is another one each time, printed so that a failure can be repeated."""
    seed = secrets.randbits(32)
    print(f"seed: {seed}")
    return seed
