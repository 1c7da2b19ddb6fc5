"""What the tests of evaluators share."""

import secrets

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    seed = secrets.randbits(32)
    print(f"{seed = }")
    return np.random.default_rng(seed)
