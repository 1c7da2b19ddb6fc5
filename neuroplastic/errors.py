"""Named errors, and the few checks that raise them.

Every error says which argument is wrong, what was expected and what came.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any


class NeuroplasticError(Exception):
    """Base of all errors that this package raises on purpose. The command line prints them as one line."""


class ArgumentError(NeuroplasticError, ValueError):
    """An argument has a value that cannot be used."""


class ShapeError(ArgumentError):
    """An array has another shape than the one that was expected."""


class UnknownNameError(ArgumentError):
    """A name is none of the registered ones."""


class OrderError(NeuroplasticError, RuntimeError):
    """A method was called before the one that has to come first."""


class DivergenceError(NeuroplasticError, ArithmeticError):
    """A search made numbers that are not finite."""


class SearchWarning(UserWarning):
    """A search cannot learn from what it was told."""


class RecipeError(NeuroplasticError):
    """A recipe or an override has an unknown key, a wrong type or a value that cannot be used."""


class SpaceError(NeuroplasticError):
    """An environment has an observation or action space that this task cannot serve."""


class RunError(NeuroplasticError):
    """A run folder is missing, taken or cannot be written."""


class DamagedFileError(NeuroplasticError):
    """A file is cut, empty, foreign, or does not hold what its metadata says."""


class TrialError(NeuroplasticError):
    """Trials failed in a way that makes going on pointless."""


class WorkerError(NeuroplasticError, RuntimeError):
    """Worker processes cannot be started, or one raised what cannot be sent."""


class DeviceError(NeuroplasticError, RuntimeError):
    """There is no such device, or it has not enough memory."""


class MissingExtraError(NeuroplasticError, ImportError):
    """A library that belongs to an optional extra is not installed."""


def unknown_name(argument: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that is none of ``known``, with the nearest ones first.

    >>> print(unknown_name("normaliser", "rownorm", ["none", "row"]))
    normaliser: expected one of 'none', 'row'; got 'rownorm' (did you mean 'row'?)
    """
    names = list(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return UnknownNameError(f"{argument}: expected one of {', '.join(map(repr, names))}; got {name!r}{hint}")


def check_name(argument: str, name: str, known: Iterable[str]) -> None:
    """Raises `UnknownNameError` unless ``name`` is one of ``known``."""
    known = list(known)
    if name not in known:
        raise unknown_name(argument, name, known)


def check_shape(argument: str, array: Any, expected: Sequence[int | str]) -> None:
    """Raises `ShapeError` unless ``array.shape`` fits ``expected``; a letter stands for any size.

    >>> import numpy
    >>> check_shape("fitness", numpy.zeros(3), ["P"])
    """
    shape = tuple(array.shape)
    if len(shape) != len(expected) or any(
        isinstance(want, int) and want != have for want, have in zip(expected, shape, strict=True)
    ):
        wanted = ", ".join(map(str, expected))
        raise ShapeError(f"{argument}: expected shape [{wanted}]; got {list(shape)}")


def check_range(
    argument: str, value: float, low: float = float("-inf"), high: float = float("inf"), *, above: bool = False
) -> None:
    """Raises `ArgumentError` unless low <= value <= high (low < value with ``above``). NaN never passes."""
    if not ((value > low if above else value >= low) and value <= high):
        lower = f"{'>' if above else '>='} {low:g}" if low != float("-inf") else ""
        upper = f"<= {high:g}" if high != float("inf") else ""
        raise ArgumentError(f"{argument}: expected a number {' and '.join(filter(None, [lower, upper]))}; got {value}")


def check_output(argument: str, path: Path) -> None:
    """Raises `ArgumentError` unless a file can be written there: before the work whose result it is to hold."""
    if path.is_dir() or not path.parent.is_dir():
        raise ArgumentError(f"{argument}: expected a file in a folder that exists; got {path}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ArgumentError(f"{argument}: expected a place that can be written to; got {path}")


def require(module: str, extra: str) -> ModuleType:
    """Imports ``module``, or raises `MissingExtraError` that says which extra brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module.partition('.')[0]} is not installed; it comes with: pip install 'neuroplastic[{extra}]' ({error})"
        ) from error
