"""Genomes follow the gradient of what they reach."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from neuroplastic.errors import TrialError, check_name, check_range, check_shape
from neuroplastic.learners.base import Found, State
from neuroplastic.learners.estimators import Estimator, Unrollable
from neuroplastic.noise import episode_seeds
from neuroplastic.search.optimizers import SGD, Adam

OPTIMIZERS = {"adam": Adam, "sgd": SGD}


@dataclass(frozen=True)
class Curriculum:
    """How long lives are: from ``first`` updates to ``last``, growing over ``generations``.

    Raises:
        ArgumentError: a number is out of its range.
    """

    first: int
    last: int
    generations: int = 0

    def __post_init__(self) -> None:
        check_range("curriculum.first", self.first, low=1)
        check_range("curriculum.last", self.last, low=self.first)
        check_range("curriculum.generations", self.generations, low=0)

    def length(self, generation: int) -> int:
        done = min(1.0, generation / self.generations) if self.generations else 1.0
        return self.first + int(done * (self.last - self.first))


class MetaGradient:
    """Several genomes at once, each on its own way down; the best by meta-validation is kept. A `Learner`.

    Args:
        estimator: gives gradients.
        validation: what the best is chosen by; its loss after a whole life.
        start: genomes [G, D].
        curriculum: of lengths of lives; None: that of the validation, from the first generation on.
        optimizer: "adam" or "sgd".
        learning_rate: of it.
        clip: longest gradient of a genome.
        every: generations from one validation to the next; there is one in the first.
        episodes: of a validation, always other ones than those of training; the same in each, so that losses compare.
        seed: of the validation.

    Raises:
        ArgumentError: a number is out of its range.
        UnknownNameError: no such optimizer.
        ShapeError: start has another shape.
    """

    def __init__(
        self,
        estimator: Estimator,
        validation: Unrollable,
        start: Tensor,
        *,
        curriculum: Curriculum | None = None,
        optimizer: str = "adam",
        learning_rate: float = 5e-4,
        clip: float = 10.0,
        every: int = 25,
        episodes: int = 8,
        seed: int = 0,
    ) -> None:
        check_name("optimizer", optimizer, OPTIMIZERS)
        check_shape("start", start, ["G", validation.layout.size])
        check_range("start", len(start), low=1)
        check_range("learning_rate", learning_rate, low=0, above=True)
        check_range("clip", clip, low=0, above=True)
        check_range("every", every, low=1)
        check_range("episodes", episodes, low=1)
        self.estimator, self.validation = estimator, validation
        self.curriculum = curriculum or Curriculum(validation.length, validation.length)
        self.genomes = start.detach().clone()
        self.optimizer = OPTIMIZERS[optimizer](start.numel(), like=start)
        self.learning_rate, self.clip = learning_rate, clip
        self.every, self.episodes, self.seed = every, episodes, seed
        self.generation = self.evaluations = self.steps = 0
        self._validated = torch.full((len(start),), torch.inf, dtype=torch.float64)
        self._best, self._best_loss = self.genomes[0].clone(), float("inf")

    def step(self) -> dict[str, float]:
        """One update of all genomes. Fitness is minus the loss; that of the ``center`` is of the last validation.

        A genome whose gradient is not finite stays where it is.

        Raises:
            TrialError: no genome has a finite gradient.
        """
        started = time.perf_counter()
        length = self.curriculum.length(self.generation)
        metrics: dict[str, float] = {"generation": self.generation}
        if self.generation % self.every == 0:
            metrics |= self._validate()
        lived = len(self.genomes) * self.estimator.lives
        loss, gradient = self.estimator.gradient(self.genomes, self.generation, length)
        good = gradient.isfinite().all(1) & loss.isfinite()
        if not good.any():
            raise TrialError(f"generation {self.generation}: no genome has a finite gradient over {length} updates")
        norm = gradient.norm(dim=1, keepdim=True)
        gradient = torch.where(good[:, None], gradient * (self.clip / norm).clamp(max=1), 0)
        step = self.optimizer.step(-gradient.flatten().to(self.genomes), self.learning_rate)
        self.genomes = self.genomes + torch.where(good[:, None], step.view_as(self.genomes), 0)
        self.generation += 1
        self.evaluations += lived
        self.steps += lived * self.estimator.updates(length)
        return metrics | {
            "best": -float(loss[good].min()),
            "mean": -float(loss[good].mean()),
            "center": -float(self._validated.min()),
            "gradient": float(norm[good].mean()),
            "failures": int((~good).sum()),
            "length": length,
            "evaluations": self.evaluations,
            "steps": self.steps,
            "seconds": time.perf_counter() - started,
        }

    def _validate(self) -> dict[str, float]:
        seeds = episode_seeds(self.seed, "selection", 0, self.episodes)
        losses = []
        with torch.no_grad():
            for seed in seeds:
                born = self.validation.begin(self.genomes, seed[None])
                losses.append(
                    self.validation.advance(born, self.genomes, seed[None], 0, self.validation.length)[1][:, 0]
                )
        self._validated = torch.stack(losses).double().mean(0).nan_to_num(nan=torch.inf, posinf=torch.inf)
        least = int(self._validated.argmin())
        if self._validated[least] < self._best_loss:
            self._best, self._best_loss = self.genomes[least].clone(), float(self._validated[least])
        return {"validated": -self._best_loss}

    @property
    def stopped(self) -> str | None:
        return None

    def found(self) -> dict[str, Found]:
        """``center``: the genome that did best in the last validation, as it is now; ``best``: the best validated."""
        return {"center": Found(self.genomes[int(self._validated.argmin())]), "best": Found(self._best)}

    def state_dict(self) -> dict[str, Tensor | int | float | str]:
        state: dict[str, Tensor | int | float | str] = {
            "generation": self.generation,
            "evaluations": self.evaluations,
            "steps": self.steps,
            "genomes": self.genomes,
            "validated": self._validated,
            "best": self._best,
            "best_loss": self._best_loss,
        }
        state |= {f"optimizer.{name}": value for name, value in self.optimizer.state_dict().items()}
        return state | {f"estimator.{name}": value for name, value in self.estimator.state_dict().items()}

    def load_state_dict(self, state: State) -> None:
        genomes = torch.as_tensor(state["genomes"])
        check_shape("genomes", genomes, list(self.genomes.shape))
        self.generation, self.evaluations, self.steps = (
            int(state[name]) for name in ("generation", "evaluations", "steps")
        )
        self.genomes = genomes.clone()
        self._validated = torch.as_tensor(state["validated"]).clone()
        self._best, self._best_loss = torch.as_tensor(state["best"]).clone(), float(state["best_loss"])
        for part, prefix in ((self.optimizer, "optimizer."), (self.estimator, "estimator.")):
            own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            part.load_state_dict(own)
