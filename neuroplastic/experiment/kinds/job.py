"""A recipe at work: what the one loop drives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neuroplastic.experiment.cost import Cost
from neuroplastic.genome import Layout
from neuroplastic.learners.base import Learner


@dataclass(frozen=True)
class Job:
    """Attributes:
    learner: at its generation 0; where it stopped, once it is restored.
    layout: of the genomes that it finds.
    cost: measures what is left of the run; nothing of the learner changes by it.
    """

    learner: Learner
    layout: Layout
    cost: Callable[[], Cost]
