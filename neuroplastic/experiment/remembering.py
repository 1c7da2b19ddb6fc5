"""How much a rule that learned to remember remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from neuroplastic.errors import check_range, check_shape
from neuroplastic.experiment.curves import Curve
from neuroplastic.learned.recall import frozen, hopfield
from neuroplastic.noise import episode_seeds
from neuroplastic.tasks.recall import RecallTask

SNIPPETS = (1, 2, 3, 4, 6, 8, 12, 16, 24)


@dataclass(frozen=True, eq=False)
class RecallScores:
    """What is said rightly of the missing numbers of all snippets seen so far, in E episodes.

    Attributes:
        length: snippets that the agent was evolved for.
        curves: learner -> shares [E, M]. Learners are "agent"; "frozen", the same genome, whose synapses stay as they
            were born; "hopfield", outer products and signs, with as many updates of bodies. All see the same.
        failed: episodes in which the agent's numbers ran away; then it says nothing that is right.
    """

    length: int
    curves: Mapping[str, Curve]
    failed: int

    def summary(self) -> dict[str, Any]:
        """Plain values; recall is learner -> snippets -> mean, low, high."""
        recall = {name: curve.summary() for name, curve in self.curves.items()}
        return {"length": self.length, "recall": recall, "failed": self.failed}


def score_recall(task: RecallTask, genome: Tensor, *, episodes: int, seed: int = 0) -> RecallScores:
    """A recall rule after each of `SNIPPETS`, beside frozen synapses and Hopfield's recall.

    Args:
        task: that the rule was evolved in.
        genome: [D].
        episodes: E.
        seed: chooses them.

    Raises:
        ArgumentError: there is no episode.
        ShapeError: the genome has another length than the rule's.
    """
    check_range("episodes", episodes, low=1)
    check_shape("genome", genome, [task.layout.size])
    known, stored = hopfield(len(task.rule.types), settle=task.rule.settle)
    tried = {
        "agent": (task, genome),
        "frozen": (replace(task, rule=frozen(task.rule)), genome),
        "hopfield": (replace(task, rule=known, dtype=torch.float64), stored),
    }
    seeds, curves, failed = episode_seeds(seed, "test", 0, episodes), {}, 0
    for name, (own, numbers) in tried.items():
        with torch.inference_mode():
            loss, right = own.report(numbers.expand(episodes, -1), seeds, SNIPPETS)
        curves[name] = Curve(SNIPPETS, right.double().cpu().numpy())
        failed += int((~loss.isfinite().all(1)).sum()) if name == "agent" else 0
    return RecallScores(task.length, curves, failed)
