"""What a first task gives to a second one: PathNet beside those who do the same without a part of it.

The comparison of Fernando et al. 2017, sections 3.1 and 3.2, at equal numbers of minibatches (or rollouts): in a round
PathNet trains two paths for T steps, all others one path for 2 T.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import check_range, check_shape
from neuroplastic.learners.pathnet import Learned, PathNet, Stage, Tournament, check_inputs, predict
from neuroplastic.noise import stream, uniform
from neuroplastic.pathnet import Descent, SuperNetwork, Tensors, active, overlap
from neuroplastic.tasks.pathnet.base import PathTask, Predict
from neuroplastic.tasks.pathnet.training import train

ARMS = {
    "pathnet": "paths evolve through what is frozen of the first task and modules born anew",
    "fresh": "paths evolve through newborn modules: there was no first task",
    "random": "a random path through what is frozen and modules born anew; nothing evolves",
    "fine-tuned": "a path of N modules a layer that learned the first task learns the second",
    "independent": "a newborn path of N modules a layer learns the second task",
}

Score = Callable[[Predict], float]
"""How good something is that has learned a task; the same examples for all."""


@dataclass(frozen=True)
class Setting:
    """What both tasks are learned with.

    Attributes:
        network, tournament, descent, always_active: as of `PathNet`.
        rounds: of the first task and of the second.
    """

    network: SuperNetwork
    tournament: Tournament
    descent: Descent
    rounds: tuple[int, int]
    always_active: bool = False

    def __post_init__(self) -> None:
        for number in self.rounds:
            check_range("rounds", number, low=1)


def compare(
    setting: Setting, tasks: Sequence[PathTask], scores: Sequence[Score | None], seed: int
) -> dict[str, dict[str, Any]]:
    """Learns two tasks one after the other in each of the `ARMS`; plain numbers, ready for a line of JSON.

    Args:
        setting: the same for all arms.
        tasks: the first and the second.
        scores: of both; without one (None) a task's curve is the fitness in training, and there is no forgetting.
        seed: of all that is random.

    Returns:
        arm -> ``curve``: the score after each round of the second task; ``first``: the score on the first task when it
        was learned, where there was one; ``forgotten``: how much of it is lost after the second; ``overlap``: modules
        of the second task's best path, layer by layer, that are also on the first one's.
    """
    first, second = tasks
    for task in tasks:
        check_inputs(setting.network, task)
    found: dict[str, dict[str, Any]] = {}

    learner = _pathnet(setting, [Stage(first, setting.rounds[0]), Stage(second, setting.rounds[1])], seed)
    while learner.stage == 0:
        learner.step()
    newborn, frozen = learner.tensors, learner.frozen
    own: Score | None = scores[0]
    before = own(lambda x: learner.predict(first.name, x)) if own else None
    curve = list(_evolve(learner, second, scores[1]))
    after = own(lambda x: learner.predict(first.name, x)) if own else None
    paths = [active(learner.learned[task.name].path, setting.network.modules) for task in tasks]
    found["pathnet"] = {"curve": curve, "overlap": overlap(*paths).tolist()} | _lost(before, after)

    learner = _pathnet(setting, [Stage(second, setting.rounds[1])], stream(seed, "fresh") >> 1)
    found["fresh"] = {"curve": list(_evolve(learner, second, scores[1]))}

    on = _random_path(setting, stream(seed, "random path"))
    on = on | frozen if setting.always_active else on
    line = _Line(setting, newborn, on, frozen, stream(seed, "random"))
    # What is frozen cannot be lost, so the first task stays as it was.
    found["random"] = {"curve": list(line.learn(second, scores[1], setting.rounds[1]))} | _lost(before, before)

    on = _random_path(setting, stream(seed, "fixed path"))
    born = setting.network.birth(stream(seed, "fixed"))
    line = _Line(setting, born, on, None, stream(seed, "fine-tuned"))
    for _ in line.learn(first, None, setting.rounds[0]):
        pass
    before = own(line.predict) if own else None
    readout = line.readout
    curve = list(line.learn(second, scores[1], setting.rounds[1]))
    line.readout = readout
    found["fine-tuned"] = {"curve": curve} | _lost(before, own(line.predict) if own else None)

    line = _Line(setting, born, on, None, stream(seed, "independent"))
    found["independent"] = {"curve": list(line.learn(second, scores[1], setting.rounds[1]))}
    return found


def _lost(before: float | None, after: float | None) -> dict[str, float]:
    return {} if before is None or after is None else {"first": before, "forgotten": before - after}


def _pathnet(setting: Setting, stages: Sequence[Stage], seed: int) -> PathNet:
    options = {"tournament": setting.tournament, "descent": setting.descent, "always_active": setting.always_active}
    return PathNet(setting.network, stages, seed=seed, **options)


def _evolve(learner: PathNet, task: PathTask, score: Score | None) -> Iterator[float]:
    """The fittest path's score after each round, until all is learned."""
    while not learner.stopped:
        metrics = learner.step()
        if score is None:
            yield metrics["best"]
            continue
        if learner.stopped:
            yield score(lambda x: learner.predict(task.name, x))
            continue
        path = learner.paths[learner.best()]
        now = Learned(path, learner.active(path), learner.readout())
        yield score(lambda x, now=now: predict(learner.network, learner.tensors, now, x))


