"""The genetic algorithm: who survives, who has children, and what kinds of genomes stay."""

import json
import secrets

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from neuroplastic import noise
from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.search import breeding
from neuroplastic.search.genetic import GeneticAlgorithm

pytestmark = pytest.mark.filterwarnings("ignore::neuroplastic.errors.SearchWarning")

seeds = st.integers(0, 2**32 - 1)
odd = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e308, 5e-324])
KINDS = [
    {},
    {"mutation": "integer", "lower": -2.0, "upper": 5.0},
    {"mutation": "integer", "lower": 0.0, "upper": 9.0, "step": 2, "crossover": "uniform", "elites": 3},
    {"mutation": "bit", "selection": "truncation", "elites": 0},
    {"mutation": "bit", "crossover": "uniform", "rate": 0.5, "selection": "truncation", "share": 0.5, "elites": 5},
    {"lower": -0.2, "upper": 0.4, "rate": 0.3, "crossover": "uniform"},
]
kinds = pytest.mark.parametrize("options", KINDS, ids=str)


@pytest.fixture
def fresh() -> int:
    seed = secrets.randbits(32)
    print(f"seed: {seed}")
    return seed


def rows_of(strategy: GeneticAlgorithm) -> Tensor:
    population = strategy.ask()
    return population.rows(range(len(population)))


def exact(rows: Tensor) -> Tensor:
    """A fitness that no two genomes share, as good as never."""
    return (rows.double() * torch.logspace(0, 1, rows.shape[-1], dtype=torch.float64)).sin().sum(dim=-1)


def select(selection: str, fitness, count: int, source: int) -> Tensor:
    if selection == "tournament":
        return breeding.tournament(fitness, count, 3, source)
    return breeding.truncation(fitness, count, 0.2, source)


# ------------------------------------------------------------------------------------------- one generation


@pytest.mark.parametrize("crossover", ["none", "uniform"])
@pytest.mark.parametrize("selection", ["tournament", "truncation"])
@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_a_generation_is_elites_then_mutated_children_of_the_selected(selection, crossover, seed):
    rng = np.random.default_rng(seed)
    strategy = GeneticAlgorithm(
        torch.from_numpy(rng.standard_normal(6)),
        population=9,
        elites=2,
        selection=selection,
        crossover=crossover,
        rate=0.5,
        sigma=0.3,
        seed=seed,
    )
    parents, fitness = strategy.center[None], [0.0]
    for generation in range(3):
        rows = rows_of(strategy)
        assert rows.dtype == torch.float64
        elites = breeding.fittest(fitness)[:2]
        assert torch.equal(rows[: len(elites)], parents[elites])
        mothers, fathers = (
            select(selection, fitness, 9 - len(elites), noise.stream(seed, "genetic", generation, who))
            for who in ("mothers", "fathers")
        )
        for number, (mother, father) in enumerate(zip(mothers, fathers, strict=True)):
            child = len(elites) + number
            source = noise.stream(seed, "genetic", generation, "child", child)
            genome = parents[mother]
            if crossover == "uniform":
                genome = breeding.uniform_crossover(genome, parents[father], noise.stream(source, "crossover"))
            assert torch.equal(rows[child], breeding.mutate_gaussian(genome, 0.5, 0.3, source))
        parents, fitness = rows, rng.standard_normal(9)
        strategy.tell(fitness)


@kinds
def test_the_first_parent_is_the_center(options):
    center = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0]) if options.get("mutation", "gaussian") != "gaussian" else None
    center = torch.tensor([0.1, -0.1, 0.3, 0.2, 0.0]) if center is None else center
    strategy = GeneticAlgorithm(center, population=20, **(options | {"elites": 1, "rate": 0.0}))
    assert torch.equal(rows_of(strategy), center.expand(20, -1))
    assert torch.equal(strategy.center, center)


@kinds
@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_genomes_stay_of_their_kind(options, seed):
    strategy = GeneticAlgorithm(torch.zeros(12), population=20, **options, seed=seed)
    for _ in range(6):
        rows = rows_of(strategy)
        assert torch.isfinite(rows).all()
        low, high = (0, 1) if options.get("mutation") == "bit" else (options.get("lower"), options.get("upper"))
        assert low is None or rows.min() >= low
        assert high is None or rows.max() <= high
        if options.get("mutation", "gaussian") != "gaussian":
            assert torch.equal(rows, rows.round())
        strategy.tell(exact(rows))
    assert len(rows.unique(dim=0)) > 1


