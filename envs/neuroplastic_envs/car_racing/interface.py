"""What the single and the vector environment have in common: spaces, metadata, and how arguments are checked."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from .. import checks
from .cars import DISCRETE
from .resize import PAPER, SIZE

METADATA: dict[str, Any] = {
    "render_fps": 50,
    "megabytes_per_env": 0.35,  # of memory, with a track of its own; measured
}
LOWEST, HIGHEST = np.array([-1.0, 0.0, 0.0], np.float32), np.ones(3, np.float32)
STEERING = "steering in [-1, 1], gas and brake in [0, 1]"


def observation_space(observation: str) -> Box:
    """Of ``"rgb"``, ``"grey"`` and ``"paper"``.

    Raises:
        ValueError: there is no such observation.
    """
    if observation == "rgb":
        return Box(0, 255, (SIZE, SIZE, 3), np.uint8)
    if observation == "grey":
        return Box(0, 255, (SIZE, SIZE, 1), np.uint8)
    if observation == "paper":
        return Box(0.0, 1.0, (PAPER, PAPER, 3), np.float32)
    raise ValueError(f"observation: expected 'rgb', 'grey' or 'paper'; got {observation!r}")


def action_space(continuous: bool) -> Space[Any]:
    return Box(LOWEST, HIGHEST) if continuous else Discrete(len(DISCRETE))


def check_rules(lap_complete_percent: float, frame_skip: int) -> None:
    if not 0 < lap_complete_percent <= 1:
        raise ValueError(f"lap_complete_percent: expected a part above 0, at most 1; got {lap_complete_percent!r}")
    checks.check_count("frame_skip", frame_skip, "frames")


def in_range(actions: NDArray[Any]) -> bool:
    """Whether all of some actions [n, 3] are what a driver can do."""
    return bool((actions >= LOWEST).all() and (actions <= HIGHEST).all())
