"""How arguments are checked, and what vector environments have in common. Errors name the argument and what came."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random
from numpy.typing import NDArray


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
    if numbers.dtype.kind in "mM":  # times in nanoseconds would become whole numbers
        return False
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


def finite_rows(actions: Any, rows: NDArray[np.intp], number: int, size: int) -> NDArray[Any]:
    """The actions [n, size] of some rows [n] out of [number, size]; they must be finite, the others may be anything.

    Raises:
        ValueError: the shape is another, or a number is not finite.
    """
    try:
        asked = np.asarray(actions)
    except ValueError:  # ragged
        asked = np.empty(0)
    if asked.shape != (number, size):
        raise ValueError(f"actions: expected {number} × {size} finite numbers; got {actions!r}")
    asked = asked[rows]
    if not are_finite(asked):
        bad = next(place for place in range(len(rows)) if not are_finite(asked[place]))
        raise ValueError(f"actions: expected {size} finite numbers in row {rows[bad]}; got {asked[bad].tolist()}")
    return asked


def reset_mask(options: dict[str, Any], number: int) -> NDArray[np.bool_]:
    """Which of the rows to reset: ``options["reset_mask"]``, or all.

    Raises:
        ValueError: it is no array of ``number`` bool.
    """
    mask = options.get("reset_mask", np.ones(number, np.bool_))
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (number,):
        raise ValueError(f"options['reset_mask']: expected an array of {number} bool; got {mask!r}")
    return mask


def generators(seed: int | Sequence[int | None] | None, number: int) -> list[np.random.Generator | None]:
    """A generator for each row that has a seed: from one seed, seed + i for row i, or from one for each.

    Raises:
        ValueError: there is not one for each of ``number`` rows.
        gymnasium.error.Error: a seed is negative.
    """
    if seed is None or isinstance(seed, int | np.integer):
        seed = [None if seed is None else int(seed) + row for row in range(number)]
    if len(seed) != number:
        raise ValueError(f"seed: expected one, or one for each of {number} rows; got {seed!r}")
    return [None if own is None else np_random(int(own))[0] for own in seed]
