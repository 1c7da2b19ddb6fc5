"""Recipes: what to evolve, as TOML. Strictly checked, overridable word by word, complete enough to be repeated."""

from __future__ import annotations

import copy
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuroplastic.errors import RecipeError, unknown_name
from neuroplastic.experiment.options import refuse

FREE = (
    "generations",
    "checkpoint_seconds",
    "max_failed",
    "evaluate.workers",
    "evaluate.limit",
    "evaluate.tries",
    "evaluate.megabytes",
    "evaluate.cpus",
    "evaluate.gpus",
)
"""Keys of a recipe that may change when a run goes on: they do not touch its numbers."""

LATER = {"policy.kind": "feedforward", "policy.bias": False, "policy.controls": []}
"""Keys that there were not always, and what they say where there was nothing: so that runs of before can go on."""

OURS = ("neuroplastic_envs:", "ipop:", "evotorch:", "cma:")
"""What names with a colon begin with that load no code but this project's, or of libraries it knows."""


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _NamedSection(BaseModel):
    """A section whose further keys are the constructor arguments of the class that it names."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class SearchSection(_NamedSection):
    """``name``: a strategy. ``center_std``: the search starts at numbers drawn from N(0, center_std²)."""

    center_std: float = Field(1.0, ge=0, allow_inf_nan=False)


class RuleSection(_NamedSection):
    """``name``: a plasticity rule."""


class FrontSection(_Section):
    """Convolutions before the network, for observations that are pictures; see `ConvolutionalFront`."""

    channels: list[int] = [6, 8]
    kernels: list[int] = [3, 5]
    strides: list[int] = [1, 2]
    pools: list[int] = [2, 2]


class PolicySection(_Section):
    """The network: what comes before it, its hidden layers, what its units do, and what is done to it (`Controls`)."""

    front: FrontSection | None = None
    hidden: list[int] = []
    activation: str = "tanh"
    output_activation: str = "tanh"
    kind: str = "feedforward"
    bias: bool = False
    backend: str = "cpu"
    controls: list[str] = []


class TaskSection(_Section):
    """Where it lives; see `RolloutTask` and `LifeRules`."""

    env: str
    env_options: dict[str, Any] = {}
    variations: list[dict[str, Any]] = [{}]
    episodes: int = 1
    horizon: int = 0
    idle: int = 0
    grace: int = 0
    patience: int = 0
    squash: list[Literal["tanh", "sigmoid"]] = []
    batch: int = 8
    measures: list[str] = []
    normalise: bool = False
    fresh: bool = False


class SelectionSection(_Section):
    """How ``best`` is chosen; see `Selection`."""

    every: int = 10
    top: int = 3
    episodes: int = 4


class MergeSection(_Section):
    """At the start of a generation, counted from 0, the rules of synapses become so many; see `Merging`."""

    generation: int = Field(ge=0)
    groups: int = Field(ge=1)


class EvaluateSection(_Section):
    """Where trials run; nothing here touches the numbers.

    Attributes:
        workers: processes of one thread each; "auto" = one for each core, 1 = none beside the driver. On a Ray cluster
            they are actors, and "auto" = as many as it has room for.
        limit: seconds that the trials of one member may take before its worker is replaced and they are tried again.
        tries: times that a member may end its worker before it is failed.
        megabytes: that the bodies of all workers of this machine may take, where their environment says what one takes.
        cpus: cores that each worker takes in the books of a Ray cluster; it computes in one thread.
        gpus: GPUs, or a fraction of one, that each worker takes there.
    """

    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    limit: float = Field(default=600.0, gt=0)
    tries: int = Field(default=3, ge=1)
    megabytes: int = Field(default=8192, ge=1)
    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)


class Recipe(_Section):
    """One experiment, whole.

    Attributes:
        kind: which learner.
        description: one line for ``neuroplastic recipes``.
        seed: all that is random follows from it.
        generations: steps of the learner.
        checkpoint_seconds: time between checkpoints; one is always written at the end and on Ctrl-C.
        max_failed: the run stops when a larger share of a generation's members failed.
        merge: when rules are merged; None: never.
        versions: of what computed the numbers; filled in when a run starts.
    """

    kind: Literal["evolution"] = "evolution"
    description: str = ""
    seed: int = Field(1, ge=0)
    generations: int = Field(ge=1)
    checkpoint_seconds: float = Field(30.0, ge=0)
    max_failed: float = Field(0.5, ge=0, le=1)
    search: SearchSection
    policy: PolicySection = PolicySection()
    rule: RuleSection
    task: TaskSection
    selection: SelectionSection = SelectionSection()
    merge: list[MergeSection] | None = Field(None, min_length=1)
    evaluate: EvaluateSection = EvaluateSection()
    versions: dict[str, str] = {}

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def fingerprint(self) -> str:
        """The same for recipes that give the same numbers: a run may only go on from checkpoints of its own."""
        values = self.model_dump(mode="json", exclude={"description", "versions"}, exclude_none=True)
        for key in (*FREE, *LATER):
            *sections, last = key.split(".")
            section = values
            for name in sections:
                section = section[name]
            if key not in LATER or section[last] == LATER[key]:
                del section[last]
        return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()

    def code_of_others(self) -> list[str]:
        """The names in this recipe that load code from outside this project."""
        names = {"search.name": self.search.name, "rule.name": self.rule.name, "task.env": self.task.env}
        return [f"{key} = {name!r}" for key, name in names.items() if ":" in name and not name.startswith(OURS)]


def parse_recipe(values: Mapping[str, Any]) -> Recipe:
    """A recipe of plain values.

    Raises:
        RecipeError: names each key that is unknown, missing, or has a wrong type or value.
    """
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        refuse(error, _known_keys)


def _known_keys(place: tuple) -> list[str]:
    model: Any = Recipe
    for key in place:
        kind = get_args(model)[0] if isinstance(key, int) else model.model_fields[key].annotation
        model = next(part for part in get_args(kind) if part is not NoneType) if isinstance(kind, UnionType) else kind
    return list(model.model_fields)


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
