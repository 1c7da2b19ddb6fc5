"""The agent file: a genome, and the recipe that says what it is a genome of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from neuroplastic.errors import DamagedFileError, NeuroplasticError, RecipeError, check_name
from neuroplastic.experiment import storage
from neuroplastic.experiment.build import build_task
from neuroplastic.experiment.manifest import read_agent
from neuroplastic.experiment.recipe import Recipe, parse_recipe
from neuroplastic.experiment.store import Address, located
from neuroplastic.genome import Layout
from neuroplastic.tasks.rollout import RolloutTask
from neuroplastic.tasks.statistics import Statistics


@dataclass(frozen=True)
class Agent:
    """What evolution found.

    Attributes:
        genome: [D] float32.
        recipe: of the run that found it, with the versions that computed it.
        layout: of the genome.
        generation: after which it was saved.
        statistics: by which its observations are normalised; None if they are not.
    """

    genome: Tensor
    recipe: Recipe
    layout: Layout
    generation: int
    statistics: Statistics | None = None

    def save(self, path: Path) -> None:
        """Writes the agent file.

        Raises:
            RunError: the disk is full or refuses.
        """
        meta = {"recipe": self.recipe.model_dump(), "layout": self.layout.to_json(), "generation": self.generation}
        tensors = {"genome": self.genome}
        if self.statistics is not None:
            tensors |= {f"statistics.{name}": value for name, value in self.statistics.state_dict().items()}
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
            genome, generation = tensors.pop("genome"), int(meta["generation"])
            statistics = Statistics.from_state(tensors, "statistics.") if recipe.task.normalise else None
        except NeuroplasticError as error:
            raise DamagedFileError(f"{name}: {error}") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DamagedFileError(f"{name}: expected an agent's recipe, layout and genome; {error!r}") from error
        if tuple(genome.shape) != (layout.size,) or genome.dtype != torch.float32:
            raise DamagedFileError(
                f"{name}: expected a float32 genome of {layout.size} numbers; got {genome.dtype} {list(genome.shape)}"
            )
        foreign = recipe.code_of_others()
        if foreign and not trust:
            raise RecipeError(
                f"{name}: its recipe loads code from outside this project ({', '.join(foreign)}); "
                "if you know and trust that code, say --trust"
            )
        return cls(genome, recipe, layout, generation, statistics)

    def task(self) -> RolloutTask:
        """The task that it was evolved on.

        Raises:
            DamagedFileError: the genome is not one of that task.
        """
        task = build_task(self.recipe)
        if self.statistics is not None and self.statistics.mean.shape != (task.inputs,):
            raise DamagedFileError(
                f"agent: its statistics of {len(self.statistics.mean)} numbers do not fit the observations of "
                f"{self.recipe.task.env}, which have {task.inputs}"
            )
        if task.layout != self.layout:
            raise DamagedFileError(
                f"agent: its genome of {self.layout.size} numbers does not fit {self.recipe.task.env}, "
                f"where its recipe makes one of {task.layout.size}"
            )
        return task