def _random_path(setting: Setting, source: int) -> Tensor:
    """N distinct modules in each layer: bool [L, M]."""
    layers, modules = len(setting.network.layers), setting.network.modules
    order = uniform(source, layers * modules).view(layers, modules).argsort(dim=1, stable=True)
    return order.argsort(dim=1) < setting.tournament.genes


class _Line:
    """One path that learns one task after the other."""

    def __init__(self, setting: Setting, tensors: Tensors, on: Tensor, frozen: Tensor | None, source: int) -> None:
        self.setting, self.tensors, self.on, self.frozen, self.source = setting, tensors, on, frozen, source
        self.readout: Tensors = {}

    def learn(self, task: PathTask, score: Score | None, rounds: int) -> Iterator[float]:
        """The score after each round of 2 T steps with a newborn readout."""
        network, descent = self.setting.network, self.setting.descent
        source = stream(self.source, task.name)
        readout = network.readout_birth(task.outputs, stream(source, "readout"))
        parameters = {name: self.tensors[name] for name in network.parameters} | readout
        tensors = parameters | descent.begin(parameters)
        for number in range(rounds):
            steps, trial = 2 * self.setting.tournament.pairs * self.setting.tournament.steps, stream(source, number)
            trained = train(network, tensors, self.on[None], task, steps, descent, trial, self.frozen)
            self.tensors = tensors = trained.tensors
            self.readout = {name: tensors[name] for name in readout}
            yield float(trained.fitness[0]) if score is None else score(self.predict)

    def predict(self, x: Tensor) -> Tensor:
        return predict(self.setting.network, self.tensors, Learned(torch.zeros(0), self.on, self.readout), x)


# ---------------------------------------------------------------- what the curves of many seeds say


def rounds_to(curves: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Rounds until each curve [S, R] first reaches the threshold [S]; R + 1 where it never does."""
    check_shape("curves", curves, ["S", "R"])
    reached = curves >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, curves.shape[1] + 1).astype(float)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: NDArray[np.float64], resamples: int = 10_000) -> Interval:
    """Of one value a seed [S]: percentiles of the means of ``resamples`` resampled sets, always the same ones."""
    check_shape("values", values, ["S"])
    drawn = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def speed_up(slow: NDArray[np.float64], fast: NDArray[np.float64]) -> Interval:
    """How many times as many rounds the one needs as the other, paired by seed: the geometric mean of the ratios."""
    log = mean_interval(np.log(slow / fast))
    return replace(log, mean=float(np.exp(log.mean)), low=float(np.exp(log.low)), high=float(np.exp(log.high)))
