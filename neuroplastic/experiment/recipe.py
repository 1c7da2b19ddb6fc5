"""Recipes: what to evolve, as TOML. Strictly checked, overridable word by word, complete enough to be repeated."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from neuroplastic.errors import RecipeError, check_name, unknown_name
from neuroplastic.experiment.models import KINDS, Recipe
from neuroplastic.experiment.options import refuse

R = TypeVar("R", bound=Recipe)


def parse_recipe(values: Mapping[str, Any]) -> Recipe:
    """A recipe of plain values; of kind "evolution" unless they say otherwise.

    Raises:
        RecipeError: names each key that is unknown, missing, or has a wrong type or value.
        UnknownNameError: no such kind.
    """
    kind = values.get("kind", "evolution")
    check_name("kind", kind, KINDS)
    try:
        return KINDS[kind].model_validate(dict(values))
    except ValidationError as error:
        refuse(error, lambda place: _known_keys(KINDS[kind], place))


def _known_keys(model: Any, place: tuple) -> list[str]:
    for key in place:
        kind = get_args(model)[0] if isinstance(key, int) else model.model_fields[key].annotation
        model = next(part for part in get_args(kind) if part is not NoneType) if isinstance(kind, UnionType) else kind
    return list(model.model_fields)


def of_kind(recipe: Recipe, kind: type[R]) -> R:
    """The recipe, which must be of that kind.

    Raises:
        RecipeError: it is of another.
    """
    if not isinstance(recipe, kind):
        expected = next(name for name, known in KINDS.items() if known is kind)
        raise RecipeError(f"kind: expected a recipe of kind {expected!r} for this; got one of kind {recipe.kind!r}")
    return recipe


def recipe_files() -> dict[str, Path]:
    """The recipes that come with the package: name -> file."""
    folder = Path(str(resources.files("neuroplastic") / "recipes"))
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def load_recipe(name: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe of that name or file, with ``key=value`` words applied.

    Raises:
        UnknownNameError: no recipe has that name.
        RecipeError: the file cannot be read, or a key or value is refused.
    """
    shipped = recipe_files()
    path = shipped.get(str(name), Path(name))
    if path.suffix != ".toml":
        raise unknown_name("recipe", str(name), [*shipped, "a .toml file"])
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"recipe {path}: cannot be read: {error}") from error
    return parse_recipe(override(values, overrides))


def override(values: Mapping[str, Any], words: Iterable[str]) -> dict[str, Any]:
    """``values`` with words such as ``search.sigma=0.05`` applied; a value is TOML, or else taken as text.

    >>> override({"search": {"sigma": 0.1}}, ["search.sigma=0.05", "rule.terms=ABCD+lr"])
    {'search': {'sigma': 0.05}, 'rule': {'terms': 'ABCD+lr'}}

    Raises:
        RecipeError: a word is not of the form key=value.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(values))
    for word in words:
        key, equals, text = word.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise RecipeError(f"override: expected key=value, such as search.sigma=0.05; got {word!r}")
        section = changed
        for part in parts[:-1]:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise RecipeError(f"override {word!r}: {part!r} is a value, not a section")
        section[parts[-1]] = _toml_value(text)
    return changed


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
