"""Changing bodies as vector environments: many in lockstep, each with a change of its own."""

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .. import checks
from . import physics
from .bodies import ChangingAcrobotEnv, ChangingCartPoleEnv, ChangingPendulumEnv
from .change import Change, ChangeError, parse_change
from .env import ChangingEnv

Flags = NDArray[np.bool_]


class ChangingVectorEnv(VectorEnv[NDArray[np.float32], NDArray[Any], NDArray[Any]]):
    """N bodies in lockstep. Every row lives bit for bit as a `ChangingEnv` with its seed, damage and actions.

    (Bit for bit wherever NumPy takes sine and cosine from the C library, as compiled code does.)

    Observations [N, I], actions [N] or [N, O], rewards [N] and the arrays [N] in ``infos`` mean what they do there.

    **Rows that have ended are left alone.** Nothing is reset by itself (``AutoresetMode.DISABLED``): a row that is
    terminated or truncated is not stepped, and costs nothing, until it is reset. Meanwhile its action is ignored, its
    observation, flags and infos stay what they were, and its rewards are 0. `active` tells which rows are stepped.

    **Truncation**: after ``max_episode_steps`` steps; there is no wrapper that does it.

    Attributes:
        active: [N] bool, the rows that the next `step` moves: True from a row's reset until it is terminated or
            truncated, or until the caller clears it. The caller may set it again: a pole that has fallen goes on.

    Args:
        num_envs: rows N.
        damage: one text for all rows, or a text or None for each [N].
        max_episode_steps: steps after which a row is truncated; None for never. ``gymnasium.make_vec`` gives the
            stock environment's.
        render_mode: None; for pictures use ``gymnasium.make``.
        options: those of the stock environment.

    `reset` takes one seed, for row i seed + i, or a list with a seed or None for each row, and these ``options``:

    * ``reset_mask``: [N] bool, the rows to reset; all others are left as they are;
    * ``damage``: as above, in place of the constructor's, for these episodes only;
    * those of the stock environment.

    Raises:
        ChangeError: ``damage`` cannot be understood, or there is not one for each row.
        ValueError: another argument, an action or an option has a value that cannot be used; nothing has moved then.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012
    single: ClassVar[type[ChangingEnv]]
    move: ClassVar[Callable[..., None]]
    """One of `physics`."""
    state_size: ClassVar[int] = 4

    @staticmethod
    @abstractmethod
    def figures(body: Any) -> tuple[float, ...]:
        """What `move` must know of a body."""

    def __init__(
        self,
        num_envs: int,
        damage: str | Sequence[str | None] | None = None,
        max_episode_steps: int | None = None,
        render_mode: None = None,
        **options: Any,
    ) -> None:
        checks.check_count("num_envs", num_envs, "rows")
        if max_episode_steps is not None:
            checks.check_count("max_episode_steps", max_episode_steps, "steps")
        if render_mode is not None:
            raise ValueError(f"render_mode: expected None (pictures are of gymnasium.make); got {render_mode!r}")
        self.num_envs = num_envs
        self._damages = self._for_each_row(damage)
        self._body: Any = self.single(**options)  # is born for each row in turn
        self._limit = sys.maxsize if max_episode_steps is None else max_episode_steps
        self.single_observation_space = self._body.observation_space
        self.single_action_space = self._body.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._figures = {kind: self._after(kind) for kind in (None, *self.single.metadata["damages"])}
        self._own = np.tile(self._figures[None], (num_envs, 2, 1))  # before and after the change
        self._states = np.zeros((num_envs, self.state_size))
        self._observations = np.zeros((num_envs, *(self.single_observation_space.shape or ())), np.float32)
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._ages, self._change_steps = np.zeros(num_envs, np.int64), np.full(num_envs, sys.maxsize)
        self._terminated, self._truncated = np.zeros(num_envs, np.bool_), np.zeros(num_envs, np.bool_)
        self.active = np.zeros(num_envs, np.bool_)
        self._ready = False

    def reset(  # pyright: ignore[reportIncompatibleMethodOverride]  # as SyncVectorEnv, a seed for each row
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        options = dict(options or {})
        checks.check_options(options, ("reset_mask", "damage", *self.single.reset_options))
        mask = checks.reset_mask(options, self.num_envs)
        damages = self._for_each_row(options["damage"]) if "damage" in options else self._damages
        rngs = checks.generators(seed, self.num_envs)
        stock = {name: value for name, value in options.items() if name in self.single.reset_options}

        for row in np.flatnonzero(mask).tolist():
            rng = self._body.np_random = rngs[row] or self._rngs[row] or np_random()[0]
            self._observations[row], _ = self._body.reset(options=stock)
            self._rngs[row], change = rng, damages[row]
            self._states[row] = 0
            self._states[row, : len(self._body.state)] = self._body.state
            self._own[row, 1] = self._figures[None if change is None else change.kind]
            self._change_steps[row] = sys.maxsize if change is None else change.draw(rng)
            self._ready = True
        self._ages[mask] = 0
        self._terminated[mask] = self._truncated[mask] = False
        self.active[mask] = True
        return self._observations.copy(), self._told()

    def step(self, actions: Any) -> tuple[NDArray[np.float32], NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before step")
        rows, rewards = np.flatnonzero(self.active), np.zeros(self.num_envs)
        asked, now = self._asked(actions, rows), (self._ages >= self._change_steps).astype(np.int64)
        type(self).move(rows, self._own, now, self._states, asked, 2.0, self._observations, rewards, self._terminated)
        self._ages[rows] += 1
        self._truncated[rows] = self._ages[rows] >= self._limit
        self.active &= ~(self._terminated | self._truncated)
        return self._observations.copy(), rewards, self._terminated.copy(), self._truncated.copy(), self._told()

    def _asked(self, actions: Any, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Actions for `move`, after a check of those of some rows [n]."""
        space = self.single_action_space
        if not isinstance(space, Discrete):
            checks.finite_rows(actions, rows, self.num_envs, 1)
            asked = np.asarray(actions)
            return asked if asked.dtype == np.float32 else asked.astype(np.float64)
        try:
            asked = np.asarray(actions)
        except ValueError:  # ragged
            asked = np.empty(0)
        if asked.shape != (self.num_envs,) or not np.issubdtype(asked.dtype, np.integer):
            raise ValueError(f"actions: expected {self.num_envs} whole numbers; got {actions!r}")
        bad = rows[(asked[rows] < 0) | (asked[rows] >= space.n)]
        if len(bad):
            raise ValueError(f"actions: expected 0 to {space.n - 1} in row {bad[0]}; got {asked[bad[0]]}")
        return asked.astype(np.int64)

    def _after(self, kind: str | None) -> tuple[float, ...]:
        """The figures of the body after a change."""
        body = copy(self._body)
        vars(body).update(body.attributes(kind) if kind else {})
        return self.figures(body)

    def _for_each_row(self, damage: Any) -> list[Change | None]:
        kinds = self.single.metadata["damages"]
        if damage is None or isinstance(damage, str):
            return [parse_change(damage, kinds)] * self.num_envs
        if not isinstance(damage, Sequence | np.ndarray) or len(damage) != self.num_envs:
            raise ChangeError(f"damage: expected one, or one for each of {self.num_envs} rows; got {damage!r}")
        return [parse_change(text, kinds) for text in damage]

    def _told(self) -> dict[str, Any]:
        steps = np.maximum(0, self._ages - self._change_steps)
        return {"changed": steps > 0, "steps_changed": steps}


