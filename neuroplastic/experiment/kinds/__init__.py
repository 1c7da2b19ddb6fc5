"""What each kind of recipe is: how it is completed, what runs it, and what its agents are tried on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from torch import Tensor

from neuroplastic.evaluate.base import Progress
from neuroplastic.experiment.kinds.evolution import EvolutionKind
from neuroplastic.experiment.kinds.job import Job
from neuroplastic.experiment.kinds.learning import LearningKind
from neuroplastic.experiment.kinds.pathnet import PathNetKind
from neuroplastic.experiment.models import Recipe
from neuroplastic.experiment.versions import versions
from neuroplastic.genome import Codec, Layout

R = TypeVar("R", bound=Recipe)


class Kind(Protocol):
    """Everything about a kind of recipe that the one loop, the agent file and the command line ask for."""

    def resolved(self, recipe: Any) -> Recipe:
        """The recipe with every option written out.

        Raises:
            RecipeError, UnknownNameError: a name or option is refused.
        """
        ...

    def check(self, recipe: Any) -> None:
        """Builds all that the recipe names once.

        Raises:
            RecipeError, ArgumentError, SpaceError, MissingExtraError: what is wrong.
        """
        ...

    def job(
        self, recipe: Any, cluster: str | None, progress: Progress, note: Callable[[str], None]
    ) -> AbstractContextManager[Job]:
        """The learner at its generation 0, with the workers it needs.

        Args:
            recipe: as resolved.
            cluster: "auto" or the address of a Ray cluster; None = this machine.
            progress: called while a generation is tried.
            note: told what a person wants to know about the workers.
        """
        ...

    def layout(self, recipe: Any) -> Layout:
        """Of the genome."""
        ...

    def codec(self, recipe: Any, layout: Layout, state: Mapping[str, Tensor]) -> Codec:
        """The codec that an agent was saved with.

        Raises:
            ArgumentError, ShapeError: the state is of another recipe.
        """
        ...

    def nominal_steps(self, recipe: Any) -> float:
        """Steps of a whole run at most: of environments, updates of networks, or minibatches; NaN: it does not say."""
        ...


KINDS: dict[str, Kind] = {
    "evolution": EvolutionKind(),
    "learning": LearningKind(),
    "recall": LearningKind(),
    "pathnet": PathNetKind(),
}
"""Kind of a recipe -> what that is."""


def resolved(recipe: R) -> R:
    """The recipe with every option written out and the versions of what will compute its numbers.

    Raises:
        RecipeError, UnknownNameError: a name or option is refused.
    """
    complete: Any = KINDS[recipe.kind].resolved(recipe)
    return complete.model_copy(update={"versions": versions(getattr(recipe, "device", "cpu"))})


def checked(recipe: R) -> R:
    """`resolved`, after everything that it names was built once: what cannot work is refused before work starts.

    Raises:
        RecipeError, ArgumentError, SpaceError, MissingExtraError: what is wrong.
    """
    complete = resolved(recipe)
    KINDS[recipe.kind].check(complete)
    return complete
