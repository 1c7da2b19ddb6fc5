"""Paths whose modules are evolved, not trained: plastic layers, whose rules an evolution strategy improves by return.

P paths, L layers of M modules, B lives side by side, K pairs of antithetic trials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, check_shape
from neuroplastic.genome import Codec, Identity, Layout
from neuroplastic.noise import episode_seeds, normal, stream
from neuroplastic.pathnet.modules import Shape
from neuroplastic.pathnet.network import READOUT, Subnetwork, SuperNetwork, Tensors
from neuroplastic.plastic import Layer, LivingLayer, Rule
from neuroplastic.plastic.network import Numbers
from neuroplastic.search.base import DensePopulation, Population
from neuroplastic.search.shaping import centered_rank
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.rollout import RolloutTask

Evaluate = Callable[[Population, NDArray[np.int64]], Evaluation]
"""A population's members, each in the episodes of its seeds [P, E]: what an evaluator's ``evaluate`` does."""


@dataclass(frozen=True)
class Plastic:
    """A module that is a plastic layer; its parameters are the coefficients of its rule.

    Attributes:
        size: units.
        rule: how its weights change in a life.
        activation: of the units.
        spread: σ of the coefficients at birth, N(0, σ²).
    """

    size: int
    rule: Rule
    activation: str = "tanh"
    spread: float = 0.1

    def outputs(self, inputs: Shape) -> Shape:
        return (self.size,)

    def layout(self, inputs: Shape) -> Layout:
        return self.rule.layout(prod(inputs), self.size)

    def birth(self, name: str, shape: Shape, stream: int) -> Tensor:
        return self.spread * normal(stream, prod(shape)).view(shape)


@dataclass(frozen=True)
class _Living:
    """The modules of one block in all lives: module m of life b is row b · count + m."""

    layer: int
    first: int
    count: int
    living: LivingLayer


class PathPolicy:
    """Lives that run on paths. A `Policy`: a genome holds all modules, and which of them are ``present``.

    Args:
        inputs: shape of an observation.
        outputs: size of an action.
        network: whose modules are all `Plastic`, as is its readout.

    Raises:
        ArgumentError: a module is of another kind, or takes observations of another shape.
    """

    def __init__(self, inputs: Shape, outputs: int, *, network: SuperNetwork) -> None:
        if prod(inputs) != prod(network.inputs):
            raise ArgumentError(f"network: expected one for observations {[*inputs]}; got {[*network.inputs]}")
        self.network = network
        readout = (READOUT, len(network.layers), 0, 1, network.readout(outputs))
        self._blocks = [
            *((name, layer, first, block.count, block.module) for name, layer, first, block in network.blocks),
            readout,
        ]
        shapes: list[tuple[str, Shape]] = []
        for name, layer, _, count, module in self._blocks:
            if not isinstance(module, Plastic):
                raise ArgumentError(f"network: expected plastic modules only; got {module} in {name}")
            layout = module.layout(network.shapes[layer])
            shapes += [(f"{name}.{array}", (count, *shape)) for array, shape in layout.shapes]
        self.layout = Layout((*shapes, ("present", (len(network.layers), network.modules))))
        self._living: dict[str, _Living] = {}
        self._present = torch.zeros(0)

    @property
    def codec(self) -> Codec:
        return Identity(self.layout)

    def birth(
        self, genomes: Tensor, seeds: Sequence[int] | np.ndarray, rows: Sequence[int] | np.ndarray | None = None
    ) -> None:
        check_shape("genomes", genomes, ["B" if rows is None else len(rows), self.layout.size])
        arrays = self.layout.split(genomes.float())
        present = torch.cat([arrays["present"], torch.ones(len(genomes), 1, self.network.modules)], 1) > 0
        index = None if rows is None else torch.as_tensor(np.asarray(rows, np.int64))
        for name, layer, first, count, module in self._blocks:
            assert isinstance(module, Plastic)
            shape = self.network.shapes[layer]
            own = {key: arrays[f"{name}.{key}"].flatten(0, 1) for key in module.layout(shape)}
            each = [stream(int(seed), number) for seed in seeds for number in range(count)]
            born = module.rule.birth(Layer(name, prod(shape), module.size, module.activation), own, each)
            if index is None:
                self._living[name] = _Living(layer, first, count, born)
            else:
                self._living[name].living.replace((index[:, None] * count + torch.arange(count)).flatten(), born)
        if index is None:
            self._present = present
        else:
            self._present[index] = present

    def act(self, observations: Numbers, rewards: Numbers, rows: Sequence[int]) -> Numbers:
        activity, signal = (torch.as_tensor(given).float() for given in (observations, rewards))
        present = self._present[torch.as_tensor(np.asarray(rows, np.int64))]
        index = torch.as_tensor(np.asarray(rows, np.int64))
        sizes = [prod(shape) for shape in self.network.shapes[1:]]
        for layer in range(len(self.network.layers) + 1):
            parts = [part for part in self._living.values() if part.layer == layer]
            total = None if layer == len(sizes) else activity.new_zeros(len(index), sizes[layer])
            for part in parts:
                place, module = present[:, layer, part.first : part.first + part.count].nonzero().T
                if not len(place):
                    continue
                post = part.living.step(
                    activity[place].contiguous(), signal[place].contiguous(), index[place] * part.count + module
                )
                total = post if total is None else total.index_add(0, place, post)
            assert total is not None
            activity = total
        given: Any = activity if isinstance(observations, Tensor) else activity.numpy()
        return given

    def weights(self) -> dict[str, Tensor]:
        """``layer0.0`` -> [B, modules of the block, O, I]."""
        return {name: part.living.weights().unflatten(0, (-1, part.count)) for name, part in self._living.items()}


class EvolvedTask:
    """Lives in an environment, by which the modules of a path evolve.

    A step is a generation of an evolution strategy (Salimans et al. 2017, "Evolution Strategies as a Scalable
    Alternative to Reinforcement Learning", algorithm 1, antithetic and rank-shaped) around what the modules of each
    path are now; the descent follows its gradient. Fitness is the mean return of all trials.

    Args:
        name: of the task.
        network: of `Plastic` modules.
        env: a Gymnasium id.
        pairs: K, of each path in a step.
        sigma: of the trials.
        episodes: of each trial, the same for all of a step.
        evaluate: tries them, None: here. It may be set later, to that of an evaluator of ``rollouts``.
        options: further arguments of `RolloutTask`.

    Attributes:
        rollouts: the task whose genomes are `PathPolicy`'s.

    Raises:
        ArgumentError: a number is out of range, or the network does not fit the environment.
    """

    def __init__(
        self,
        name: str,
        network: SuperNetwork,
        env: str,
        *,
        pairs: int = 8,
        sigma: float = 0.1,
        episodes: int = 1,
        evaluate: Evaluate | None = None,
        **options: Any,
    ) -> None:
        for argument, number in {"pairs": pairs, "episodes": episodes}.items():
            check_range(argument, number, low=1)
        check_range("sigma", sigma, low=0, above=True)
        self.name, self.network, self.pairs, self.sigma, self.episodes = name, network, pairs, sigma, episodes
        self.rollouts = RolloutTask(env, partial(PathPolicy, network=network), **options)
        self.evaluate: Evaluate = evaluate or self._here
        self.rollouts.check()

    @property
    def inputs(self) -> tuple[int, ...]:
        return self.network.inputs

    @cached_property
    def outputs(self) -> int:
        return next(shape[1] for name, shape in self.rollouts.layout.shapes if name.startswith(f"{READOUT}."))

    def _here(self, population: Population, seeds: NDArray[np.int64]) -> Evaluation:
        every = np.broadcast_to(seeds, (len(population), len(seeds)))
        return self.rollouts.evaluate(population, range(len(population)), every)

    def trial(self, paths: int, stream: int) -> EvolvedTrial:
        return EvolvedTrial(self, paths, stream)


class EvolvedTrial:
    """A `Trial` of P paths."""

    def __init__(self, task: EvolvedTask, paths: int, source: int) -> None:
        self.task, self.paths, self.source = task, paths, source
        self.step = self.examples = 0
        self._returns: list[NDArray[np.float64]] = []

    def gradients(self, network: Subnetwork) -> Tensors:
        task = self.task
        values = network.parameters
        changes = [self._noise(network, path, pair) for path in range(self.paths) for pair in range(task.pairs)]
        rows = [
            self._genome(network, number // task.pairs, change, sign)
            for number, change in enumerate(changes)
            for sign in (1, -1)
        ]
        seeds = episode_seeds(self.source >> 1, "train", self.step, task.episodes)
        tried = task.evaluate(DensePopulation(torch.stack(rows)), seeds)
        fitness = tried.fitness.mean(axis=1).reshape(self.paths, 2 * task.pairs)
        ranks = np.stack([centered_rank(own) for own in fitness]).reshape(self.paths, task.pairs, 2)
        weights = ((ranks[..., 0] - ranks[..., 1]) / (2 * task.pairs * task.sigma)).ravel()
        self._returns.append(fitness)
        self.step += 1
        self.examples += int(tried.steps.sum())
        found = {name: torch.zeros_like(value, requires_grad=False) for name, value in values.items()}
        for weight, change in zip(weights.tolist(), changes, strict=True):  # in the order of the paths
            for name, noise in change.items():
                found[name] -= weight * noise  # what is followed downwards
        return found

    def _noise(self, network: Subnetwork, path: int, pair: int) -> Tensors:
        """N(0, 1) for the modules on the path that are not frozen, 0 for all others."""
        source = stream(self.source, "noise", self.step, path, pair)
        return {
            name: normal(stream(source, name), value.numel()).view(value.shape)
            * network.learns(name)[path].view(-1, *(1 for _ in value.shape[1:]))
            for name, value in network.parameters.items()
        }

    def _genome(self, network: Subnetwork, path: int, change: Tensors, sign: int) -> Tensor:
        layout = self.task.rollouts.layout
        with torch.no_grad():
            arrays = {name: torch.zeros(shape) for name, shape in layout.shapes}
            for name, value in network.parameters.items():
                arrays[name][network.rows(name)] = value + sign * self.task.sigma * change[name]
            arrays["present"] = network.active[path].float()
        return layout.join(arrays)

    def fitness(self) -> NDArray[np.float64]:
        return np.concatenate(self._returns, axis=1).mean(axis=1)
