"""What many tests share: a recipe that runs in a second."""

from typing import Any

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Plain values of a recipe: CartPole, four hidden units, eight members."""
    return {
        "seed": 3,
        "generations": 4,
        "checkpoint_seconds": 0.0,
        "search": {"name": "openai-es", "population": 8, "sigma": 0.1, "learning_rate": 0.1, "optimizer": "adam"},
        "policy": {"hidden": [4]},
        "rule": {"name": "hebbian", "terms": "ABCD+lr", "normaliser": "max"},
        "task": {"env": "CartPole-v1", "horizon": 60, "batch": 4},
        "evaluate": {"workers": 1},
        "selection": {"every": 2, "top": 2, "episodes": 2},
    }
