"""What the single and the vector environment have in common: spaces, metadata, and how arguments are checked."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space
from numpy.typing import NDArray

from .damage import PLACES
from .stock import ACTIONS, CLIP, OBSERVATIONS

START_NOISE = 0.1  # rad; joints start uniformly within it, either way

# What ``info`` tells, in the order of `stock.TOLD`.
INFO: tuple[str, ...] = ("distance", "reward_alive", "reward_progress", "reward_electricity", "reward_joints_at_limit")

METADATA: dict[str, Any] = {
    "render_fps": 60,  # 1 / 0.0165 s
    "damages": [f"{place}:shorten" for place in PLACES],  # that an evaluation tries unless asked otherwise
    "megabytes_per_env": 31,  # of memory, nearly all of it Bullet's for an empty world; measured
}


def observation_space() -> Space[NDArray[np.float32]]:
    return Box(-CLIP, CLIP, (OBSERVATIONS,), np.float32)


def action_space() -> Space[NDArray[np.float32]]:
    return Box(-1.0, 1.0, (ACTIONS,), np.float32)


def random_angles(rng: np.random.Generator) -> NDArray[np.float64]:
    """The angles [8] in radians at which the joints start."""
    return rng.uniform(-START_NOISE, START_NOISE, ACTIONS)


def check_reward(reward: str) -> None:
    if reward not in ("progress", "full"):
        raise ValueError(f"reward: expected 'progress' or 'full'; got {reward!r}")
