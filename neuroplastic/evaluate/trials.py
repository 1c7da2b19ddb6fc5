"""What is left to try in one evaluation, and what has come of the rest."""

from __future__ import annotations

from collections import Counter, deque
from typing import TypeGuard

import numpy as np

from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.statistics import Statistics


def block_size(members: int, batch: int, workers: int = 1) -> int:
    """Members in a block: several batches, so that new lives follow those that end, and several blocks a worker."""
    return max(batch, min(4 * batch, members // (4 * workers)))


def nonsense(answer: object) -> str:
    """What is wrong with an answer that does not fit."""
    shape = f" of shape {list(answer.fitness.shape)}" if isinstance(answer, Evaluation) else ""
    return f"answered with {type(answer).__name__}{shape}"


class Trials:
    """P members in blocks, in whatever order they end; a block that is lost is tried again, member by member.

    Attributes:
        waiting: blocks that nobody is trying.
        members: P.
        done: members that have ended, failed ones included.

    Args:
        members: P.
        block: members in a block.
        episodes: E.
        tries: times that a member may be lost when it was alone; then it is failed.
    """

    def __init__(self, members: int, block: int, episodes: int, tries: int) -> None:
        self.waiting = deque(range(start, min(start + block, members)) for start in range(0, members, block))
        self.members, self.done = members, 0
        self._episodes, self._tries = episodes, tries
        self._lost: Counter[int] = Counter()
        self._failed: dict[int, str] = {}
        self._parts: dict[int, Evaluation] = {}

    def fits(self, answer: object, block: range) -> TypeGuard[Evaluation]:
        """Whether an answer can be the evaluation of the block."""
        shape = (len(block), self._episodes)
        return (
            isinstance(answer, Evaluation)
            and answer.fitness.shape == answer.steps.shape == shape
            and all(values.shape == shape for values in answer.measures.values())
        )

    def end(self, block: range, part: Evaluation) -> None:
        """The block's trials have ended so."""
        self._parts[block.start] = part
        self.done += len(block)

    def lose(self, block: range, reason: str) -> None:
        """The block's trials have not ended. Members that were not alone are next, each alone."""
        if len(block) > 1:
            self.waiting.extendleft(range(member, member + 1) for member in reversed(block))
            return
        member = block.start
        self._lost[member] += 1
        if self._lost[member] < self._tries:
            self.waiting.append(block)
        else:
            self._failed[member] = f"{reason}, {self._tries} times"
            self.done += 1

    def evaluation(self) -> Evaluation:
        """All members in their order; the fitness and measures of failed ones are NaN.

        If all have failed nobody knows the measures and statistics, and there are none.
        """
        like = next(iter(self._parts.values()), None)
        parts = self._parts | {member: self._nothing(reason, like) for member, reason in self._failed.items()}
        return Evaluation.concatenate([parts[start] for start in sorted(parts)])

    def _nothing(self, reason: str, like: Evaluation | None) -> Evaluation:
        nan, steps = np.full((1, self._episodes), np.nan), np.zeros((1, self._episodes), np.int64)
        failures = {reason: self._episodes}
        if like is None:
            return Evaluation(nan, steps, failures=failures)
        statistics = None
        if like.statistics is not None:
            statistics = Statistics.nothing(1, self._episodes, like.statistics.mean.shape[-1])
        return Evaluation(nan, steps, dict.fromkeys(like.measures, nan), failures, statistics)
