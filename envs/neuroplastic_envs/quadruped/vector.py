"""The quadruped as a vector environment: many ants in lockstep, each in a world of its own."""

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
from . import camera, interface
from .ant import Ants
from .damage import Damage, DamageError, parse_damage
from .stock import ACTIONS, FULL, PROGRESS, are_finite, ends

FLOATS = np.dtype(np.float32), np.dtype(np.float64)

Flags = NDArray[np.bool_]


class QuadrupedVectorEnv(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """N quadrupeds in lockstep. Every row lives bit for bit as a `QuadrupedEnv` with its seed, damage and actions.

    Observations [N, 28], actions [N, 8], rewards [N] and the arrays [N] in ``infos`` mean what they do there.

    **Rows that have ended are left alone.** Nothing is reset by itself (``AutoresetMode.DISABLED``): a row that is
    terminated or truncated is not stepped, and costs nothing, until it is reset. Meanwhile its action is ignored (it
    may be NaN), its observation, flags and distance stay what they were, and its rewards are 0. `active` tells which
    rows are stepped; a task with a stop rule of its own clears more of it.

    **Truncation**: after ``max_episode_steps`` steps; there is no wrapper that does it.

    **Memory**: ``metadata["megabytes_per_env"]`` a row, nearly all of it Bullet's own for each world.

    Attributes:
        active: [N] bool, the rows that the next `step` moves: True from a row's reset until it is terminated or
            truncated, or until the caller clears it. The caller may set it again: an ant that has fallen goes on.

    Args:
        num_envs: rows N.
        reward: ``"progress"`` or ``"full"``.
        damage: one text for all rows (see `damage`), or a text or None for each [N].
        terminate: ``False`` lets ants that have fallen go on.
        max_episode_steps: steps after which a row is truncated; None for never.
        render_mode: ``"rgb_array"`` for pictures from `render`; for a window use ``gymnasium.make``.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.

    `reset` takes one seed, for row i seed + i, or a list with a seed or None for each row, and these ``options``:

    * ``reset_mask``: [N] bool, the rows to reset; all others are left as they are;
    * ``damage``: as above, in place of the constructor's, for these episodes only;
    * ``joints``: [8] or [N, 8] angles in radians at which the joints start, in place of random ones.

    Raises:
        DamageError: ``damage`` cannot be understood, or there is not one for each row.
        ValueError: another argument, an action or an option has a value that cannot be used; nothing has moved then.
        RuntimeError: Bullet opens no more worlds.
    """

    metadata = interface.METADATA | {
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.DISABLED,
    }

    def __init__(
        self,
        num_envs: int,
        reward: Literal["progress", "full"] = "progress",
        damage: str | Sequence[str | None] | None = None,
        terminate: bool = True,
        max_episode_steps: int | None = 1000,
        render_mode: Literal["rgb_array"] | None = None,
        width: int = 480,
        height: int = 360,
    ) -> None:
        self.closed = True  # until there is something to close
        checks.check_count("num_envs", num_envs, "rows")
        interface.check_reward(reward)
        if max_episode_steps is not None:
            checks.check_count("max_episode_steps", max_episode_steps, "steps")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(
                "render_mode: expected None or 'rgb_array' (a window shows one quadruped, that of gymnasium.make); "
                f"got {render_mode!r}"
            )
        checks.check_count("width", width, "pixels")
        checks.check_count("height", height, "pixels")
        self.num_envs, self.reward, self.terminate = num_envs, reward, terminate
        self._limit = sys.maxsize if max_episode_steps is None else max_episode_steps
        self.render_mode, self.width, self.height = render_mode, width, height
        self.single_observation_space = interface.observation_space()
        self.single_action_space = interface.action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._damages = self._for_each_row(damage)
        self._ants = Ants(self._damages)
        self.closed = False
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._distance = np.zeros(num_envs)
        self._terminated, self._truncated = np.zeros(num_envs, np.bool_), np.zeros(num_envs, np.bool_)
        self.active = np.zeros(num_envs, np.bool_)
        self._ready = False

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride]  # as SyncVectorEnv, a seed for each row
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        options = options or {}
        checks.check_options(options, ("reset_mask", "damage", "joints"))
        mask = checks.reset_mask(options, self.num_envs)
        damages = self._for_each_row(options["damage"]) if "damage" in options else self._damages
        joints = self._joints(options["joints"]) if "joints" in options else None
        rngs = checks.generators(seed, self.num_envs)

        for row in np.flatnonzero(mask).tolist():
            rng = self._rngs[row] = rngs[row] or self._rngs[row] or np_random()[0]
            angles = interface.random_angles(rng) if joints is None else joints[row]
            self._ants.reset(row, angles.tolist(), damages[row])
            self._ready = True
        self._distance[mask] = 0.0
        self._terminated[mask] = self._truncated[mask] = False
        self.active[mask] = True
        return self._ants.observations.copy(), {"distance": self._distance.copy()}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before step")
        (rows,) = self.active.nonzero()
        told = self._ants.step(rows, self._asked(rows, actions))
        flags = self._terminated, self._truncated, self.active
        ends(rows, told, self._ants.ages, self._limit, self.terminate, *flags, self._distance)
        rewards = told[PROGRESS if self.reward == "progress" else FULL].copy()
        infos = dict(zip(interface.INFO, told, strict=False))
        return self._ants.observations.copy(), rewards, self._terminated.copy(), self._truncated.copy(), infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Pictures [height, width, 3] of all rows."""
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before render")
        if self.render_mode is None:
            gymnasium.logger.warn("render: this environment was made without a render_mode")
            return None
        return tuple(camera.picture(simulation, self.width, self.height) for simulation in self._ants.simulations)

    def close_extras(self, **kwargs: Any) -> None:
        self._ants.close()
        self._ready = False

    def _asked(self, rows: NDArray[np.intp], actions: Any) -> NDArray[Any]:
        """The actions [N, 8] after a check of those of some rows [n]."""
        known = isinstance(actions, np.ndarray) and actions.shape == self.action_space.shape and actions.dtype in FLOATS
        if not (known and are_finite(rows, actions)):  # then this tells what is wrong, if anything is
            checks.finite_rows(actions, rows, self.num_envs, ACTIONS)
        return np.asarray(actions)

    def _for_each_row(self, damage: Any) -> list[tuple[Damage, ...]]:
        if damage is None or isinstance(damage, str):
            return [parse_damage(damage)] * self.num_envs
        if not isinstance(damage, Sequence | np.ndarray) or len(damage) != self.num_envs:
            raise DamageError(f"damage: expected one, or one for each of {self.num_envs} rows; got {damage!r}")
        return [parse_damage(text) for text in damage]

    def _joints(self, joints: Any) -> NDArray[Any]:
        one, each = (ACTIONS,), (self.num_envs, ACTIONS)
        return np.broadcast_to(checks.finite("options['joints']", joints, one, each), each)