@pytest.mark.parametrize("elites", [1, 4])
@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_elites_survive_so_the_center_is_the_fittest_ever(elites, seed):
    strategy = GeneticAlgorithm(torch.zeros(8), population=20, elites=elites, seed=seed)
    seen = torch.zeros(0, 8)
    for _ in range(8):
        rows = rows_of(strategy)
        seen = torch.cat([seen, rows]).unique(dim=0)
        strategy.tell(exact(rows))
        best = seen[exact(seen).argsort(descending=True)]
        assert torch.equal(strategy.center, best[0])
        assert torch.equal(rows_of(strategy)[:elites], best[:elites])


def test_an_elite_that_was_lucky_once_is_tried_again_and_gives_up_its_place():
    strategy = GeneticAlgorithm(torch.zeros(8), population=20)
    lucky = rows_of(strategy)[7]
    strategy.tell(np.eye(20)[7])
    assert torch.equal(strategy.center, lucky)
    rows = rows_of(strategy)
    assert torch.equal(rows[0], lucky)
    strategy.tell(np.where(np.arange(20) == 13, 0.5, -1.0))
    assert torch.equal(strategy.center, rows[13])


@settings(deadline=None)
@given(seeds, st.lists(st.booleans(), min_size=20, max_size=20))
def test_those_that_failed_have_no_children(seed, failed):
    strategy = GeneticAlgorithm(torch.zeros(4), population=20, seed=seed)
    before = strategy.parents
    rows = rows_of(strategy)
    strategy.tell(np.where(failed, np.nan, np.arange(20)))
    expected = rows[~np.array(failed)] if not all(failed) else before
    assert torch.equal(strategy.parents, expected)
    assert strategy.generation == 1


@kinds
@settings(deadline=None, max_examples=20)
@given(seeds, st.lists(st.lists(st.one_of(odd, st.floats()), min_size=20, max_size=20), min_size=1, max_size=4))
def test_no_fitness_breaks_it(options, seed, generations):
    strategy = GeneticAlgorithm(torch.zeros(5), population=20, **options, seed=seed)
    for fitness in generations:
        rows = rows_of(strategy)
        strategy.tell(fitness)
        if not np.isnan(fitness).all():
            assert torch.equal(strategy.center, rows[breeding.fittest(fitness)[0]])
        assert np.isfinite(list(strategy.metrics().values())).all()
    assert torch.isfinite(rows_of(strategy)).all()


@kinds
@settings(deadline=None, max_examples=10)
@given(seeds, st.integers(0, 3), st.booleans())
def test_saved_and_loaded_it_goes_on_bit_for_bit(options, seed, before, some_failed):
    whole, second = (GeneticAlgorithm(torch.zeros(7), population=10, **options, seed=s) for s in (seed, 0))

    def generation(strategy: GeneticAlgorithm) -> Tensor:
        rows = rows_of(strategy)
        strategy.tell(exact(rows) if not some_failed else torch.where(torch.arange(10) == 4, torch.nan, exact(rows)))
        return rows

    for _ in range(before):
        generation(whole)
    state = whole.state_dict()
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    plain = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    second.load_state_dict(load(save(tensors)) | json.loads(json.dumps(plain, allow_nan=False)))
    for _ in range(3):
        assert torch.equal(generation(second), generation(whole))
    assert torch.equal(second.center, whole.center)


def test_a_population_may_change_its_size_when_it_is_loaded():
    small, large = GeneticAlgorithm(torch.zeros(3), population=6), GeneticAlgorithm(torch.zeros(3), population=30)
    small.tell(exact(rows_of(small)))
    large.load_state_dict(small.state_dict())
    assert len(rows_of(large)) == 30
    assert torch.equal(rows_of(large)[0], small.center)


def test_a_state_whose_parts_do_not_fit_is_refused():
    strategy = GeneticAlgorithm(torch.zeros(3), population=6)
    strategy.tell(exact(rows_of(strategy)))
    state = strategy.state_dict()
    with pytest.raises(ShapeError, match="fitness"):
        strategy.load_state_dict(state | {"fitness": torch.zeros(5, dtype=torch.float64)})
    with pytest.raises(ArgumentError, match="parents"):
        strategy.load_state_dict(state | {"fitness": torch.zeros(0, dtype=torch.float64), "parents": torch.zeros(0, 3)})
    assert len(strategy.parents) == 6


