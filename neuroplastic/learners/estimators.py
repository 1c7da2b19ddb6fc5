"""How the gradient of what a genome reaches is found: through the unroll, or by trying perturbed genomes.

G genomes, D numbers of each, N particles of a genome, E episodes, K updates of a truncation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range
from neuroplastic.genome import Layout
from neuroplastic.learned.base import State
from neuroplastic.noise import episode_seeds, normal, stream


class Unrollable(Protocol):
    """What learns by updates one after the other: `LearningTask`, `RecallTask`."""

    @property
    def layout(self) -> Layout: ...

    @property
    def length(self) -> int:
        """Updates in a life."""
        ...

    def begin(self, genomes: Tensor, seeds: NDArray[np.int64]) -> State:
        """Newborn lives of genomes [p, D], with seeds [p], or [1] for all the same. A life does not see the others."""
        ...

    def advance(
        self, state: State, genomes: Tensor, seeds: NDArray[np.int64], start: int, updates: int, *, every: bool = False
    ) -> tuple[State, Tensor]:
        """Lives some updates later, and their losses then [p, 1], or after each update [p, updates]."""
        ...


class Estimator(Protocol):
    @property
    def lives(self) -> int:
        """Of each genome in a generation."""
        ...

    def updates(self, length: int) -> int:
        """Of each life in a generation, where lives have ``length``."""
        ...

    def gradient(self, genomes: Tensor, generation: int, length: int) -> tuple[Tensor, Tensor]:
        """Mean loss [G] of genomes [G, D] in lives of ``length`` updates, and its gradient [G, D].

        NaN or infinite where a genome fails.
        """
        ...

    def state_dict(self) -> dict[str, Tensor | int]:
        """All that later gradients depend on, beside the options."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor | int | float | str]) -> None: ...


@dataclass
class Unroll:
    """Exact: back-propagation through every update of a life.

    Attributes:
        task: whose loss it is.
        episodes: E lives of each genome, averaged; other ones in each generation.
        every: the loss is the mean over all updates, not that after the last.
        seed: of the lives.
    """

    task: Unrollable
    episodes: int = 1
    every: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("episodes", self.episodes, low=1)

    @property
    def lives(self) -> int:
        return self.episodes

    def updates(self, length: int) -> int:
        return length

    def gradient(self, genomes: Tensor, generation: int, length: int) -> tuple[Tensor, Tensor]:
        seeds = np.tile(episode_seeds(self.seed, "train", generation, self.episodes), len(genomes))
        leaf = genomes.detach().clone().requires_grad_()
        lives = leaf.repeat_interleave(self.episodes, 0)
        _, losses = self.task.advance(self.task.begin(lives, seeds), lives, seeds, 0, length, every=self.every)
        loss = losses.mean(1).view(len(genomes), self.episodes).mean(1)
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        return loss.detach(), gradient

    def state_dict(self) -> dict[str, Tensor | int]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor | int | float | str]) -> None: ...


@dataclass
class PES:
    """Persistent evolution strategies: N lives of each genome go on K updates at a time, each perturbed anew.

    Vicol, Metz & Sohl-Dickstein 2021, "Unbiased gradient estimation in unrolled computation graphs with persistent
    evolution strategies" (arXiv 2112.13835), with antithetic pairs: ξᵢ ← ξᵢ + εᵢ, ĝ = 1/(N σ²) Σᵢ ξᵢ Lᵢ, Lᵢ the sum of
    losses over the truncation; a life that has ended begins again with ξ = 0. A pair of which one fails does not count.

    Attributes:
        task: whose loss it is.
        particles: N, even.
        sigma: σ of ε.
        truncation: K.
        persistent: without it only the last ε is used: truncated ES, which is biased.
        seed: of lives and perturbations.

    Raises:
        ArgumentError: a number is out of its range.
    """

    task: Unrollable
    particles: int = 100
    sigma: float = 0.1
    truncation: int = 1
    persistent: bool = True
    seed: int = 0
    _lives: State = field(default_factory=dict, init=False, repr=False)
    _position: int = field(default=0, init=False, repr=False)
    _births: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        check_range("particles", self.particles, low=2)
        check_range("sigma", self.sigma, low=0, above=True)
        check_range("truncation", self.truncation, low=1)
        if self.particles % 2:
            raise ArgumentError(f"particles: expected an even number; got {self.particles}")

    @property
    def lives(self) -> int:
        return self.particles

    def updates(self, length: int) -> int:
        return min(self.truncation, length)

    def gradient(self, genomes: Tensor, generation: int, length: int) -> tuple[Tensor, Tensor]:
        (number, size), half = genomes.shape, self.particles // 2
        with torch.no_grad():
            drawn = normal(stream(self.seed, "particles", generation), number * half * size)
            moves = self.sigma * drawn.to(genomes).view(number, half, size)
            moves = torch.cat((moves, -moves), 1)
            tried = (genomes.unsqueeze(1) + moves).flatten(0, 1)
            if not self._lives or self._position >= length:
                self._births, self._position = self._births + 1, 0
                seeds = self._seeds()
                self._lives = {"ξ": torch.zeros_like(moves)} | self.task.begin(tried, seeds)
            seeds, updates = self._seeds(), min(self.truncation, length - self._position)
            lives = {name: array for name, array in self._lives.items() if name != "ξ"}
            lives, losses = self.task.advance(lives, tried, seeds, self._position, updates, every=True)
            moved = self._lives["ξ"] + moves
            self._lives, self._position = {"ξ": moved} | lives, self._position + updates
            loss = losses.sum(1).view(number, 2, half)
            good = loss.isfinite().all(1, keepdim=True)
            weights = torch.where(good, loss, 0).flatten(1) / (2 * good.sum(2) * self.sigma**2)
            gradient = torch.einsum("gn,gnd->gd", weights, moved if self.persistent else moves)
            mean = torch.where(good, loss, torch.nan).nanmean((1, 2)) / updates
        return mean, gradient

    def _seeds(self) -> NDArray[np.int64]:
        return episode_seeds(self.seed, "train", self._births, 1)

    def state_dict(self) -> dict[str, Tensor | int]:
        lives = {f"lives.{name}": array for name, array in self._lives.items()}
        return {"position": self._position, "births": self._births} | lives

    def load_state_dict(self, state: Mapping[str, Tensor | int | float | str]) -> None:
        self._position, self._births = int(state["position"]), int(state["births"])
        prefix = "lives."
        self._lives = {
            name.removeprefix(prefix): torch.as_tensor(array).clone()
            for name, array in state.items()
            if name.startswith(prefix)
        }


def truncated_es(task: Unrollable, particles: int = 100, sigma: float = 0.1, truncation: int = 1, seed: int = 0) -> PES:
    """Truncated evolution strategies: `PES` that forgets what a life was perturbed by before."""
    return PES(task, particles, sigma, truncation, persistent=False, seed=seed)


def pes(task: Unrollable, particles: int = 100, sigma: float = 0.1, truncation: int = 1, seed: int = 0) -> PES:
    """Persistent evolution strategies."""
    return PES(task, particles, sigma, truncation, seed=seed)


estimators: dict[str, Callable[..., Estimator]] = {"unroll": Unroll, "pes": pes, "truncated-es": truncated_es}
"""Name -> what makes the estimator, of a task and its options."""
