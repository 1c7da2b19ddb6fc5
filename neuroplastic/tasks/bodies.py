"""Bodies in environments of one kind, moved side by side: ours together, anybody else's one by one."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, MissingExtraError
from neuroplastic.tasks.spaces import Vector, action_writer, observation_reader, zero_action

Rows = NDArray[np.intp]
Made = TypeVar("Made")


def find_spec(env: str) -> EnvSpec:
    """The registration of an id, ``module:id`` included.

    Raises:
        ArgumentError: no such id.
        MissingExtraError: its module cannot be imported.
    """
    module, _, name = env.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gymnasium.spec(name)
    except ImportError as error:
        raise MissingExtraError(f"task.env: {env} needs something that is not installed: {error}") from error
    except gymnasium.error.Error as error:
        raise ArgumentError(f"task.env: expected the id of a registered environment; got {env!r} ({error})") from error


def env_metadata(env: str) -> dict[str, Any]:
    """What the class of an id says of itself, without making one.

    Raises:
        ArgumentError, MissingExtraError: no such id, or its module cannot be imported.
    """
    entry = find_spec(env).entry_point
    try:
        return getattr(load_env_creator(entry) if isinstance(entry, str) else entry, "metadata", {})
    except ImportError as error:
        raise MissingExtraError(f"task.env: {env} needs something that is not installed: {error}") from error


def interface(env: str, options: Mapping[str, Any]) -> tuple[gymnasium.Space, gymnasium.Space]:
    """The spaces of an id's observations and actions.

    Raises:
        ArgumentError, MissingExtraError: no such id, or it cannot be made with these options.
    """
    made = _make(gymnasium.make, env, options, disable_env_checker=True)
    made.close()
    return made.observation_space, made.action_space


def step_limit(env: str, options: Mapping[str, Any], horizon: int = 0) -> int | None:
    """Steps that a life has at most: the horizon or the environment's own limit; None if there is neither.

    Raises:
        ArgumentError, MissingExtraError: no such id.
    """
    own = options.get("max_episode_steps", find_spec(env).max_episode_steps)
    return min((limit for limit in (horizon, own) if limit), default=None)


def _make(maker: Callable[..., Made], env: str, options: Mapping[str, Any], **ours: Any) -> Made:
    """``gymnasium.make`` or ``make_vec`` with errors in one line."""
    find_spec(env)
    try:
        return maker(env, **options, **ours)
    except (DependencyNotInstalled, ImportError) as error:
        raise MissingExtraError(f"task.env: {env} needs something that is not installed: {error}") from error
    except Exception as error:  # whatever an environment's constructor raises
        raise ArgumentError(f"task.env: {env} cannot be made with {dict(options)}: {error}") from error


class Bodies(ABC):
    """B bodies, of which some are moved at a time.

    Attributes:
        size: B.
        shape: of an observation as its environment gives it, such as a picture's [H, W, C].
        inputs, outputs: I and O, numbers in an observation and in an action.
        observations: [B, I] float32, what each body perceives.
        rewards: [B] float64, of its last step.
        terminated, truncated: [B] bool, what its environment said of its last step.
        failures: row -> why it can go no further.
    """

    size: int
    shape: tuple[int, ...]
    inputs: int
    outputs: int

    def __init__(self, size: int, shape: tuple[int, ...], outputs: int) -> None:
        self.size, self.shape, self.inputs, self.outputs = size, shape, prod(shape), outputs
        self.observations = np.zeros((size, self.inputs), np.float32)
        self.rewards = np.zeros(size)
        self.terminated, self.truncated = np.zeros(size, bool), np.zeros(size, bool)
        self.failures: dict[int, str] = {}

    @abstractmethod
    def reset(self, rows: Rows, seeds: NDArray[np.int64]) -> None:
        """Begins an episode in each of some rows [b], from its seed [b]."""

    @abstractmethod
    def step(self, rows: Rows, outputs: Vector, resting: NDArray[np.bool_] | None = None) -> None:
        """Moves some rows [b] by the network's finite outputs [b, O]; those that rest by the action that does nothing.

        Raises:
            SpaceError: a row rests, and there is no such action.
        """

    @abstractmethod
    def measure(self, name: str, row: int) -> float:
        """A number of the last ``info``; NaN if there is none."""

    @abstractmethod
    def close(self) -> None:
        """Frees the environments."""


class SeparateBodies(Bodies):
    """One Gymnasium environment each. One that raises has failed, and is made anew at its next reset."""

    def __init__(
        self, env: str, size: int, options: Mapping[str, Any], fresh: bool = False, squash: Sequence[str] = ()
    ) -> None:
        self.make = lambda: _make(gymnasium.make, env, options, disable_env_checker=True)
        self.fresh = fresh
        self.envs: list[gymnasium.Env | None] = [self.make(), *[None] * (size - 1)]
        assert self.envs[0] is not None
        shape, self._read = observation_reader(self.envs[0].observation_space)
        outputs, self._write = action_writer(self.envs[0].action_space, squash)
        self._action_space = self.envs[0].action_space
        self._infos: list[dict[str, Any]] = [{} for _ in range(size)]
        super().__init__(size, shape, outputs)

    def env(self, row: int) -> gymnasium.Env:
        """The environment of a row, made when it is first needed."""
        found = self.envs[row]
        if found is None:
            found = self.envs[row] = self.make()
        return found

    def reset(self, rows: Rows, seeds: NDArray[np.int64]) -> None:
        for row, seed in zip(rows.tolist(), seeds.tolist(), strict=True):
            self.failures.pop(row, None)
            if self.fresh:
                self._forget(row)
            try:
                observation, self._infos[row] = self.env(row).reset(seed=seed)
                self.observations[row] = self._read(observation)
            except Exception as error:
                self._fail(row, error)
        self.rewards[rows] = 0

    def step(self, rows: Rows, outputs: Vector, resting: NDArray[np.bool_] | None = None) -> None:
        actions = self._write(outputs)
        if resting is not None:
            actions[resting] = zero_action(self._action_space)
        for row, action in zip(rows.tolist(), actions, strict=True):
            try:
                observation, reward, terminated, truncated, self._infos[row] = self.env(row).step(action)
                self.observations[row] = self._read(observation)
                self.rewards[row], self.terminated[row], self.truncated[row] = float(reward), terminated, truncated
            except Exception as error:
                self._fail(row, error)

    def _fail(self, row: int, error: Exception) -> None:
        """A faulty environment is a failed trial, not the end of the run."""
        self.failures[row] = f"{type(error).__name__}: {error}"
        self._forget(row)

    def _forget(self, row: int) -> None:
        env, self.envs[row] = self.envs[row], None
        if env is not None:
            with suppress(Exception):  # it is gone either way
                env.close()

    def measure(self, name: str, row: int) -> float:
        try:
            return float(self._infos[row].get(name, np.nan))
        except (TypeError, ValueError):  # a text, a list
            return float("nan")

    def close(self) -> None:
        for row in range(self.size):
            self._forget(row)


class VectorBodies(Bodies):
    """One vector environment of ours: rows that are not active are left alone and cost nothing."""

    def __init__(self, env: str, size: int, options: Mapping[str, Any], squash: Sequence[str] = ()) -> None:
        self.make = lambda: _make(
            gymnasium.make_vec, env, options, num_envs=size, vectorization_mode="vector_entry_point"
        )
        self.env: Any = self.make()
        shape, _ = observation_reader(self.env.single_observation_space)
        outputs, self._write = action_writer(self.env.single_action_space, squash)
        space = self.env.single_action_space
        self._actions = np.zeros((size, *space.shape), space.dtype)
        self._infos: list[dict[str, Any]] = [{} for _ in range(size)]  # later ones do not tell of lives that are over
        super().__init__(size, shape, outputs)

    def reset(self, rows: Rows, seeds: NDArray[np.int64]) -> None:
        if self.env is None:
            self.env = self.make()
        for row in rows.tolist():
            self.failures.pop(row, None)
        mask = np.zeros(self.size, bool)
        mask[rows] = True
        every = np.zeros(self.size, np.int64)
        every[rows] = seeds
        try:
            observations, infos = self.env.reset(seed=every.tolist(), options={"reset_mask": mask})
            self._note(rows, infos)
            self.observations = observations.reshape(self.size, -1)
        except Exception as error:
            self._fail(error)
        self.rewards[rows] = 0

    def step(self, rows: Rows, outputs: Vector, resting: NDArray[np.bool_] | None = None) -> None:
        if self.env is None:  # lost in the reset of another row
            return
        actions = self._write(outputs)
        if resting is not None:
            actions[resting] = zero_action(self.env.single_action_space)
        self.env.active[:] = len(rows) == self.size
        if len(rows) < self.size:
            self.env.active[rows], self._actions[rows] = True, actions
            actions = self._actions
        try:
            observations, rewards, terminated, truncated, infos = self.env.step(actions)
        except Exception as error:
            self._fail(error)
            return
        self.observations = observations.reshape(self.size, -1)
        self.rewards, self.terminated, self.truncated = rewards, terminated, truncated
        self._note(rows, infos)

    def _note(self, rows: Rows, infos: dict[str, Any]) -> None:
        for row in rows.tolist():
            self._infos[row] = infos

    def _fail(self, error: Exception) -> None:
        """No body survives it."""
        self.failures = dict.fromkeys(range(self.size), f"{type(error).__name__}: {error}")
        self.close()

    def measure(self, name: str, row: int) -> float:
        infos = self._infos[row]
        return float(infos[name][row]) if name in infos else np.nan

    def close(self) -> None:
        env, self.env = self.env, None
        if env is not None:
            with suppress(Exception):
                env.close()


def make_bodies(
    env: str, size: int, options: Mapping[str, Any], fresh: bool = False, squash: Sequence[str] = ()
) -> Bodies:
    """B bodies of an id; ``fresh`` ones are made anew for every episode. ``squash`` is of `action_writer`.

    Raises:
        ArgumentError: no such id, the environment refuses the options, or its actions cannot be squashed so.
        MissingExtraError: the environment needs a library that is not installed.
        SpaceError: its observations or actions cannot be served.
    """
    # Foreign vector environments neither truncate themselves nor leave finished rows alone.
    together = find_spec(env).namespace == "neuroplastic" and find_spec(env).vector_entry_point is not None
    if together and not fresh:
        return VectorBodies(env, size, options, squash)
    return SeparateBodies(env, size, options, fresh, squash)