def test_diversity_is_how_far_parents_are_apart():
    strategy = GeneticAlgorithm(torch.zeros(5), population=20)
    assert strategy.metrics() == {"diversity": 0.0}
    rows = rows_of(strategy)
    strategy.tell(exact(rows))
    assert strategy.metrics() == {"diversity": pytest.approx(float(rows.numpy().std(axis=0).mean()), rel=1e-5)}


# ------------------------------------------------------------------------------------------- the search


def climb(strategy: GeneticAlgorithm, fitness, top: float, generations: int) -> None:
    for _ in range(generations):
        rows = rows_of(strategy)
        strategy.tell(fitness(rows))
        if fitness(strategy.center[None])[0] >= top:
            return
    raise AssertionError(f"{float(fitness(strategy.center[None])[0])} of {top} in {generations} generations")


@pytest.mark.parametrize("selection", ["tournament", "truncation"])
@pytest.mark.parametrize("crossover", ["none", "uniform"])
def test_it_finds_a_pattern_of_bits(selection, crossover, fresh):
    target = torch.from_numpy(np.random.default_rng(fresh).integers(0, 2, 60))
    strategy = GeneticAlgorithm(
        torch.zeros(60), population=100, mutation="bit", selection=selection, crossover=crossover, seed=fresh
    )
    climb(strategy, lambda rows: (rows == target).sum(dim=1), 60, 400)


@pytest.mark.parametrize("step", [None, 2])
def test_it_finds_a_row_of_integers(step, fresh):
    target = torch.from_numpy(np.random.default_rng(fresh).integers(-4, 10, 20))
    strategy = GeneticAlgorithm(
        torch.zeros(20), population=100, mutation="integer", step=step, lower=-4.0, upper=9.0, seed=fresh
    )
    climb(strategy, lambda rows: -(rows - target).abs().sum(dim=1), 0, 3000)


def test_it_comes_near_the_top_of_a_sphere(fresh):
    target = torch.from_numpy(np.random.default_rng(fresh).standard_normal(10))
    strategy = GeneticAlgorithm(torch.zeros(10), population=100, seed=fresh)
    climb(strategy, lambda rows: -(rows - target).square().sum(dim=1), -0.05, 500)


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 1}, "population: expected"),
        ({"elites": 200}, "elites: expected"),
        ({"elites": -1}, "elites: expected"),
        ({"tournament": 0}, "tournament: expected"),
        ({"share": 0.0}, "share: expected"),
        ({"rate": 1.1}, "rate: expected"),
        ({"sigma": 1e30}, "sigma: expected"),
        ({"step": 1}, "step: expected none"),
        ({"mutation": "integer"}, "lower: expected a whole number"),
        ({"mutation": "integer", "lower": 0.0}, "upper: expected a whole number"),
        ({"mutation": "integer", "lower": 0.5, "upper": 3.0}, "lower: expected a whole number"),
        ({"mutation": "integer", "lower": 0.0, "upper": float("inf")}, "upper: expected a whole number"),
        ({"mutation": "integer", "lower": 3.0, "upper": 3.0}, "lower, upper: expected"),
        ({"mutation": "integer", "lower": 0.0, "upper": 3.0, "step": 0}, "step: expected"),
        ({"mutation": "integer", "lower": 1.0, "upper": 3.0}, "center: expected whole numbers from 1 to 3"),
        ({"mutation": "bit", "lower": 0.0}, "lower, upper: expected none"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        GeneticAlgorithm(torch.zeros(3), **options)


def test_a_center_that_is_no_genome_of_the_kind_is_refused():
    with pytest.raises(ArgumentError, match="center: expected whole numbers from 0 to 1"):
        GeneticAlgorithm(torch.tensor([0.0, 0.5]), mutation="bit")
    strategy = GeneticAlgorithm(torch.tensor([3.0, 0.0]), lower=-1.0, upper=1.0)  # numbers have a nearest one
    assert strategy.center.tolist() == [1, 0]


@pytest.mark.parametrize(
    "options", [{"selection": "tournamet"}, {"crossover": "unifrom"}, {"mutation": "gausian"}], ids=str
)
def test_names_that_do_not_exist_are_refused_with_the_nearest(options):
    with pytest.raises(UnknownNameError, match="did you mean"):
        GeneticAlgorithm(torch.zeros(3), **options)
