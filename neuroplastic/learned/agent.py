"""BLUR that lives: every step is a lesson, and the reward is all that it is told."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range, check_shape
from neuroplastic.genome import Codec, Layout
from neuroplastic.learned.base import State
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.scaling import Scaled
from neuroplastic.noise import stream

Numbers = TypeVar("Numbers", Tensor, NDArray[Any])

TOLD = ("reward", "reward-prediction-error")
INITIAL = ("life", "shared")


class LearnedPolicy:
    """B lives, each with a genome of BLUR of its own. What a rollout runs.

    In each step a life first learns of the step before: the outputs' second state becomes m · a, a what they said and m
    the reward of that step, so what was said is the label if it paid, and its opposite if it cost; then the way back
    and all synapses. Then it goes forward with what it observes, and says the outputs' first state.

    Args:
        inputs: size of an observation, or its shape.
        outputs: size of an action.
        hidden: sizes of the layers between.
        rule: the rule.
        told: m is the "reward", or the "reward-prediction-error" r - r̄, r̄ ← r̄ + ρ (r - r̄) from 0 at birth.
        mean_rate: ρ.
        initial: the synapses at birth come of the seed of each "life", or are "shared" by all lives, genomes and runs:
            those of ``seed``. As all neurons obey one genome, it is the synapses that tell them apart: with those of a
            life a genome can count on nothing but what it learns in this life.
        seed: of shared synapses.
        dtype: of everything.

    Attributes:
        layout: of a genome.

    Raises:
        ArgumentError: a size is below 1, or the mean rate not in [0, 1].
        UnknownNameError: no such ``told`` or ``initial``.
    """

    def __init__(
        self,
        inputs: int | Sequence[int],
        outputs: int,
        hidden: Sequence[int] = (),
        *,
        rule: Blur,
        told: str = "reward-prediction-error",
        mean_rate: float = 0.01,
        initial: str = "life",
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        for argument, numbers in {"inputs": shape, "hidden": hidden, "outputs": [outputs]}.items():
            for size in numbers:
                check_range(argument, size, low=1)
        check_name("told", told, TOLD)
        check_name("initial", initial, INITIAL)
        check_range("mean_rate", mean_rate, low=0, high=1)
        self.rule, self.told, self.mean_rate, self.initial = rule, told, mean_rate, initial
        self.seed, self.dtype = seed, dtype
        self.sizes = (prod(shape), *hidden, outputs)
        self.layout: Layout = rule.layout
        self._genomes = torch.zeros(0, self.layout.size, dtype=dtype)
        self._synapses: State = {}
        self._said: list[Tensor] = []  # activity of each layer in the step before [B, 1, k, 1, units]
        self._means = torch.zeros(0, dtype=dtype)
        self._young = self._frozen = torch.zeros(0, dtype=torch.bool)

    @property
    def coefficients(self) -> list[str]:
        """Arrays of the genome that make the rule: all of them."""
        return list(self.layout)

    @property
    def wiring(self) -> list[str]:
        """Names of the layers of synapses."""
        return [f"layer{number}" for number in range(len(self.sizes) - 1)]

    @property
    def codec(self) -> Codec:
        """What makes genomes of what evolves: numbers of like size."""
        return Scaled(self.rule)

    def birth(
        self, genomes: Tensor, seeds: Sequence[int] | np.ndarray, rows: Sequence[int] | np.ndarray | None = None
    ) -> None:
        """B new lives, or b in place of ``rows``: genomes [B, D], seeds [B].

        Raises:
            ShapeError: genomes or seeds have another shape.
            ArgumentError: rows are not distinct or not among the B lives.
        """
        check_shape("genomes", genomes, ["B" if rows is None else len(rows), self.layout.size])
        check_shape("seeds", np.asarray(seeds, object), [len(genomes)])
        genomes = genomes.detach().to(self.dtype, copy=True)
        own = [stream(self.seed if self.initial == "shared" else int(seed), "agent") >> 1 for seed in seeds]
        newborn = self.rule.birth(genomes, self.sizes, np.array(own, np.int64)[:, None])
        silent = [
            genomes.new_zeros(len(genomes), 1, self.rule.states if n else 1, 1, size)
            for n, size in enumerate(self.sizes)
        ]
        zeros, young = genomes.new_zeros(len(genomes)), torch.ones(len(genomes), dtype=torch.bool)
        frozen = torch.zeros_like(young)
        if rows is None:
            self._genomes, self._synapses, self._said = genomes, newborn, silent
            self._means, self._young, self._frozen = zeros, young, frozen
            return
        index = self._index(rows)
        self._genomes[index], self._means[index] = genomes, zeros
        self._young[index], self._frozen[index] = young, frozen
        for name, array in newborn.items():
            self._synapses[name][index] = array
        for layer, array in zip(self._said, silent, strict=True):
            layer[index] = array

    def act(self, observations: Numbers, rewards: Numbers, rows: Sequence[int]) -> Numbers:
        """One step of some lives: observations [b, I] and rewards of the step before [b] -> outputs [b, O].

        Raises:
            ShapeError: an argument has another shape.
            ArgumentError: rows are not distinct or not among the B of the last birth.
        """
        check_shape("observations", observations, [len(rows), self.sizes[0]])
        check_shape("rewards", rewards, [len(rows)])
        index = self._index(rows)
        observed, paid = (torch.as_tensor(given).to(self.dtype) for given in (observations, rewards))
        with torch.no_grad():
            outputs = self._step(observed, paid, index)
        given: Any = outputs if isinstance(observations, Tensor) else outputs.numpy()
        return given

    def _step(self, observed: Tensor, paid: Tensor, index: Tensor) -> Tensor:
        genomes, synapses = self._genomes[index], {name: array[index] for name, array in self._synapses.items()}
        said, young = [layer[index] for layer in self._said], self._young[index]
        if self.told == "reward-prediction-error":
            error = torch.where(young, 0, paid - self._means[index])
            self._means[index] += self.mean_rate * error
            paid = error
        still = young | self._frozen[index]
        if not still.all():
            told = paid[:, None, None, None] * said[-1][:, :, 0]
            changed = self.rule.change(genomes, synapses, said, told)
            for name, array in changed.items():
                lead = still.view(-1, *[1] * (array.ndim - 1))
                synapses[name] = torch.where(lead, synapses[name], array)
                self._synapses[name][index] = synapses[name]
        activities = self.rule.forward(genomes, synapses, observed[:, None, None])
        for layer, activity in zip(self._said, activities, strict=True):
            layer[index] = activity
        self._young[index] = False
        return activities[-1][:, 0, 0, 0]

    def _index(self, rows: Sequence[int] | np.ndarray) -> Tensor:
        asked, born = list(rows), len(self._genomes)
        if len(set(asked)) < len(asked) or not all(0 <= row < born for row in asked):
            raise ArgumentError(f"rows: expected distinct numbers below {born}, the lives born; got {asked}")
        return torch.tensor(asked, dtype=torch.int64)

    def freeze(self, rows: Sequence[int] | np.ndarray) -> None:
        """The synapses of some lives [b] stop where they are.

        Raises:
            ArgumentError: rows are not distinct or not among the B lives.
        """
        self._frozen[self._index(rows)] = True

    def assign(self, name: str, rows: Sequence[int] | np.ndarray, weights: Tensor) -> None:
        """The first state of a layer's synapses forward is this [b, O, I] in some lives; nothing else is touched.

        Raises:
            UnknownNameError: no such layer.
            ShapeError: weights have another shape.
            ArgumentError: as of `freeze`.
        """
        check_name("layer", name, self.wiring)
        synapses = self._synapses[f"forward{name[5:]}"]
        check_shape("weights", weights, [len(rows), *synapses.shape[:-3:-1]])
        synapses[self._index(rows), 0, 0] = weights.transpose(1, 2).to(self.dtype)

    def weights(self) -> dict[str, Tensor]:
        """Name of a layer -> a copy of the first state of its synapses forward [B, O, I], before they learn again."""
        forward = (name for name in self._synapses if name.startswith("forward"))
        return {f"layer{name[7:]}": self._synapses[name][:, 0, 0].transpose(1, 2).clone() for name in forward}
