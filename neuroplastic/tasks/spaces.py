"""Between a network's vectors and an environment's spaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, SpaceError, check_name

Vector = NDArray[np.float32]


def observation_reader(space: spaces.Space) -> tuple[tuple[int, ...], Callable[[Any], Any]]:
    """The shape of an observation, and what turns one into its numbers in a row.

    Boxes have their own shape and are flattened; all else has the shape [I]: discrete observations are one-hot encoded,
    tuples and dicts of them joined (as Gymnasium does).

    Raises:
        SpaceError: the space has no flat form of fixed length (graphs, sequences).
    """
    if not space.is_np_flattenable:
        raise SpaceError(f"observation space: expected one that can be flattened to a fixed length; got {space}")
    if isinstance(space, spaces.Box):
        return space.shape, np.ravel
    return (spaces.flatdim(space),), lambda observation: spaces.flatten(space, observation)


SQUASHES = {"tanh": (1.0, 0.0, 1.0), "sigmoid": (0.5, 0.5, 0.5)}  # (s, a, b) of a + b tanh(s x)


def action_writer(space: spaces.Space, squash: Sequence[str] = ()) -> tuple[int, Callable[[Vector], Any]]:
    """The number of outputs O, and what turns finite outputs [b, O] into b actions.

    Discrete: the unit with the largest output. Box: outputs in [-1, 1] are stretched over [low, high], and clipped
    there; a side without a bound passes outputs through as they are. With ``squash``, one of `SQUASHES` for each
    output, raw outputs are squashed and clipped instead.

    Raises:
        SpaceError: the space is neither discrete nor a box of floating-point numbers.
        ArgumentError: there is not one squash for each output, or there are no outputs that could be squashed.
        UnknownNameError: no such squash.
    """
    if squash and not isinstance(space, spaces.Box):
        raise ArgumentError(f"task.squash: expected none, as actions are not a box of numbers; got {[*squash]}")
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return int(space.n), lambda outputs: (start + outputs.argmax(axis=1)).tolist()
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        bounded = np.isfinite(space.low) & np.isfinite(space.high)
        low = np.where(bounded, space.low, -1).astype(space.dtype)
        high = np.where(bounded, space.high, 1).astype(space.dtype)
        if squash:
            return int(np.prod(space.shape)), _squasher(space, squash)
        return int(np.prod(space.shape)), _stretcher(space, (high + low) / 2, (high - low) / 2)
    raise SpaceError(f"action space: expected Discrete or a Box of floats; got {space}")


@njit(nogil=True, cache=True)
def _stretch(outputs, middle, half, low, high, as_it_is):
    """Actions [b, O] from outputs [b, O]. As NumPy would have it; but its calls are dear after a step of physics."""
    actions = np.empty(outputs.shape, low.dtype)
    for row in range(len(outputs)):
        for number in range(len(low)):
            value = low.dtype.type(outputs[row, number])
            if not as_it_is:
                value = middle[number] + half[number] * value
            actions[row, number] = min(max(value, low[number]), high[number])
    return actions


def _stretcher(space: spaces.Box, middle: Any, half: Any) -> Callable[[Vector], Any]:
    as_it_is = bool((middle == 0).all() and (half == 1).all())
    dtype = np.float32 if space.dtype.itemsize <= 4 else np.float64
    bounds = (np.ascontiguousarray(part, dtype).ravel() for part in (middle, half, space.low, space.high))
    middle, half, low, high = bounds
    return lambda outputs: _stretch(outputs, middle, half, low, high, as_it_is).reshape(-1, *space.shape)


def _squasher(space: spaces.Box, squash: Sequence[str]) -> Callable[[Vector], Any]:
    outputs = int(np.prod(space.shape))
    if len(squash) != outputs:
        raise ArgumentError(f"task.squash: expected one for each of {outputs} outputs; got {[*squash]}")
    for name in squash:
        check_name("task.squash", name, SQUASHES)
    slope, offset, gain = np.array([SQUASHES[name] for name in squash], np.float32).T

    def write(outputs: Vector) -> Any:
        actions = (offset + gain * np.tanh(slope * outputs)).reshape(-1, *space.shape)
        return np.minimum(np.maximum(actions, space.low), space.high)

    return write


def zero_action(space: spaces.Space) -> Any:
    """The action that does nothing: zeros of a box.

    Raises:
        SpaceError: the space has no zero.
    """
    if isinstance(space, spaces.Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    raise SpaceError(f"task.idle: expected an environment with box actions, which have a zero; got {space}")
