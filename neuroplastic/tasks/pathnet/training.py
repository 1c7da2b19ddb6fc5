"""How paths are trained: side by side, exchanging gradients in every step, or each by itself on any worker.

P paths, L layers, M modules a layer, T steps a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError, check_range, check_shape
from neuroplastic.genome import Layout
from neuroplastic.pathnet import Descent, Subnetwork, SuperNetwork, Tensors
from neuroplastic.pathnet.network import READOUT
from neuroplastic.search.base import DensePopulation, Index, Population
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.pathnet.base import PathTask
from neuroplastic.tasks.statistics import Statistics


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
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Paths learn side by side for T steps; what is given stays as it is.

    In each step the gradients of all paths are taken at the same parameters, summed in the order of the paths where
    they share a module, and the descent makes one step of the sums. The readout is on every path.

    Args:
        tensors: of the modules and the readout, with what the descent remembers.
        paths: modules of each, bool [P, L, M].
        source: stream of all that is random.
        frozen: modules that do not learn, bool [L, M].
        progress: told steps done and T; what it raises ends the trial.

    Raises:
        DivergenceError: a parameter is not finite any more.
    """
    subnetwork = Subnetwork(network, tensors, paths, task.outputs, frozen)
    trial = task.trial(len(paths), source)
    for step in range(steps):
        descent.step(subnetwork, trial.gradients(subnetwork))
        if progress is not None:
            progress(step + 1, steps)
    for name, tensor in subnetwork.parameters.items():
        if not tensor.isfinite().all():
            raise DivergenceError(f"{task.name}: {name} is not finite after {steps} steps of {descent}")
    return Trained(subnetwork.put(tensors), trial.fitness(), trial.examples)


@dataclass(frozen=True, eq=False)
class Round(Population):
    """Paths that are trained each by itself, and what all of them begin with: sent to a worker once.

    Attributes:
        paths: modules of each, bool [P, L, M].
        stage: number of the task.
        tensors: of the modules and the readout, with what the descent remembers.
        frozen: modules that do not learn, bool [L, M].
    """

    paths: Tensor
    stage: int
    tensors: Tensors
    frozen: Tensor

    def __post_init__(self) -> None:
        check_shape("paths", self.paths, ["P", "L", "M"])
        check_shape("frozen", self.frozen, list(self.paths.shape[1:]))

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, index: Index) -> Tensor:
        """1 for each module that is on the path: [p, L · M]."""
        return DensePopulation(self.paths.flatten(1).float()).rows(index)

    def learn(self, network: SuperNetwork, path: Tensor) -> dict[str, Tensor]:
        """Which rows of each tensor may change on a path [L, M]: int64 [u]."""
        may = path & ~self.frozen
        rows = {name: may[layer, at : at + block.count].nonzero()[:, 0] for name, layer, at, block in network.blocks}
        rows[READOUT] = torch.zeros(1, dtype=torch.int64)
        return {name: rows[next(block for block in rows if name.startswith(f"{block}."))] for name in self.tensors}


@dataclass(frozen=True)
class PathTrials:
    """Trains the paths of a `Round`, each alone: a `Task` for evaluators, of one episode a member.

    What a trial leaves behind in `Evaluation.outcomes` are the rows of all tensors that its path may change, after T
    steps: a worker that dies has changed nothing.

    Attributes:
        network: what the paths go through.
        tasks: those of all stages.
        descent: how modules learn.
        trial_steps: T.

    Raises:
        ArgumentError: T is below 1.
    """

    network: SuperNetwork
    tasks: tuple[PathTask, ...]
    descent: Descent
    trial_steps: int
    batch = 1

    def __post_init__(self) -> None:
        check_range("trial_steps", self.trial_steps, low=1)

    @property
    def layout(self) -> Layout:
        return Layout((("active", (len(self.network.layers), self.network.modules)),))

    def evaluate(
        self,
        population: Population,
        index: Sequence[int],
        seeds: NDArray[np.int64],
        shared: Statistics | None = None,
    ) -> Evaluation:
        """Trains the members ``index`` [p], each with the stream that is its seed [p, 1].

        Raises:
            ArgumentError: the population is no `Round`.
            DivergenceError: a parameter is not finite any more.
        """
        if not isinstance(population, Round):
            raise ArgumentError(f"population: expected a Round of paths; got {type(population).__name__}")
        check_shape("seeds", seeds, [len(index), 1])
        task, start, frozen = self.tasks[population.stage], population.tensors, population.frozen
        fitness, examples, left = [], [], []
        for path, seed in zip(population.rows(index).bool().view(-1, *frozen.shape), seeds[:, 0].tolist(), strict=True):
            own = train(self.network, start, path[None], task, self.trial_steps, self.descent, seed, frozen)
            fitness.append(own.fitness)
            examples.append([own.examples])
            rows = population.learn(self.network, path)
            left.append({name: tensor[rows[name]] for name, tensor in own.tensors.items()})
        return Evaluation(np.stack(fitness), np.array(examples, np.int64), outcomes=tuple(left))

    def close(self) -> None:
        for task in self.tasks:
            getattr(task, "close", lambda: None)()


def merged(network: SuperNetwork, start: Round, outcomes: Sequence[Tensors | None]) -> Tensors:
    """What a round began with, and the changes of all paths, summed in their order.

    What the descent remembers of a module becomes the mean over the paths that trained it. Sums of changes would not
    do there: two paths that both forget a velocity v would leave v₁ + v₂ - v, which grows, and of squared gradients
    something below zero.

    Args:
        outcomes: what each path's trial left behind [P]; None: it failed, and changes nothing.

    Raises:
        DivergenceError: a parameter is not finite any more.
    """
    new: Tensors = {}
    trained = [(start.learn(network, path), own) for path, own in zip(start.paths, outcomes, strict=True) if own]
    for name, before in start.tensors.items():
        if name.rpartition(".")[0] in start.tensors:  # remembered of a parameter
            total, count = torch.zeros_like(before), torch.zeros(len(before))
            for rows, own in trained:
                total[rows[name]] += own[name]
                count[rows[name]] += 1
            total /= count.clamp(min=1).view(-1, *(1 for _ in before.shape[1:]))
            total[count == 0] = before[count == 0]
        else:
            total = before.clone()
            for rows, own in trained:
                total[rows[name]] += own[name] - before[rows[name]]
            if not total.isfinite().all():
                raise DivergenceError(f"{name} is not finite after the changes of {len(trained)} paths")
        new[name] = total
    return new
