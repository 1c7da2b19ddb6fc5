"""Sequences of tasks by name, ready to be learned one after the other, and each able to score what has learned it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from neuroplastic.errors import check_range
from neuroplastic.tasks.pathnet.base import ScoredTask
from neuroplastic.tasks.pathnet.control import ControlTask
from neuroplastic.tasks.pathnet.digits import digit_groups, digit_tasks
from neuroplastic.tasks.pathnet.glyphs import glyph_tasks
from neuroplastic.tasks.pathnet.teacher import teacher_tasks


def _digits(seed: int = 0, tasks: int = 2, noise: float = 0.5, batch: int = 16) -> Sequence[ScoredTask]:
    """Two digits against each other, then two other ones, and so on up to five times."""
    return digit_tasks(*digit_groups(seed, tasks, 2), noise=noise, batch=batch)


def _digits_groups(
    seed: int = 0, tasks: int = 2, classes: int = 5, noise: float = 0.2, batch: int = 16
) -> Sequence[ScoredTask]:
    """Some digits to be told apart, then others: no digit comes twice."""
    return digit_tasks(*digit_groups(seed, tasks, classes), noise=noise, batch=batch)


def _glyphs(
    seed: int = 0, tasks: int = 2, classes: int = 5, jitter: float = 1.0, noise: float = 0.0, batch: int = 16
) -> Sequence[ScoredTask]:
    """One alphabet of invented glyphs after the other."""
    return glyph_tasks(seed, tasks, classes=classes, jitter=jitter, noise=noise, batch=batch)


def _teacher(
    seed: int = 0,
    tasks: int = 2,
    inputs: int = 16,
    hidden: int = 4,
    outputs: int = 4,
    common: bool = True,
    batch: int = 16,
) -> Sequence[ScoredTask]:
    """Teachers with one layer in common, or with ``common`` false with nothing."""
    check_range("tasks", tasks, low=1)
    return teacher_tasks(seed, tasks, inputs=inputs, hidden=hidden, outputs=outputs, common=common, batch=batch)


def _cartpole(steps: int = 200, environments: int = 8, moves: int = 16, scale: float = 0.1) -> Sequence[ScoredTask]:
    """A pole to be balanced for so many steps, then with left and right exchanged."""
    common = _poles(steps, environments, moves, scale)
    return [ControlTask(name="cartpole", **common), ControlTask(name="mirrored", mirrored=True, **common)]


def _gravity(
    gravity: float = 29.4, steps: int = 200, environments: int = 8, moves: int = 16, scale: float = 0.1
) -> Sequence[ScoredTask]:
    """A pole to be balanced for so many steps, then under another gravity (the Earth's is 9.8 m/s²)."""
    common = _poles(steps, environments, moves, scale)
    return [ControlTask(name="cartpole", **common), ControlTask(name="heavy", physics={"gravity": gravity}, **common)]


def _poles(steps: int, environments: int, moves: int, scale: float) -> dict[str, Any]:
    check_range("steps", steps, low=1)
    options = {"max_episode_steps": steps}
    return {"env": "CartPole-v1", "options": options, "environments": environments, "moves": moves, "scale": scale}


def _control(environments: int = 8, moves: int = 16, scale: float = 0.1) -> Sequence[ScoredTask]:
    """CartPole, Acrobot, LunarLander (it needs Box2D): observations padded to 8 numbers, each a readout of its own."""
    common: dict[str, Any] = {"width": 8, "environments": environments, "moves": moves, "scale": scale}
    names = {"cartpole": "CartPole-v1", "acrobot": "Acrobot-v1", "lunarlander": "LunarLander-v3"}
    return [ControlTask(env, name, **common) for name, env in names.items()]


SEQUENCES: dict[str, Callable[..., Sequence[ScoredTask]]] = {
    "digits": _digits,
    "digits-groups": _digits_groups,
    "glyphs": _glyphs,
    "teacher": _teacher,
    "cartpole": _cartpole,
    "gravity": _gravity,
    "control": _control,
}
"""Name -> a function whose keyword arguments are options with defaults."""
