"""PathNet: evolution decides which modules learn a task, gradients teach them, and what was learned is kept.

Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks" (arXiv 1701.08734).
P population, L layers, M modules a layer, N genes a layer, T steps a trial.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, OrderError, check_name, check_range, check_shape
from neuroplastic.evaluate.base import Evaluator, Progress
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.learners.base import Found, State
from neuroplastic.learners.evolution import FAULT
from neuroplastic.noise import stream, uniform
from neuroplastic.pathnet import Descent, PathHistory, Subnetwork, SuperNetwork, Tensors, active, random_paths
from neuroplastic.search.breeding import fittest, mutate_integer, winners
from neuroplastic.tasks.pathnet.base import PathTask
from neuroplastic.tasks.pathnet.training import PathTrials, Round, Trained, merged, train

EXCHANGES = ("step", "round")


@dataclass(frozen=True)
class Stage:
    """One task of the sequence.

    Attributes:
        task: what is learned.
        rounds: tournament rounds it lasts at most.
        threshold: it is learned when a path of a round reaches this fitness.

    Raises:
        ArgumentError: rounds is below 1.
    """

    task: PathTask
    rounds: int
    threshold: float = inf

    def __post_init__(self) -> None:
        check_range("rounds", self.rounds, low=1)


@dataclass(frozen=True)
class Tournament:
    """How paths evolve.

    Attributes:
        population: P.
        genes: N, so many modules a layer a path has at most.
        steps: T, of a trial.
        pairs: tournaments of a round: their paths are trained at the same time.
        exchange: when paths that are trained at the same time share what they learn: "step": their gradients are summed
            in every step; "round": each is trained by itself, maybe on a worker, and the changes are summed at the end.
        rate: with which a gene of a child is mutated; None: 1/(N L), one gene a child on average.
        reach: a mutated gene moves by an integer of -reach..reach, each as probable (0 too), modulo M.

    Raises:
        ArgumentError: a number is out of range, or a round has more paths than there are.
        UnknownNameError: no such exchange.
    """

    population: int = 64
    genes: int = 3
    steps: int = 50
    pairs: int = 1
    exchange: str = "step"
    rate: float | None = None
    reach: int = 2

    def __post_init__(self) -> None:
        check_range("tournament.population", self.population, low=2)
        check_range("tournament.pairs", self.pairs, low=1, high=self.population // 2)
        for name in ("genes", "steps", "reach"):
            check_range(f"tournament.{name}", getattr(self, name), low=1)
        if self.rate is not None:
            check_range("tournament.rate", self.rate, low=0, high=1)
        check_name("tournament.exchange", self.exchange, EXCHANGES)


@dataclass(frozen=True)
class Learned:
    """What is kept of a task.

    Attributes:
        path: the best one's genes, int64 [L, N].
        active: the modules it runs on, bool [L, M]: its own and, if they are always active, those frozen before.
        readout: the task's own.
    """

    path: Tensor
    active: Tensor
    readout: Tensors = field(repr=False)


def predict(network: SuperNetwork, tensors: Tensors, learned: Learned, x: Tensor) -> Tensor:
    """What a learned task's path and readout make of x [B, *inputs]: [B, outputs]."""
    outputs = next(iter(learned.readout.values())).shape[1]
    with torch.no_grad():
        whole = Subnetwork(network, {**tensors, **learned.readout}, learned.active[None], outputs)
        return whole.forward(x[None])[0]


def mutate(paths: Tensor, modules: int, rate: float, reach: int, source: int) -> Tensor:
    """Each gene [..., L, N], with probability ``rate``, plus an integer of -reach..reach, modulo M."""
    nothing = torch.full(paths.shape, -reach - 1.0)  # of -reach-1..reach, another one: all offsets, evenly
    offsets = mutate_integer(nothing, rate, -reach - 1, reach, source)
    return (paths + offsets.where(offsets > nothing, 0).long()) % modules


