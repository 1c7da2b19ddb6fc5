"""Strategies of this project and searchers of others behind one call: a generation of ask, every row, tell."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neuroplastic.search import CMAES
from neuroplastic.search.base import Strategy

Look = Callable[[np.ndarray], np.ndarray]  # rows [p, D] -> their fitness [p], which is maximised
Generation = Callable[[Look], None]


@dataclass(frozen=True)
class Start:
    """What all contestants are told.

    Attributes:
        center: [D], in the precision to work in.
        sigma: the first standard deviation.
        population: P.
        seed: above 0, as pycma draws one by itself for 0.
        cadence: generations from one decomposition of a covariance matrix to the next; 0: as the searcher has it.
    """

    center: np.ndarray
    sigma: float
    population: int
    seed: int = 1
    cadence: int = 0


Make = Callable[[Start], Generation]


def installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def ours(strategy: Callable[..., Strategy], batch: int = 0, **options: Any) -> Make:
    """A strategy of ours, whose rows are made by ``batch`` at a time; 0: all at once."""

    def make(start: Start) -> Generation:
        common = {"population": start.population, "sigma": start.sigma, "seed": start.seed}
        search = strategy(torch.from_numpy(start.center), **common, **options)
        if start.cadence and isinstance(search, CMAES):
            search.constants = replace(search.constants, lag=start.cadence)
        P = start.population
        parts = [range(first, min(first + (batch or P), P)) for first in range(0, P, batch or P)]

        def generation(look: Look) -> None:
            population = search.ask()
            search.tell(np.concatenate([look(population.rows(part).numpy()) for part in parts]))

        return generation

    return make


def pycma(start: Start) -> Generation:
    import cma

    cadence = {"updatecovwait": start.cadence} if start.cadence else {}
    options = {"popsize": start.population, "seed": start.seed, "verbose": -9, **cadence}
    search = cma.CMAEvolutionStrategy(start.center, start.sigma, options)

    def generation(look: Look) -> None:
        rows = search.ask()
        search.tell(rows, (-look(np.array(rows))).tolist())

    return generation


def cmaes(kind: str = "CMA") -> Make:
    """Of CyberAgent's cmaes, which decomposes in every generation: for another cadence it is given its last B and D."""

    def make(start: Start) -> Generation:
        import cmaes

        search: Any = getattr(cmaes, kind)(
            start.center.copy(), start.sigma, population_size=start.population, seed=start.seed
        )

        def generation(look: Look) -> None:
            rows = [search.ask() for _ in range(start.population)]
            kept = {name: getattr(search, name) for name in ("_B", "_D")} if start.cadence else {}
            search.tell(list(zip(rows, -look(np.array(rows)), strict=True)))
            if kept and search.generation % start.cadence:
                vars(search).update(kept)

        return generation

    return make


def evotorch(kind: str, **options: Any) -> Make:
    """Of EvoTorch. Its CMA-ES has a Cholesky decomposition where the others have the dearer one by eigenvectors."""

    def make(start: Start) -> Generation:
        from evotorch import Problem, algorithms
        from evotorch.decorators import vectorized

        logging.disable(logging.INFO)
        warnings.filterwarnings("ignore", category=UserWarning, module="evotorch")
        looking: list[Look] = []

        @vectorized
        def look_up(rows: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(looking[0](rows.numpy())).to(rows.dtype)

        center = torch.from_numpy(start.center)
        problem = Problem(
            "max",
            look_up,
            solution_length=len(center),
            initial_bounds=(0, 0),
            dtype=center.dtype,
            eval_dtype=center.dtype,
            seed=start.seed,
        )
        search = getattr(algorithms, kind)(
            problem, popsize=start.population, center_init=start.center, stdev_init=start.sigma, **options
        )
        if start.cadence and kind == "CMAES":
            search.decompose_C_freq = start.cadence

        def generation(look: Look) -> None:
            looking[:] = [look]
            search.step()

        return generation

    return make


def evosax(kind: str) -> Make:
    """Of evosax, compiled by JAX before the first generation, in float32; its CMA-ES decomposes in every generation."""

    def make(start: Start) -> Generation:
        import jax
        from evosax import algorithms

        center = start.center.astype(np.float32)
        search = getattr(algorithms, kind)(population_size=start.population, solution=center)
        parameters = search.default_params.replace(std_init=start.sigma)
        key = jax.random.key(start.seed)
        state = search.init(key, center, parameters)

        def generation(look: Look) -> None:
            nonlocal key, state
            key, one, other = jax.random.split(key, 3)
            rows, state = search.ask(one, state, parameters)
            fitness = -look(np.asarray(rows))
            state, _ = search.tell(other, rows, jax.numpy.asarray(fitness, np.float32), state, parameters)
            jax.block_until_ready(state)

        return generation

    return make
