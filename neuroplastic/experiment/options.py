"""Constructor arguments as recipe keys: what a class takes is what its section of a recipe may say."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NoReturn

from pydantic import ConfigDict, ValidationError, create_model

from neuroplastic.errors import ArgumentError, RecipeError, unknown_name


def refuse(error: ValidationError, keys: Callable[[tuple], Collection[str]], prefix: str = "") -> NoReturn:
    """Raises a `RecipeError` with a line for each thing that pydantic found.

    Args:
        error: what pydantic raised.
        keys: the keys that are known where a location (a tuple of keys) points.
        prefix: of every key, with its dot.
    """
    lines = []
    for found in error.errors(include_url=False):
        *place, last = found["loc"]
        key = prefix + ".".join(map(str, found["loc"]))
        if found["type"] == "extra_forbidden":
            where = (prefix + ".".join(map(str, place))).rstrip(".") or "recipe"
            lines.append(f"unknown key {key}: {unknown_name(where, last, keys(tuple(place)))}")
        elif found["type"] == "missing":
            lines.append(f"{key}: expected a value; got none")
        else:
            lines.append(f"{key}: {found['msg'].replace('Input should be', 'expected')}; got {found['input']!r}")
    raise RecipeError("\n".join(lines)) from error


def resolve(name: str, registry: Mapping[str, Any], base: type, key: str) -> Any:
    """The registered object of that name, or the user's own by ``module:Class``.

    Raises:
        UnknownNameError: neither.
        RecipeError: the user's own cannot be imported, or is not a subclass of ``base``.
    """
    if name in registry:
        return registry[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise unknown_name(key, name, [*registry, "module:Class"])
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"{key}: {name!r} cannot be imported: {error}") from error
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise RecipeError(f"{key}: expected a subclass of {base.__module__}.{base.__name__}; got {found!r}")
    return found


def constructor_options(make: Callable, given: Mapping[str, Any], key: str, ours: Collection[str] = ()) -> dict:
    """``given`` completed by the defaults of the parameters of ``make``, types checked strictly.

    Args:
        make: a class or function with annotated parameters; what it takes as ``**options`` it checks itself.
        given: what the recipe says.
        key: of the recipe's section, for messages.
        ours: parameters that recipes do not set.

    Raises:
        RecipeError: an unknown key, a wrong type, a missing value.
    """
    target = make.func if isinstance(make, partial) else make
    target = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(target)
    parameters = inspect.signature(make).parameters
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in parameters.items()
        if name not in ours and parameter.kind is not parameter.VAR_KEYWORD
    }
    others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    config = ConfigDict(strict=True, extra="allow" if others else "forbid")
    model = create_model("Options", __config__=config, **fields)
    try:
        checked = model.model_validate(dict(given))
    except ValidationError as error:
        refuse(error, lambda _: fields, prefix=f"{key}.")
    return {name: getattr(checked, name) for name in fields} | (checked.model_extra or {})


def named(section: str, make: Callable, *args: Any, **options: Any) -> Any:
    """``make``, its complaints about an argument named as the recipe names it."""
    try:
        return make(*args, **options)
    except ArgumentError as error:
        raise RecipeError(f"{section}.{error}") from error
