"""The car race as a vector environment: many cars in lockstep, each on a track of its own."""

import sys
from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .. import checks
from . import interface
from .cars import DISCRETE
from .race import Race

Flags = NDArray[np.bool_]


class CarRacingVectorEnv(VectorEnv[NDArray[Any], NDArray[Any], NDArray[Any]]):
    """N cars in lockstep. Every row lives bit for bit as a `CarRacingEnv` with its seed and actions.

    Observations [N, rows, columns, channels], actions [N, 3] (discrete ones [N]), rewards [N] and the arrays [N] in
    ``infos`` mean what they do there; ``lap_finished`` is True from the end of a lap to the next reset.

    **Rows that have ended are left alone.** Nothing is reset by itself (``AutoresetMode.DISABLED``): a row that is
    terminated or truncated is not stepped, and costs nothing, until it is reset. Meanwhile its action is ignored (it
    may be NaN), its observation, flags and infos stay what they were, and its rewards are 0. `active` tells which rows
    are stepped; a task with a stop rule of its own clears more of it.

    **Truncation**: after ``max_episode_steps`` steps; there is no wrapper that does it.

    **Memory**: ``metadata["megabytes_per_env"]`` a row.

    Attributes:
        active: [N] bool, the rows that the next `step` moves: True from a row's reset until it is terminated or
            truncated, or until the caller clears it.

    Args:
        num_envs: rows N.
        max_episode_steps: steps after which a row is truncated; None for never.
        render_mode: ``"rgb_array"`` for pictures from `render`; for a window use ``gymnasium.make``.

    The others are those of `CarRacingEnv`. `reset` takes one seed, for row i seed + i, or a list with a seed or None
    for each row, and these ``options``:

    * ``reset_mask``: [N] bool, the rows to reset; all others are left as they are;
    * ``randomize``: False keeps the rows' colors.

    Raises:
        ValueError: an argument, an action or an option has a value that cannot be used; nothing has moved then.
    """

    metadata = interface.METADATA | {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.DISABLED}

    def __init__(
        self,
        num_envs: int,
        observation: Literal["rgb", "grey", "paper"] = "rgb",
        continuous: bool = True,
        domain_randomize: bool = False,
        lap_complete_percent: float = 0.95,
        frame_skip: int = 1,
        max_episode_steps: int | None = 1000,
        render_mode: Literal["rgb_array"] | None = None,
        width: int = 600,
        height: int = 400,
    ) -> None:
        checks.check_count("num_envs", num_envs, "rows")
        interface.check_rules(lap_complete_percent, frame_skip)
        checks.check_count("width", width, "pixels")
        checks.check_count("height", height, "pixels")
        if max_episode_steps is not None:
            checks.check_count("max_episode_steps", max_episode_steps, "steps")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(
                "render_mode: expected None or 'rgb_array' (a window shows one car, that of gymnasium.make); "
                f"got {render_mode!r}"
            )
        self.num_envs, self.continuous = num_envs, continuous
        self.render_mode, self.width, self.height = render_mode, width, height
        self.single_observation_space = interface.observation_space(observation)
        self.single_action_space = interface.action_space(continuous)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._race = Race(num_envs, observation, lap_complete_percent, domain_randomize, frame_skip)
        self._limit = sys.maxsize if max_episode_steps is None else max_episode_steps
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._ages, self._tiles = np.zeros(num_envs, np.int64), np.zeros(num_envs)
        self._terminated, self._truncated = np.zeros(num_envs, np.bool_), np.zeros(num_envs, np.bool_)
        self._finished, self.active = np.zeros(num_envs, np.bool_), np.zeros(num_envs, np.bool_)
        self._ready = False

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride]  # as SyncVectorEnv, a seed for each row
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        options = options or {}
        checks.check_options(options, ("reset_mask", "randomize"))
        mask, rngs = checks.reset_mask(options, self.num_envs), checks.generators(seed, self.num_envs)
        for row in np.flatnonzero(mask).tolist():
            rng = self._rngs[row] = rngs[row] or self._rngs[row] or np_random()[0]
            self._race.reset(row, rng, options.get("randomize", True))
            self._tiles[row] = self._race.cars.tiles(row)
            self._ready = True
        self._ages[mask] = 0
        self._terminated[mask] = self._truncated[mask] = self._finished[mask] = False
        self.active[mask] = True
        return self._race.observations.copy(), self._infos()

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before step")
        rows, rewards = np.flatnonzero(self.active), np.zeros(self.num_envs)
        rewards[rows], self._terminated[rows], self._finished[rows] = self._race.step(rows, self._asked(actions, rows))
        self._ages[rows] += 1
        self._tiles[rows] = self._race.cars.tiles(rows)
        self._truncated[rows] = self._ages[rows] >= self._limit
        self.active &= ~(self._terminated | self._truncated)
        seen = self._race.observations.copy()
        return seen, rewards, self._terminated.copy(), self._truncated.copy(), self._infos()

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Pictures [height, width, 3] of all rows."""
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before render")
        if self.render_mode is None:
            gymnasium.logger.warn("render: this environment was made without a render_mode")
            return None
        return tuple(self._race.picture(row, self.height, self.width) for row in range(self.num_envs))

    def _infos(self) -> dict[str, Any]:
        return {"tiles": self._tiles.copy(), "lap_finished": self._finished.copy()}

    def _asked(self, actions: Any, rows: NDArray[np.intp]) -> NDArray[Any]:
        """What the active rows [n] are asked to do: [n, 3]."""
        if not self.continuous:
            try:
                asked: NDArray[Any] = np.asarray(actions)
            except ValueError:  # ragged
                asked = np.empty(0)
            if asked.shape != (self.num_envs,) or not np.issubdtype(asked.dtype, np.integer):
                raise ValueError(f"actions: expected {self.num_envs} whole numbers; got {actions!r}")
            for row in rows:
                if not 0 <= asked[row] < len(DISCRETE):
                    raise ValueError(f"actions: expected 0 to {len(DISCRETE) - 1} in row {row}; got {asked[row]}")
            return DISCRETE[asked[rows]]
        asked = checks.finite_rows(actions, rows, self.num_envs, 3)
        if not interface.in_range(asked):
            bad = next(place for place in range(len(rows)) if not interface.in_range(asked[place]))
            raise ValueError(f"actions: expected {interface.STEERING} in row {rows[bad]}; got {asked[bad].tolist()}")
        return asked
