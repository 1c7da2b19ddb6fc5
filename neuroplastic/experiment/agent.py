"""The agent file: a genome, and the recipe that says what it is a genome of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from neuroplastic.errors import DamagedFileError, NeuroplasticError, RecipeError, check_name
from neuroplastic.experiment import storage
from neuroplastic.experiment.build import build_task
from neuroplastic.experiment.recipe import Recipe, parse_recipe
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
    def load(cls, path: Path, which: str = "center", *, trust: bool = False) -> Agent:
        """Reads an agent file, or an agent of a run folder.

        Args:
            path: of the file or folder.
            which: of a folder, "center" or "best".
            trust: whether the recipe may name modules outside this project, which runs their code.

        Raises:
            UnknownNameError: ``which`` is neither.
            DamagedFileError: the file is missing, cut, foreign, or contradicts itself.
            RecipeError: its recipe names code of others, and ``trust`` is False.
        """
        check_name("which", which, ["center", "best"])
        if path.is_dir():
            path = path / f"{which}.safetensors"
        tensors, meta = storage.load(path, "agent")
        try:
            recipe = parse_recipe(meta["recipe"])
            layout = Layout.from_json(meta["layout"])
            genome, generation = tensors.pop("genome"), int(meta["generation"])
            statistics = Statistics.from_state(tensors, "statistics.") if recipe.task.normalise else None
        except NeuroplasticError as error:
            raise DamagedFileError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DamagedFileError(f"{path}: expected an agent's recipe, layout and genome; {error!r}") from error
        if tuple(genome.shape) != (layout.size,) or genome.dtype != torch.float32:
            raise DamagedFileError(
                f"{path}: expected a float32 genome of {layout.size} numbers; got {genome.dtype} {list(genome.shape)}"
            )
        foreign = recipe.code_of_others()
        if foreign and not trust:
            raise RecipeError(
                f"{path}: its recipe loads code from outside this project ({', '.join(foreign)}); "
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