class PathNet:
    """The learner: one step is a round of tournaments.

    A pair of paths is drawn, both are trained for T steps, and the loser becomes a mutated copy of the winner; on a
    tie the first one wins. When a task is over, the modules of its fittest path are frozen, all others are born anew,
    and the next task begins with a new population and a new readout.

    Args:
        network: what the paths go through.
        stages: the tasks, one after the other.
        tournament: how paths evolve.
        descent: how modules learn.
        seed: of all that is random.
        always_active: what is frozen takes part in every path, as in the paper's reinforcement learning.
        source: a learner whose frozen modules, and learned tasks, this one starts with.
        evaluator: of a learner's `trials`, or of equal ones: trains the paths of a round, each by itself; None: here.
        progress: told how far a round is; what it raises ends the round, and the learner is as it was.

    Attributes:
        generation: rounds done.
        stage: number of the present task; that of the stages when all are learned.
        paths: int64 [P, L, N].
        fitness: what each path reached when it was last trained [P]; NaN: it was not yet.
        frozen: bool [L, M].
        tensors: all modules', the present readout's, and what the descent remembers.
        learned: name of a task -> what is kept of it.

    Raises:
        ArgumentError: N > M, there is no task, a task's name is there twice, ``source`` has nothing frozen, or there is
            an evaluator although paths share their gradients in every step.
        ShapeError: a task has observations of another shape than the network, or ``source`` another network.
    """

    def __init__(
        self,
        network: SuperNetwork,
        stages: Sequence[Stage],
        *,
        tournament: Tournament | None = None,
        descent: Descent | None = None,
        seed: int = 0,
        always_active: bool = False,
        source: PathNet | None = None,
        evaluator: Evaluator | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.network, self.stages, self.seed = network, tuple(stages), seed
        self.tournament, self.descent = tournament or Tournament(), descent or Descent()
        self.always_active, self.evaluator, self.progress = always_active, evaluator, progress
        if evaluator and self.tournament.exchange == "step":
            raise ArgumentError(
                "evaluator: expected none for paths that share their gradients in every step; got one. "
                "It takes tournament.exchange = 'round'"
            )
        check_range("tournament.genes (N, of M modules a layer)", self.tournament.genes, high=network.modules)
        if not self.stages:
            raise ArgumentError("stages: expected one task or more; got none")
        names = [*(source.learned if source else ()), *(stage.task.name for stage in self.stages)]
        for name in names:
            if names.count(name) > 1:
                raise ArgumentError(f"stages: expected tasks of distinct names; got {name!r} twice")
        for stage in self.stages:
            check_inputs(network, stage.task)
        self.generation = self.stage = self.began = self.examples = self.trained_steps = 0
        self.learned: dict[str, Learned] = {}
        self.frozen = torch.zeros(len(network.layers), network.modules, dtype=torch.bool)
        tensors = network.birth(stream(seed, "birth", 0))
        if source is not None:
            if not source.frozen.any():
                raise ArgumentError("source: expected a frozen path to transfer from; got a learner without one")
            if (source.network.inputs, source.network.layers) != (network.inputs, network.layers):
                raise ArgumentError("source: expected a learner of the same network; got one of another")
            self.learned, self.frozen = dict(source.learned), source.frozen.clone()
            tensors = network.reborn(source.tensors, self.frozen, stream(seed, "birth", 0))
        self._inherited = self.frozen.clone()
        self._rounds: list[tuple[int, float, Tensor]] = []  # stage, fitness of the fittest path, its modules [L, M]
        self._begin(tensors)

    def _begin(self, tensors: Tensors) -> None:
        """A new population and readout for the present stage."""
        shape = self.tournament.population, len(self.network.layers), self.tournament.genes
        self.paths = random_paths(*shape, self.network.modules, stream(self.seed, "population", self.stage))
        self.fitness = np.full(self.tournament.population, np.nan)
        outputs = self.stages[self.stage].task.outputs
        tensors = tensors | self.network.readout_birth(outputs, stream(self.seed, "readout", self.stage))
        self.tensors = tensors | self.descent.begin(tensors)
        self.began = self.generation

    def active(self, paths: Tensor) -> Tensor:
        """The modules that paths [..., L, N] run on: bool [..., L, M]."""
        on = active(paths, self.network.modules)
        return on | self.frozen if self.always_active else on

    def step(self) -> dict[str, float]:
        """A round of tournaments.

        Raises:
            OrderError: all tasks are learned.
            DivergenceError: a parameter would not be finite.
        """
        if self.stopped:
            raise OrderError(f"step: expected a task that is left to learn; got none ({self.stopped})")
        started, evolve, number = time.perf_counter(), self.tournament, self.stage
        faults = dict(self.evaluator.faults) if self.evaluator else {}
        stage = self.stages[number]
        drawn = uniform(stream(self.seed, "entrants", self.generation), evolve.population)
        entrants = drawn.argsort(stable=True)[: 2 * evolve.pairs].view(-1, 2)
        on = self.active(self.paths[entrants.flatten()])
        trained = self._train(on, stream(self.seed, "trial", self.generation))

        # From here on the learner changes, and nothing is trained.
        self.tensors = trained.tensors
        self.fitness[entrants.flatten()] = trained.fitness
        first = winners(self.fitness, entrants)
        losers = entrants.sum(1) - first
        rate = 1 / self.paths[0].numel() if evolve.rate is None else evolve.rate
        source = stream(self.seed, "mutation", self.generation)
        self.paths[losers] = mutate(self.paths[first], self.network.modules, rate, evolve.reach, source)
        self.fitness[losers] = np.nan  # the child has not been tried
        self.generation += 1
        self.examples += trained.examples
        self.trained_steps += evolve.steps * len(on)
        best = self.best()
        own = active(self.paths[best], self.network.modules)
        self._rounds.append((number, float(self.fitness[best]), own))
        metrics: dict[str, float] = {
            "generation": self.generation - 1,
            "stage": number,
            "best": float(np.nanmax(trained.fitness, initial=-np.inf)),
            "mean": float(np.nanmean(trained.fitness)) if not np.isnan(trained.fitness).all() else float("nan"),
            "center": float(self.fitness[best]),
            "reused": int((own & self.frozen).sum()),
            "evaluations": self.trained_steps,
            "steps": self.examples,
        }
        for name, count in self.evaluator.faults.items() if self.evaluator else ():
            if count > faults[name]:
                metrics[f"{FAULT}{name}"] = count - faults[name]
        if metrics["best"] >= stage.threshold or self.generation - self.began == stage.rounds:
            self._finish(best)
        return metrics | {"seconds": time.perf_counter() - started}

    @property
    def trials(self) -> PathTrials:
        """What an evaluator tries."""
        tasks = tuple(stage.task for stage in self.stages)
        return PathTrials(self.network, tasks, self.descent, self.tournament.steps)

    def _train(self, on: Tensor, source: int) -> Trained:
        """The round's paths [P, L, M] learn; the learner stays as it is."""
        if self.tournament.exchange == "step":
            task, steps = self.stages[self.stage].task, self.tournament.steps
            given = self.network, self.tensors, on, task, steps, self.descent, source, self.frozen
            return train(*given, progress=self.progress)
        paths = Round(on, self.stage, self.tensors, self.frozen)
        seeds = np.array([[stream(source, path) >> 1] for path in range(len(on))], np.int64)
        evaluator = self.evaluator or SerialEvaluator(self.trials)
        tried = evaluator.evaluate(paths, seeds, progress=self.progress)
        left = tried.outcomes or (None,) * len(on)
        return Trained(merged(self.network, paths, left), tried.fitness[:, 0], int(tried.steps.sum()))

    @property
    def history(self) -> PathHistory:
        """What the rounds so far looked like."""
        modules = [own for _, _, own in self._rounds]
        return PathHistory(
            tuple(stage.task.name for stage in self.stages),
            torch.tensor([stage for stage, _, _ in self._rounds], dtype=torch.int64),
            torch.tensor([fitness for _, fitness, _ in self._rounds], dtype=torch.float64),
            torch.stack(modules) if modules else self._inherited.new_zeros(0, *self._inherited.shape),
            self._inherited,
            self.always_active,
        )

    @property
    def steps(self) -> int:
        """Examples, or steps of environments, that all paths together were shown so far."""
        return self.examples

    def best(self) -> int:
        """Which path is the fittest of those that were trained since they were born."""
        return int(fittest(self.fitness)[0])

    def _finish(self, best: int) -> None:
        """The task is over: its best path is frozen, the rest is born anew."""
        path = self.paths[best].clone()
        readout = self.readout()
        self.learned[self.stages[self.stage].task.name] = Learned(path, self.active(path), readout)
        self.frozen = self.frozen | active(path, self.network.modules)
        self.stage += 1
        if self.stage < len(self.stages):
            self._begin(self.network.reborn(self.tensors, self.frozen, stream(self.seed, "birth", self.stage)))

    def readout(self) -> Tensors:
        """The present task's."""
        names = self.network.readout_parameters(self.stages[self.stage].task.outputs)
        return {name: self.tensors[name] for name in names}

    def predict(self, name: str, x: Tensor) -> Tensor:
        """What the path of a learned task makes of x [B, *inputs]: [B, outputs].

        Raises:
            UnknownNameError: no such task is learned.
            ShapeError: x has another shape.
        """
        check_name("task", name, self.learned)
        return predict(self.network, self.tensors, self.learned[name], x)

    @property
    def stopped(self) -> str | None:
        return "all tasks are learned" if self.stage == len(self.stages) else None

    def found(self) -> dict[str, Found]:
        """The fittest path of the present task, or of the last one, as float32 [L · N]: ``center`` and ``best``.

        Their parts are the modules, what is kept of each learned task, and the history: what `recollect` takes.
        """
        path = self.learned[self.stages[-1].task.name].path if self.stopped else self.paths[self.best()]
        parts = {f"tensors.{name}": self.tensors[name] for name in self.network.parameters}
        parts |= {f"history.{name}": tensor for name, tensor in self.history.tensors().items()}
        for number, stage in enumerate(self.stages):
            if learned := self.learned.get(stage.task.name):
                kept = {"path": learned.path, "active": learned.active, **learned.readout}
                parts |= {f"learned.{number}.{name}": tensor for name, tensor in kept.items()}
        return {name: Found(path.flatten().float(), parts=parts) for name in ("center", "best")}

    def state_dict(self) -> dict[str, Tensor | int | float | str]:
        state: dict[str, Tensor | int | float | str] = {
            "generation": self.generation,
            "stage": self.stage,
            "began": self.began,
            "examples": self.examples,
            "trained_steps": self.trained_steps,
            "paths": self.paths.clone(),
            "fitness": torch.from_numpy(self.fitness.copy()),
            "frozen": self.frozen,
        }
        state |= {f"tensors.{name}": tensor for name, tensor in self.tensors.items()}
        state |= {f"history.{name}": tensor for name, tensor in self.history.tensors().items()}
        for number, (name, learned) in enumerate(self.learned.items()):
            state |= {
                f"learned.{number}.name": name,
                f"learned.{number}.path": learned.path,
                f"learned.{number}.active": learned.active,
            }
            state |= {f"learned.{number}.{key}": tensor for key, tensor in learned.readout.items()}
        return state

    def load_state_dict(self, state: State) -> None:
        paths, frozen = torch.as_tensor(state["paths"]), torch.as_tensor(state["frozen"])
        check_shape("paths", paths, list(self.paths.shape))
        check_shape("frozen", frozen, list(self.frozen.shape))
        stage = int(state["stage"])
        check_range("stage", stage, low=0, high=len(self.stages))
        self.generation, self.stage, self.began, self.examples, self.trained_steps = (
            int(state[name]) for name in ("generation", "stage", "began", "examples", "trained_steps")
        )
        self.paths, self.frozen = paths.clone(), frozen.clone()
        self.fitness = torch.as_tensor(state["fitness"]).double().numpy().copy()
        self.tensors = _under(state, "tensors.")
        past = PathHistory.of(_under(state, "history."))
        self._rounds = list(zip(past.stage.tolist(), past.fitness.tolist(), past.active, strict=True))
        self._inherited = past.inherited
        self.learned = {}
        while (name := state.get(f"learned.{len(self.learned)}.name")) is not None:
            own = _under(state, f"learned.{len(self.learned)}.")
            self.learned[str(name)] = Learned(own.pop("path"), own.pop("active"), own)


def recollect(parts: Mapping[str, Tensor]) -> tuple[Tensors, list[Learned], PathHistory]:
    """The modules, what is kept of each learned task, and the history, of the parts of what `PathNet` found.

    Raises:
        KeyError, ValueError, ShapeError: the parts are of something else.
    """
    learned: list[Learned] = []
    while f"learned.{len(learned)}.path" in parts:
        own = _under(parts, f"learned.{len(learned)}.")
        learned.append(Learned(own.pop("path"), own.pop("active"), own))
    return _under(parts, "tensors."), learned, PathHistory.of(_under(parts, "history."))


def check_inputs(network: SuperNetwork, task: PathTask) -> None:
    """Raises `ArgumentError` unless the task's observations have the shape that the network takes."""
    if tuple(task.inputs) != network.inputs:
        raise ArgumentError(
            f"task {task.name!r}: expected observations of shape {[*network.inputs]}, as the network takes; "
            f"got {[*task.inputs]}"
        )


def _under(state: Mapping[str, Any], prefix: str) -> Tensors:
    """Copies of the tensors whose names begin so."""
    return {
        name.removeprefix(prefix): value.clone()
        for name, value in state.items()
        if name.startswith(prefix) and isinstance(value, Tensor)
    }
