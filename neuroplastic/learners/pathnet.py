"""PathNet: evolution decides which modules learn a task, gradients teach them, and what was learned is kept.

Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks" (arXiv 1701.08734).
P population, L layers, M modules a layer, N genes a layer, T steps a trial.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError, OrderError, check_name, check_range, check_shape
from neuroplastic.learners.base import Found, State
from neuroplastic.noise import stream, uniform
from neuroplastic.pathnet import Descent, Subnetwork, SuperNetwork, Tensors, active, random_paths
from neuroplastic.search.breeding import fittest, mutate_integer, winners
from neuroplastic.tasks.pathnet.base import PathTask


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
        rate: with which a gene of a child is mutated; None: 1/(N L), one gene a child on average.
        reach: a mutated gene moves by an integer of -reach..reach, each as probable (0 too), modulo M.

    Raises:
        ArgumentError: a number is out of range, or a round has more paths than there are.
    """

    population: int = 64
    genes: int = 3
    steps: int = 50
    pairs: int = 1
    rate: float | None = None
    reach: int = 2

    def __post_init__(self) -> None:
        check_range("tournament.population", self.population, low=2)
        check_range("tournament.pairs", self.pairs, low=1, high=self.population // 2)
        for name in ("genes", "steps", "reach"):
            check_range(f"tournament.{name}", getattr(self, name), low=1)
        if self.rate is not None:
            check_range("tournament.rate", self.rate, low=0, high=1)


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


@dataclass(frozen=True)
class Trained:
    """What a trial made.

    Attributes:
        tensors: of the super-network and the readout.
        fitness: of each path over the T steps [P].
        examples: shown to all of them together.
    """

    tensors: Tensors
    fitness: NDArray[np.float64]
    examples: int


def train(
    network: SuperNetwork,
    tensors: Tensors,
    paths: Tensor,
    task: PathTask,
    steps: int,
    descent: Descent,
    source: int,
    frozen: Tensor | None = None,
) -> Trained:
    """Paths learn side by side for T steps; what is given stays as it is.

    In each step the gradients of all paths are taken at the same parameters, summed in the order of the paths where
    they share a module, and the descent makes one step of the sums. The readout is on every path.

    Args:
        tensors: of the modules and the readout, with what the descent remembers.
        paths: modules of each, bool [P, L, M].
        source: stream of all that is random.
        frozen: modules that do not learn, bool [L, M].

    Raises:
        DivergenceError: a parameter is not finite any more.
    """
    subnetwork = Subnetwork(network, tensors, paths, task.outputs, frozen)
    trial = task.trial(len(paths), source)
    for _ in range(steps):
        descent.step(subnetwork, trial.gradients(subnetwork))
    for name, tensor in subnetwork.parameters.items():
        if not tensor.isfinite().all():
            raise DivergenceError(f"{task.name}: {name} is not finite after {steps} steps of {descent}")
    return Trained(subnetwork.put(tensors), trial.fitness(), trial.examples)


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

    Attributes:
        generation: rounds done.
        stage: number of the present task; that of the stages when all are learned.
        paths: int64 [P, L, N].
        fitness: what each path reached when it was last trained [P]; NaN: it was not yet.
        frozen: bool [L, M].
        tensors: all modules', the present readout's, and what the descent remembers.
        learned: name of a task -> what is kept of it.

    Raises:
        ArgumentError: N > M, there is no task, a task's name is there twice, or ``source`` has nothing frozen.
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
    ) -> None:
        self.network, self.stages, self.seed = network, tuple(stages), seed
        self.tournament, self.descent = tournament or Tournament(), descent or Descent()
        self.always_active = always_active
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
        stage = self.stages[number]
        drawn = uniform(stream(self.seed, "entrants", self.generation), evolve.population)
        entrants = drawn.argsort(stable=True)[: 2 * evolve.pairs].view(-1, 2)
        on = self.active(self.paths[entrants.flatten()])
        source = stream(self.seed, "trial", self.generation)
        trained = train(self.network, self.tensors, on, stage.task, evolve.steps, self.descent, source, self.frozen)

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
        metrics: dict[str, float] = {
            "generation": self.generation - 1,
            "stage": number,
            "best": float(np.nanmax(trained.fitness, initial=-np.inf)),
            "mean": float(np.nanmean(trained.fitness)) if not np.isnan(trained.fitness).all() else float("nan"),
            "center": float(self.fitness[best]),
            "reused": int((active(self.paths[best], self.network.modules) & self.frozen).sum()),
            "evaluations": self.trained_steps,
            "steps": self.examples,
        }
        if metrics["best"] >= stage.threshold or self.generation - self.began == stage.rounds:
            self._finish(best)
        return metrics | {"seconds": time.perf_counter() - started}

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
        """The fittest path of the present task, or of the last one, as float32 [L · N]: ``center`` and ``best``."""
        path = self.learned[self.stages[-1].task.name].path if self.stopped else self.paths[self.best()]
        return {name: Found(path.flatten().float()) for name in ("center", "best")}

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
        self.learned = {}
        while (name := state.get(f"learned.{len(self.learned)}.name")) is not None:
            own = _under(state, f"learned.{len(self.learned)}.")
            self.learned[str(name)] = Learned(own.pop("path"), own.pop("active"), own)


def check_inputs(network: SuperNetwork, task: PathTask) -> None:
    """Raises `ArgumentError` unless the task's observations have the shape that the network takes."""
    if tuple(task.inputs) != network.inputs:
        raise ArgumentError(
            f"task {task.name!r}: expected observations of shape {[*network.inputs]}, as the network takes; "
            f"got {[*task.inputs]}"
        )


def _under(state: State, prefix: str) -> Tensors:
    """Copies of the tensors whose names begin so."""
    return {
        name.removeprefix(prefix): value.clone()
        for name, value in state.items()
        if name.startswith(prefix) and isinstance(value, Tensor)
    }
