"""Two tasks that share structure for certain: teachers with one layer in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import pi, sqrt

from torch import Tensor

from neuroplastic.errors import check_range
from neuroplastic.noise import normal, stream
from neuroplastic.tasks.pathnet.supervised import SupervisedTask, unseen


@dataclass(frozen=True)
class Teacher:
    """A `Draw` of examples x ~ N(0, 1), classified by y = argmax V (|W x| - √(2/π)).

    W [H, I] has rows of length 1, drawn from ``layer``; V [O, H] is N(0, 1), drawn from ``head``. Teachers of one
    ``layer`` see the same features and name them differently; those of two have nothing in common. Features are even,
    so without knowing them nothing is gained by a linear map of x: what is dear to learn is what is shared.

    Attributes:
        inputs: I.
        hidden: H.
        outputs: O.
        layer, head: streams.
        weights, names: W and V.

    Raises:
        ArgumentError: a size is below 1.
    """

    inputs: int
    hidden: int
    outputs: int
    layer: int
    head: int
    weights: Tensor = field(init=False, repr=False, compare=False)
    names: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("inputs", "hidden", "outputs"):
            check_range(name, getattr(self, name), low=1)
        weights = normal(self.layer, self.hidden * self.inputs).view(self.hidden, self.inputs)
        object.__setattr__(self, "weights", weights / weights.norm(dim=1, keepdim=True))
        object.__setattr__(self, "names", normal(self.head, self.outputs * self.hidden).view(self.outputs, self.hidden))

    def __call__(self, source: int, count: int, start: int) -> tuple[Tensor, Tensor]:
        x = normal(stream(source, "x"), count * self.inputs, start * self.inputs).view(count, self.inputs)
        return x, (((x @ self.weights.T).abs() - sqrt(2 / pi)) @ self.names.T).argmax(1)


def teacher_tasks(
    seed: int,
    tasks: int = 2,
    *,
    inputs: int = 32,
    hidden: int = 8,
    outputs: int = 4,
    common: bool = True,
    batch: int = 16,
    shared: bool = False,
) -> list[SupervisedTask]:
    """Tasks ``teacher0``, ``teacher1``, …, whose teachers have their first layer in common, or with ``common`` false
    nothing at all: the control.

    Raises:
        ArgumentError: a size is below 1.
    """
    made = []
    for number in range(tasks):
        layer = stream(seed, "layer", 0 if common else number)
        draw = Teacher(inputs, hidden, outputs, layer, stream(seed, "head", number))
        exam = partial(unseen, draw, 2000)
        made.append(SupervisedTask(f"teacher{number}", (inputs,), outputs, draw, batch, shared, exam))
    return made
