"""EvoTorch's searchers as strategies."""

from __future__ import annotations

import inspect
import logging
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError, check_name, check_range, require
from neuroplastic.search.memory import check_covariance
from neuroplastic.search.replayed import ReplayedStrategy

evotorch = require("evotorch", "evotorch")
algorithms = require("evotorch.algorithms", "evotorch")
logging.getLogger("evotorch").setLevel(logging.WARNING)  # it tells of every problem that is made

SEARCHERS: dict[str, Any] = {
    name: found
    for name, found in vars(algorithms).items()
    if inspect.isclass(found) and issubclass(found, algorithms.SearchAlgorithm)
}


class EvoTorchSearch(ReplayedStrategy):
    """A searcher of EvoTorch, asked and told by us.

    Args:
        center: where it starts, float32 or float64 [D].
        searcher: makes it of an ``evotorch.Problem`` and the center, a NumPy array [D].
        seed: of the problem, from whose generator it draws.
        spread: searchers without a center draw their first members from [center - spread, center + spread].

    Raises:
        ArgumentError: the searcher refuses what it was given.
        DivergenceError: by `tell`, the searcher could not go on.
    """

    def __init__(
        self, center: Tensor, *, searcher: Callable[[Any, Any], Any], seed: int = 0, spread: float = 1.0
    ) -> None:
        check_range("spread", spread, low=0, above=True)
        self._make, self._spread = searcher, spread
        super().__init__(center, seed)

    def _begin(self) -> None:
        self._talk = _Conversation(self._make, self.start, self._spread, self.seed)
        weakref.finalize(self, self._talk.answers.put, None)
        self._talk.start()
        try:
            self._next = self._talk.question()
        except Exception as error:  # whatever a searcher's constructor or its first step raises
            raise ArgumentError(f"evotorch: {type(error).__name__}: {error}") from error

    def _propose(self) -> Tensor:
        return self._next

    def _hear(self, fitness: npt.NDArray[np.float64]) -> None:
        self._talk.answers.put(torch.from_numpy(fitness.copy()))
        try:
            self._next = self._talk.question()
        except Exception as error:
            raise DivergenceError(f"evotorch: {type(error).__name__}: {error}") from error
        if not torch.isfinite(self._next).all():
            raise DivergenceError("evotorch: expected finite members; got some that are not")

    def _mean(self) -> Tensor | None:
        status = self._talk.searcher.status
        return torch.as_tensor(status["center"]).as_subclass(Tensor) if "center" in status else None


class _Over(Exception):
    """Nobody will answer any more."""


class _Conversation(threading.Thread):
    """Turns a searcher inside out: it evaluates by itself within ``step``, so it runs in a thread that waits for us."""

    def __init__(self, make: Callable[[Any, Any], Any], center: Tensor, spread: float, seed: int) -> None:
        super().__init__(daemon=True, name="evotorch")
        self.questions: queue.SimpleQueue[Tensor | Exception] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Tensor | None] = queue.SimpleQueue()
        self.make, self.center = make, center.cpu().numpy()
        self.searcher: Any = None
        self.options: dict[str, Any] = {
            "initial_bounds": [self.center + way * spread for way in (-1, 1)],
            "solution_length": len(center),
            "dtype": center.dtype,
            "eval_dtype": torch.float64,
            "device": center.device,
            "seed": seed % 2**31,
        }

    def run(self) -> None:
        try:
            with torch.inference_mode(False):
                self.searcher = self.make(_Asking(self.evaluate, **self.options), self.center)
                while True:
                    self.searcher.step()
        except _Over:
            pass
        except Exception as error:
            self.questions.put(error)

    def evaluate(self, values: Tensor) -> Tensor:
        """In the searcher's thread: asks for the fitness [P] of members [P, D], and waits for it."""
        self.questions.put(values.detach().as_subclass(Tensor).clone())
        answer = self.answers.get()
        if answer is None:
            raise _Over
        return answer

    def question(self) -> Tensor:
        """In ours: the members that it asks for next, when it does; or what it raised."""
        found = self.questions.get()
        if isinstance(found, Exception):
            raise found
        return found


class _Asking(evotorch.Problem):
    def __init__(self, ask: Callable[[Tensor], Tensor], **options: Any) -> None:
        super().__init__("max", **options)
        self._ask = ask

    def _evaluate_batch(self, batch: Any) -> None:
        batch.set_evals(self._ask(batch.values))


def searcher(name: str) -> Callable[..., EvoTorchSearch]:
    """What makes the strategy of a recipe that says ``search.name = "evotorch:NAME"``.

    Raises:
        UnknownNameError: EvoTorch has no such searcher.
    """
    check_name("search.name", name, SEARCHERS)
    takes = inspect.signature(SEARCHERS[name]).parameters

    def make(center: Tensor, *, population: int, seed: int = 0, spread: float = 1.0, **options: Any) -> EvoTorchSearch:
        # ``options`` are EvoTorch's own keyword arguments; ``population`` is its ``popsize``.
        known = [option for option in takes if option not in ("problem", "popsize", "center_init")]
        for option in options:
            check_name(f"option of evotorch:{name}", option, known)
        check_range("population", population, low=1)
        if name in ("CMAES", "XNES", "PyCMAES") and not options.get("separable"):
            check_covariance(f"evotorch:{name}", len(center), "evotorch:SNES or evotorch:PGPE")

        def start(problem: Any, center: npt.NDArray[np.floating]) -> Any:
            own = {"center_init": center} if "center_init" in takes else {}
            return SEARCHERS[name](problem, popsize=population, **own, **options)

        return EvoTorchSearch(center, searcher=start, seed=seed, spread=spread)

    return make
