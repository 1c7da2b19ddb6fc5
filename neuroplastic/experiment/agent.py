"""The agent file: what stands for a genome, and the recipe that says what it is a genome of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from neuroplastic.errors import DamagedFileError, NeuroplasticError, RecipeError, check_name
from neuroplastic.experiment import storage
from neuroplastic.experiment.kinds import KINDS
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.manifest import read_agent
from neuroplastic.experiment.models import EvolutionRecipe, Recipe
from neuroplastic.experiment.recipe import of_kind, parse_recipe
from neuroplastic.experiment.store import Address, located
from neuroplastic.genome import Codec, Identity, Layout
from neuroplastic.tasks.rollout import RolloutTask
from neuroplastic.tasks.statistics import Statistics


@dataclass(frozen=True)
class Agent:
    """What evolution found.

    Attributes:
        vector: [D'] float32.
        recipe: of the run that found it, with the versions that computed it.
        layout: of the genome [D].
        generation: after which it was saved.
        statistics: by which its observations are normalised; None if they are not.
        codec: from the vector to the genome; None: the vector is the genome.
        parts: further tensors that belong to it, by name: what was learned beside what evolved.
    """

    vector: Tensor
    recipe: Recipe
    layout: Layout
    generation: int
    statistics: Statistics | None = None
    codec: Codec | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)

    @cached_property
    def genome(self) -> Tensor:
        """[D] float32."""
        return self.codec.decode(self.vector[None])[0] if self.codec else self.vector

    def save(self, path: Path) -> None:
        """Writes the agent file.

        Raises:
            RunError: the disk is full or refuses.
        """
        meta = {"recipe": self.recipe.model_dump(), "layout": self.layout.to_json(), "generation": self.generation}
        if self.codec is None or isinstance(self.codec, Identity):
            tensors = {"genome": self.vector}
        else:
            tensors = {f"codec.{name}": value for name, value in self.codec.state_dict().items()}
            tensors["vector"] = self.vector
        if self.statistics is not None:
            tensors |= {f"statistics.{name}": value for name, value in self.statistics.state_dict().items()}
        tensors |= {f"parts.{name}": value for name, value in self.parts.items()}
        storage.save(path, "agent", tensors, meta)

    @classmethod
    def load(cls, address: Address, which: str = "center", *, trust: bool = False) -> Agent:
        """Reads an agent file, or an agent of a run.

        Args:
            address: of the file or run.
            which: of a run, "center" or "best".
            trust: whether the recipe may name modules outside this project, which runs their code.

        Raises:
            UnknownNameError: ``which`` is neither.
            DamagedFileError: the file is missing, cut, foreign, or contradicts itself.
            RecipeError: its recipe names code of others, and ``trust`` is False.
            RunError: there is no such run, or its store cannot be read.
            ArgumentError, MissingExtraError: there are no such addresses, or not without an extra.
        """
        check_name("which", which, ["center", "best"])
        path = located(address)
        if isinstance(path, Path):
            path = path / f"{which}.safetensors" if path.is_dir() else path
            return cls._read(path, str(path), trust)
        name, content = read_agent(path, which)
        with TemporaryDirectory() as folder:
            file = Path(folder, "agent.safetensors")
            file.write_bytes(content)
            return cls._read(file, name, trust)

    @classmethod
    def _read(cls, path: Path, name: str, trust: bool) -> Agent:
        tensors, meta = storage.load(path, "agent", name)
        try:
            recipe = parse_recipe(meta["recipe"])
            layout = Layout.from_json(meta["layout"])
            generation = int(meta["generation"])
            normalised = isinstance(recipe, EvolutionRecipe) and recipe.task.normalise
            statistics = Statistics.from_state(tensors, "statistics.") if normalised else None
        except NeuroplasticError as error:
            raise DamagedFileError(f"{name}: {error}") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DamagedFileError(f"{name}: expected an agent's recipe and layout; {error!r}") from error
        foreign = recipe.code_of_others()
        if foreign and not trust:
            raise RecipeError(
                f"{name}: its recipe loads code from outside this project ({', '.join(foreign)}); "
                "if you know and trust that code, say --trust"
            )
        kinds = [kind for kind in ("genome", "vector") if kind in tensors]
        if len(kinds) != 1:
            raise DamagedFileError(f"{name}: expected either a genome or a vector; got {sorted(tensors)}")
        (kind,), codec = kinds, None
        if kind == "vector":
            try:
                codec = KINDS[recipe.kind].codec(recipe, layout, _under(tensors, "codec."))
            except NeuroplasticError as error:
                raise DamagedFileError(f"{name}: {error}") from error
        vector, size = tensors[kind], (codec.layout if codec else layout).size
        if tuple(vector.shape) != (size,) or vector.dtype != torch.float32:
            raise DamagedFileError(
                f"{name}: expected a float32 {kind} of {size} numbers; got {vector.dtype} {list(vector.shape)}"
            )
        return cls(vector, recipe, layout, generation, statistics, codec, _under(tensors, "parts."))

    @property
    def life(self) -> EvolutionRecipe:
        """Its recipe, of one that lives in an environment; it lives on the cpu, wherever it was evolved.

        Raises:
            RecipeError: it does not.
        """
        recipe = of_kind(self.recipe, EvolutionRecipe)
        backend = "reference" if recipe.policy.backend == "reference" else "cpu"
        policy = recipe.policy.model_copy(update={"backend": backend})
        return recipe.model_copy(update={"device": "cpu", "policy": policy})

    def check(self) -> None:
        """Raises `DamagedFileError` unless the genome is one of its recipe."""
        layout = KINDS[self.recipe.kind].layout(self.recipe)
        if layout != self.layout:
            raise DamagedFileError(
                f"agent: its genome of {self.layout.size} numbers does not fit its recipe, "
                f"which makes one of {layout.size}"
            )

    def task(self) -> RolloutTask:
        """The task that it was evolved on, of one that lives in an environment.

        Raises:
            RecipeError: it does not live in one.
            DamagedFileError: the genome is not one of that task.
        """
        task = build_task(self.life)
        if self.statistics is not None and self.statistics.mean.shape != (task.inputs,):
            raise DamagedFileError(
                f"agent: its statistics of {len(self.statistics.mean)} numbers do not fit the observations of "
                f"{task.env}, which have {task.inputs}"
            )
        if task.layout != self.layout:
            raise DamagedFileError(
                f"agent: its genome of {self.layout.size} numbers does not fit {task.env}, "
                f"where its recipe makes one of {task.layout.size}"
            )
        return task


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
