"""What the single and the vector environment have in common: spaces, metadata, and how arguments are checked."""

import math
from collections.abc import Collection
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


def check_count(name: str, value: Any, unit: str) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: expected a whole number of {unit} >= 1; got {value!r}")


def check_options(options: dict[str, Any], known: Collection[str]) -> None:
    if unknown := set(options) - set(known):
        raise ValueError(
            f"options: expected {' or '.join(map(repr, known))}; got {', '.join(map(repr, sorted(unknown)))}"
        )


def are_finite(numbers: NDArray[Any]) -> bool:
    """Whether all of them are numbers, and finite."""
    try:
        return all(map(math.isfinite, numbers.ravel().tolist()))
    except (TypeError, ValueError, OverflowError):
        return False


def finite(name: str, values: Any, *shapes: tuple[int, ...]) -> NDArray[Any]:
    """``values`` as an array of finite numbers of one of these shapes, in the precision they came in."""
    try:
        array = np.asarray(values)
    except ValueError:  # ragged
        array = np.empty(0)
    if array.shape not in shapes or not are_finite(array):
        expected = " or ".join(" × ".join(map(str, shape)) for shape in shapes)
        raise ValueError(f"{name}: expected {expected} finite numbers; got {values!r}")
    return array
