"""Searchers of other libraries, asked and told by us: the numbers are those that they find alone."""

import secrets

import cma
import evotorch
import numpy as np
import pytest
import torch
from driving import rows_of
from evotorch.algorithms import GeneticAlgorithm
from evotorch.operators import GaussianMutation, OnePointCrossOver

from neuroplastic.errors import ArgumentError, DivergenceError, UnknownNameError
from neuroplastic.search import pycma
from neuroplastic.search.base import Strategy
from neuroplastic.search.evotorch import SEARCHERS, EvoTorchSearch, searcher

D = 6
OPTIONS = {
    "CEM": {"parenthood_ratio": 0.5, "stdev_init": 0.5},
    "CMAES": {"stdev_init": 0.5},
    "Cosyne": {"tournament_size": 3, "mutation_stdev": 0.3},
    "PGPE": {"stdev_init": 0.5, "center_learning_rate": 0.3, "stdev_learning_rate": 0.1},
    "SNES": {"stdev_init": 0.5},
    "XNES": {"stdev_init": 0.5},
}
CENTERS = {"CEM", "CMAES", "PGPE", "SNES", "XNES"}


def bowl(rows: torch.Tensor) -> torch.Tensor:
    return -(rows.double() - 0.5).square().sum(dim=-1)


def generation(strategy: Strategy) -> torch.Tensor:
    rows = rows_of(strategy)
    strategy.tell(bowl(rows))
    return rows


@pytest.mark.parametrize("name", OPTIONS)
def test_evotorch_finds_through_us_what_it_finds_alone(name: str) -> None:
    seed, start = secrets.randbelow(2**31), torch.randn(D)
    ours = searcher(name)(start, population=20, seed=seed, **OPTIONS[name])
    rows = [generation(ours) for _ in range(12)]

    seen: list[torch.Tensor] = []
    centers: list[torch.Tensor] = []

    @evotorch.decorators.vectorized
    def look(values: torch.Tensor) -> torch.Tensor:
        seen.append(values.detach().as_subclass(torch.Tensor).clone())
        if name in CENTERS:
            centers.append(torch.as_tensor(its.status["center"]).clone())
        return bowl(values.as_subclass(torch.Tensor))

    bounds = [start.numpy() + way for way in (-1.0, 1.0)]
    alone = evotorch.Problem(
        "max", look, solution_length=D, initial_bounds=bounds, dtype=torch.float32, eval_dtype=torch.float64, seed=seed
    )
    own = {"center_init": start.numpy()} if name in CENTERS else {}
    its = SEARCHERS[name](alone, popsize=20, **own, **OPTIONS[name])
    while len(seen) < 13:  # most learn of a generation when they make the next
        its.step()
    for mine, theirs in zip(rows, seen, strict=False):
        assert torch.equal(mine, theirs)
    if name in CENTERS:
        assert torch.equal(ours.center, centers[12])
    else:
        assert torch.equal(bowl(ours.center), max(bowl(found).max() for found in rows))


def test_pycma_finds_through_us_what_it_finds_alone() -> None:
    seed, start = secrets.randbelow(2**31), torch.randn(D).double()
    ours = pycma.PyCMA(start, population=8, sigma=0.3, seed=seed, CMA_active=False)
    for _ in range(30):
        generation(ours)
    random = np.random.Generator(np.random.Philox(seed))
    options = {"popsize": 8, "CMA_active": False, "verbose": -9, "seed": np.nan}
    options["randn"] = lambda *shape: random.standard_normal(shape)
    alone = cma.CMAEvolutionStrategy(start.numpy(), 0.3, options)
    for _ in range(30):
        members = alone.ask()
        alone.tell(members, [-float(bowl(torch.from_numpy(member))) for member in members])
    np.testing.assert_array_equal(ours.center.numpy(), alone.result.xfavorite)
    assert ours.metrics() == {"sigma": alone.sigma}


def test_pycma_says_when_it_stops() -> None:
    strategy = pycma.PyCMA(torch.zeros(3).double(), sigma=0.3)
    for _ in range(300):
        generation(strategy)
        if strategy.stopped:
            break
    assert "tolfun" in str(strategy.stopped)


def test_a_searcher_made_by_hand() -> None:
    def breed(problem: evotorch.Problem, center: np.ndarray) -> GeneticAlgorithm:
        operators = [OnePointCrossOver(problem, tournament_size=4), GaussianMutation(problem, stdev=0.1)]
        return GeneticAlgorithm(problem, operators=operators, popsize=30)

    strategy = EvoTorchSearch(torch.zeros(D), searcher=breed, seed=5)
    for _ in range(40):
        generation(strategy)
    assert bowl(strategy.center) > 0.1 * bowl(torch.zeros(D))
    again = EvoTorchSearch(torch.zeros(D), searcher=breed)
    again.load_state_dict(strategy.state_dict())
    assert torch.equal(generation(again), generation(strategy))


def test_a_state_that_the_searcher_does_not_repeat_is_refused() -> None:
    strategy = searcher("SNES")(torch.zeros(D), population=10, stdev_init=0.5)
    for _ in range(3):
        generation(strategy)
    for other in ({"population": 10, "stdev_init": 0.4}, {"population": 12, "stdev_init": 0.5}):
        with pytest.raises(ArgumentError, match="state: expected what EvoTorchSearch was told"):
            searcher("SNES")(torch.zeros(D), **other).load_state_dict(strategy.state_dict())


def test_what_a_searcher_raises_is_told() -> None:
    def fails(problem: evotorch.Problem, center: np.ndarray) -> None:
        raise RuntimeError("no such luck")

    with pytest.raises(ArgumentError, match="RuntimeError: no such luck"):
        EvoTorchSearch(torch.zeros(D), searcher=fails)

    class Late:
        def __init__(self, problem: evotorch.Problem) -> None:
            self.problem, self.status = problem, {}

        def step(self) -> None:
            self.problem.evaluate(self.problem.generate_batch(4))
            raise ZeroDivisionError("too late")

    strategy = EvoTorchSearch(torch.zeros(D), searcher=lambda problem, center: Late(problem))
    strategy.ask()
    for _ in range(2):  # its thread has ended: whoever tells again is not left waiting
        with pytest.raises(DivergenceError, match="ZeroDivisionError: too late"):
            strategy.tell(torch.zeros(4).double() + torch.arange(4))


@pytest.mark.parametrize("make", [searcher("XNES"), searcher("CMAES"), pycma.searcher("CMA")])
def test_what_does_not_fit_into_memory_is_refused_before_it_is_made(make) -> None:
    with pytest.raises(ArgumentError, match="90,[0-9]{3} MB"):
        make(torch.zeros(61_440), population=20)


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'XNES'"):
        searcher("xNES")
    with pytest.raises(UnknownNameError, match="did you mean 'optimizer'"):
        searcher("SNES")(torch.zeros(D), population=4, optimiser="adam")
    with pytest.raises(UnknownNameError, match="CMA_diagonal"):
        pycma.PyCMA(torch.zeros(D), CMA_diagonals=True)
    with pytest.raises(ArgumentError, match="missing 1 required"):
        searcher("CMAES")(torch.zeros(D), population=4)


def test_failures_are_told_as_the_worst() -> None:
    strategies = [pycma.PyCMA(torch.zeros(D), population=8) for _ in range(2)]
    for one, fill in zip(strategies, (float("nan"), -9.0), strict=True):
        one.ask()
        one.tell([fill, -9.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    assert torch.equal(strategies[0].center, strategies[1].center)