class ChangingCartPoleVectorEnv(ChangingVectorEnv):
    """N of `ChangingCartPoleEnv`; see `ChangingVectorEnv`."""

    single, move = ChangingCartPoleEnv, physics.cart_poles
    state_size = 5  # the last tells that the pole has fallen

    @staticmethod
    def figures(body: Any) -> tuple[float, ...]:
        rewards = (0.0, -1.0, -1.0) if body._sutton_barto_reward else (1.0, 1.0, 0.0)  # up, falling, fallen
        masses = body.gravity, body.masspole, body.total_mass, body.length, body.polemass_length
        return body.force_mag, *masses, body.tau, body.x_threshold, body.theta_threshold_radians, *rewards


class ChangingAcrobotVectorEnv(ChangingVectorEnv):
    """N of `ChangingAcrobotEnv`; see `ChangingVectorEnv`."""

    single, move = ChangingAcrobotEnv, physics.acrobots

    @staticmethod
    def figures(body: Any) -> tuple[float, ...]:
        links = body.LINK_MASS_1, body.LINK_MASS_2, body.LINK_LENGTH_1, body.LINK_COM_POS_1, body.LINK_COM_POS_2
        return *body.AVAIL_TORQUE, *links, body.LINK_MOI, body.dt, body.MAX_VEL_1, body.MAX_VEL_2


class ChangingPendulumVectorEnv(ChangingVectorEnv):
    """N of `ChangingPendulumEnv`; see `ChangingVectorEnv`."""

    single, move = ChangingPendulumEnv, physics.pendulums
    state_size = 2

    @staticmethod
    def figures(body: Any) -> tuple[float, ...]:
        weight, ease = 3 * body.g / (2 * body.l), 3.0 / (body.m * body.l**2)
        return -1.0 if body.mirrored else 1.0, weight, ease, body.dt, body.max_speed, body.max_torque
