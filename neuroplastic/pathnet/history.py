"""What the rounds of a PathNet leave to look at. R rounds, L layers, M modules a layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from neuroplastic.errors import check_shape


@dataclass(frozen=True, eq=False)
class PathHistory:
    """The fittest path after each round, small enough to lie in an agent's file.

    Attributes:
        tasks: names of the whole sequence, the tasks still to come included.
        stage: which task each round was of, int64 [R].
        fitness: of the fittest path, float64 [R].
        active: its own modules, bool [R, L, M].
        inherited: what was frozen before the first round, bool [L, M].
        always_active: what is frozen takes part in every path.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    tasks: tuple[str, ...]
    stage: Tensor
    fitness: Tensor
    active: Tensor
    inherited: Tensor
    always_active: bool = False

    def __post_init__(self) -> None:
        check_shape("stage", self.stage, ["R"])
        check_shape("fitness", self.fitness, [len(self.stage)])
        check_shape("inherited", self.inherited, ["L", "M"])
        check_shape("active", self.active, [len(self.stage), *self.inherited.shape])

    def __len__(self) -> int:
        """R."""
        return len(self.stage)

    @cached_property
    def last(self) -> dict[int, int]:
        """The last round of each task that had one: stage -> round."""
        return {stage: number for number, stage in enumerate(self.stage.tolist())}

    @cached_property
    def frozen(self) -> Tensor:
        """What was frozen while each round lasted: bool [R, L, M]."""
        now = [self.inherited]
        for number in self.last.values():  # the path that a task ends with is frozen
            now.append(now[-1] | self.active[number])
        begun = torch.tensor([[*self.last].index(stage) for stage in self.stage.tolist()], dtype=torch.int64)
        return torch.stack(now)[begun]

    def tensors(self) -> dict[str, Tensor]:
        """All of it as tensors, which `of` takes back."""
        words = {"tasks": self.tasks, "always_active": self.always_active}
        arrays = {name: getattr(self, name) for name in ("stage", "fitness", "active", "inherited")}
        return arrays | {"words": torch.tensor([*json.dumps(words).encode()], dtype=torch.uint8)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> PathHistory:
        """What was turned into `tensors`."""
        given = dict(tensors)
        words = json.loads(bytes(given.pop("words").tolist()))
        return cls(tuple(words["tasks"]), always_active=words["always_active"], **given)
