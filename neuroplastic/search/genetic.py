"""A genetic algorithm: the fittest of a generation are the parents of the next one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_name, check_range, check_shape
from neuroplastic.noise import stream
from neuroplastic.search import breeding
from neuroplastic.search.base import Bounds, DensePopulation, Population, State, Strategy, first_center

SELECTIONS = ("tournament", "truncation")
CROSSOVERS = ("none", "uniform")
MUTATIONS = ("gaussian", "integer", "bit")


class GeneticAlgorithm(Strategy):
    """Elites come again as they are; all others are mutated children of selected parents.

    The parents are all members of the last generation, but those whose trial failed; those of the first one are the
    center alone. With selection by truncation, Gaussian mutation and one elite this is the algorithm of Such et al.
    2017. Generations are held as rows: 2 P × D numbers.

    ``center`` is the fittest of the last generation in which any trial did not fail. While fitness is exact and there
    is an elite, that is the fittest ever. Where it is noisy, elites are tried again in each generation, so luck holds
    the place for one generation only, and what stays there is what is good again and again.

    Args:
        center: the first parent, float32 or float64 [D]; whole numbers within the bounds for "integer" and "bit".
        population: P, elites among them.
        selection: "tournament" or "truncation".
        tournament: how many members meet in a tournament.
        share: from which share of the parents, the fittest, truncation draws.
        elites: how many of the fittest come again.
        crossover: "none", or "uniform": each gene from either of two parents.
        mutation: "gaussian", "integer" (another one of lower..upper) or "bit" (of 0 and 1).
        rate: probability that a gene mutates; None: 1 for "gaussian", 1/D for the others.
        sigma: standard deviation of "gaussian".
        step: how far "integer" goes at most; None: anywhere.
        lower, upper: bounds of all genes; None: none. "integer" needs both, "bit" takes neither.
        seed: of all draws.

    Raises:
        ArgumentError: a value out of its range, bounds or a step that do not fit the mutation, or a center that is
            no genome of that kind.
        UnknownNameError: no such selection, crossover or mutation.
    """

    summary = "integers, bits, or fitness without a slope: several ways are kept open, and the best is never lost"
    paper = "Such et al. 2017, Deep neuroevolution: genetic algorithms are a competitive alternative for training"
    ordinal = True
    growing = frozenset({"parents", "fitness"})

    def __init__(
        self,
        center: Tensor,
        *,
        population: int = 200,
        selection: str = "tournament",
        tournament: int = 3,
        share: float = 0.2,
        elites: int = 1,
        crossover: str = "none",
        mutation: str = "gaussian",
        rate: float | None = None,
        sigma: float = 0.1,
        step: int | None = None,
        lower: float | None = None,
        upper: float | None = None,
        seed: int = 0,
    ) -> None:
        check_range("population", population, low=2)
        check_name("selection", selection, SELECTIONS)
        check_range("tournament", tournament, low=1)
        check_range("share", share, low=0, high=1, above=True)
        check_range("elites", elites, low=0, high=population - 1)
        check_name("crossover", crossover, CROSSOVERS)
        check_name("mutation", mutation, MUTATIONS)
        check_range("sigma", sigma, low=0, high=1e18, above=True)  # so that no walk of any length ends at infinity
        if step is not None:
            if mutation != "integer":
                raise ArgumentError(f"step: expected none with mutation {mutation!r}; got {step}")
            check_range("step", step, low=1)

        self.center = first_center(center)
        self.bounds = _bounds(mutation, lower, upper)
        if mutation == "gaussian":
            self.center = self.bounds.nearest(self.center)
        elif not torch.equal(self.bounds.nearest(self.center).round(), self.center):
            raise ArgumentError(
                f"center: expected whole numbers from {self.bounds.lower:g} to {self.bounds.upper:g} with mutation "
                f"{mutation!r}; got {center}"
            )
        self.population, self.elites = population, elites
        self.selection, self.tournament, self.share = selection, tournament, share
        self.crossover, self.mutation, self.sigma, self.step = crossover, mutation, sigma, step
        self.rate = rate if rate is not None else 1.0 if mutation == "gaussian" else 1 / len(center)
        check_range("rate", self.rate, low=0, high=1)
        self.parents = self.center[None].clone()  # [N, D]
        self.fitness = torch.full([1], torch.nan, dtype=torch.float64)  # [N]
        self.seed, self.generation = seed, 0

    @classmethod
    def megabytes(cls, size: int, population: int) -> float:
        return 2 * 4 * population * size / 1e6

    def _sample(self) -> Population:
        elites = breeding.fittest(self.fitness)[: self.elites]
        rows = self.center.new_empty(self.population, len(self.center))
        rows[: len(elites)] = self.parents[elites]
        children = range(len(elites), self.population)
        mothers, fathers = self._select("mothers", len(children)), self._select("fathers", len(children))
        for child, mother, father in zip(children, mothers, fathers, strict=True):
            source, genome = self._stream("child", child), self.parents[mother]
            if self.crossover == "uniform":
                genome = breeding.uniform_crossover(genome, self.parents[father], stream(source, "crossover"))
            rows[child] = self._mutate(genome, source)
        return DensePopulation(rows)

    def _select(self, who: str, count: int) -> list[int]:
        if self.selection == "tournament":
            return breeding.tournament(self.fitness, count, self.tournament, self._stream(who)).tolist()
        return breeding.truncation(self.fitness, count, self.share, self._stream(who)).tolist()

    def _mutate(self, genome: Tensor, source: int) -> Tensor:
        if self.mutation == "gaussian":
            return self.bounds.nearest(breeding.mutate_gaussian(genome, self.rate, self.sigma, source))
        if self.mutation == "integer":
            lower, upper = self.bounds.lower, self.bounds.upper
            assert lower is not None
            assert upper is not None
            return breeding.mutate_integer(genome, self.rate, int(lower), int(upper), source, self.step)
        return breeding.mutate_bits(genome, self.rate, source)

    def _stream(self, *path: int | str) -> int:
        return stream(self.seed, "genetic", self.generation, *path)

    def _learn(self, population: Population, fitness: npt.NDArray[np.float64]) -> None:
        assert isinstance(population, DensePopulation)
        told = torch.from_numpy(fitness.copy())
        valid = ~told.isnan()
        if valid.any():
            everyone = bool(valid.all())
            self.parents, self.fitness = population.matrix if everyone else population.matrix[valid], told[valid]
            self.center = self.parents[breeding.fittest(self.fitness)[0]].clone()
        self.generation += 1

    def metrics(self) -> dict[str, float]:
        """How far the parents are apart: the standard deviation of a gene, the mean over all genes."""
        mean, variance = self.parents.mean(dim=0), torch.zeros_like(self.center)
        for parent in self.parents:  # one by one: no more numbers than they are
            variance += (parent - mean).square() / len(self.parents)
        return {"diversity": float(variance.sqrt().mean())}

    def state_dict(self) -> State:
        return {
            "center": self.center,
            "parents": self.parents,
            "fitness": self.fitness,
            "seed": self.seed,
            "generation": self.generation,
        }

    def _load(self, state: State) -> None:
        parents, fitness = state["parents"], state["fitness"]
        assert isinstance(parents, Tensor)
        assert isinstance(fitness, Tensor)
        check_shape("state['fitness']", fitness, [len(parents)])
        if not len(parents):
            raise ArgumentError("state['parents']: expected at least one; got none")
        for name in ("center", "parents", "fitness", "seed", "generation"):
            setattr(self, name, state[name])


def _bounds(mutation: str, lower: float | None, upper: float | None) -> Bounds:
    """The bounds that a kind of mutation keeps."""
    if mutation == "bit":
        if lower is not None or upper is not None:
            raise ArgumentError(f"lower, upper: expected none with mutation 'bit'; got {lower} and {upper}")
        return Bounds(0, 1)
    if mutation == "integer":
        for name, bound in (("lower", lower), ("upper", upper)):
            if bound is None or not abs(bound) <= 2**21 or bound != round(bound):
                raise ArgumentError(
                    f"{name}: expected a whole number from -2097152 to 2097152 with mutation 'integer'; got {bound}"
                )
    return Bounds(lower, upper)
