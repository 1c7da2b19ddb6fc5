import secrets

import pytest
import torch


@pytest.fixture
def generator() -> torch.Generator:
    """Fresh random numbers each time; the seed is printed, so that a failure can be repeated."""
    seed = secrets.randbits(32)
    print(f"generator seed: {seed}")
    return torch.Generator().manual_seed(seed)
