"""A search that goes on in fewer coordinates: where it was, as wide as it was, and the one it came from untouched."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from driving import rows_of, through_a_file
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.search import Strategy, adapted, strategies
from neuroplastic.search.pgpe import PGPE
from neuroplastic.search.projection import Projection

D = 12
INTO = torch.tensor([0, 1, 0, 2, 2, 1, 0, 3, 3, 4, 2, 2])
CASES: list[tuple[str, dict[str, Any]]] = [
    ("openai-es", {}),
    ("openai-es", {"momentum": 0.9}),
    ("openai-es", {"optimizer": "adam", "sigma_decay": 0.9}),
    ("random", {}),
    ("pgpe", {}),
    ("pgpe", {"optimizer": "adam", "learning_rate": 0.1}),
    ("pgpe", {"lower": -0.3, "upper": 0.3}),
    ("snes", {}),
    ("snes", {"sigma_learning_rate": 0.2}),
    ("sep-cma-es", {}),
    ("sep-cma-es", {"lower": -0.3, "upper": 0.3, "active": False}),
]
MOVED = ("center", "start", "optimizer.v", "optimizer.m", "mean")  # tensors that are averaged
WIDE = ("sigma", "deviations")  # whose squares are averaged


def build(case: tuple[str, dict[str, Any]], size: int = D, seed: int = 5) -> Strategy:
    name, options = case
    center = 0.2 * torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return named(name)(center, population=20, seed=seed, **options)


def named(name: str) -> Callable[..., Strategy]:
    make = strategies.get(name) or adapted(name)
    assert make is not None
    return make


def live(strategy: Strategy, generations: int) -> None:
    for _ in range(generations):
        strategy.tell(
            -(rows_of(strategy).double() - 0.5).square() @ torch.arange(1.0, 1 + len(strategy.center)).double()
        )


@pytest.fixture(params=CASES, ids=str)
def case(request) -> tuple[str, dict[str, Any]]:
    return request.param


def merged(numbers: Tensor, power: float = 1) -> Tensor:
    """Sums over the coordinates that are merged, over a power of how many they are; written out."""
    sums = [[float(n) for n, to in zip(numbers, INTO, strict=True) if to == new] for new in range(5)]
    return torch.tensor([sum(own) / len(own) ** power for own in sums]).to(numbers.dtype)


def test_each_part_is_projected_as_promised(case) -> None:
    strategy = build(case)
    live(strategy, 6)
    before, after = strategy.state_dict(), strategy.project(Projection(INTO)).state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        new = after[name]
        if not isinstance(value, Tensor) or not value.ndim:
            if name != "best":
                assert new == value, name
            continue
        assert isinstance(new, Tensor)
        if name == "history" or not len(value):
            assert len(new) == 0
        elif name == "center" and case[0] == "sep-cma-es" and case[1]:
            continue  # the mean of the space that is not folded decides
        elif name in MOVED:
            torch.testing.assert_close(new, merged(value), msg=name)
        elif name in WIDE:
            torch.testing.assert_close(new.square(), merged(value.square()), msg=name)
        elif name == "covariance":
            torch.testing.assert_close(new, merged(value), msg=name)
        else:
            assert name in ("path", "path_sigma")
            torch.testing.assert_close(new, merged(value, 0.5), msg=name)


def test_into_as_many_coordinates_it_is_the_same_search(case) -> None:
    whole, projected = build(case), build(case)
    live(whole, 4)
    live(projected, 4)
    projected = projected.project(Projection(torch.arange(D)))
    assert torch.equal(whole.center, projected.center)
    for _ in range(3):
        assert torch.equal(rows_of(whole), rows_of(projected))
        live(whole, 1)
        live(projected, 1)
    if case[0] != "random":  # which does not know how fit the center is that it was given
        assert torch.equal(whole.center, projected.center)


def test_the_search_that_it_comes_from_goes_on_untouched(case) -> None:
    whole, split = build(case), build(case)
    live(whole, 3)
    live(split, 3)
    projected = split.project(Projection(INTO))
    live(projected, 3)
    assert rows_of(projected).shape == (20, 5)
    live(whole, 3)
    live(split, 3)
    assert torch.equal(whole.center, split.center)
    assert whole.metrics() == split.metrics()


def test_saved_after_it_and_loaded_into_one_that_was_never_told_anything(case) -> None:
    whole = build(case)
    live(whole, 3)
    half = torch.tensor([0, 1, 0, 2, 1])  # and a second one after the first
    whole = whole.project(Projection(INTO))
    live(whole, 2)
    whole = whole.project(Projection(half))
    live(whole, 2)
    fresh = build(case).project(Projection(half[INTO]))
    fresh.load_state_dict(through_a_file(whole.state_dict()))
    for _ in range(3):
        assert torch.equal(rows_of(whole), rows_of(fresh))
        live(whole, 1)
        live(fresh, 1)
    assert torch.equal(whole.center, fresh.center)


def test_what_is_chosen_by_the_number_of_coordinates_is_chosen_anew() -> None:
    for name in ("snes", "pgpe", "sep-cma-es"):
        small, projected = build((name, {}), 5), build((name, {})).project(Projection(INTO))
        for value in ("sigma_learning_rate", "learning_rate", "constants"):
            a, b = getattr(small, value, None), getattr(projected, value, None)
            assert str(a) == str(b), (name, value)
    fast = build(("pgpe", {"learning_rate": 0.3})).project(Projection(INTO))
    assert isinstance(fast, PGPE)
    assert fast.learning_rate == 0.3


@pytest.mark.parametrize("name", [*sorted(set(strategies) - {name for name, _ in CASES}), "evotorch:SNES", "cma:CMA"])
def test_a_search_that_cannot_is_refused_by_name(name: str) -> None:
    options = {"stdev_init": 0.5} if name == "evotorch:SNES" else {}
    with pytest.raises(ArgumentError, match="search.name: expected a search that can go on in fewer coordinates"):
        named(name)(torch.zeros(D), population=20, **options).project(Projection(INTO))


def test_a_projection_of_other_vectors_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"projection.into: expected shape \[12\]; got \[3\]"):
        build(("openai-es", {})).project(Projection(torch.tensor([0, 1, 0])))
    for into in ([], [0.5, 1], [-1, 0], [0, 2, 2], [0, 2**40]):
        with pytest.raises(ArgumentError, match="into: expected"):
            Projection(torch.tensor(into))
    with pytest.raises(ShapeError, match=r"numbers: expected shape \[12\]"):
        Projection(INTO).mean(torch.zeros(11))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 2**32))
def test_means_and_directions_written_out(numbers: list[int], seed: int) -> None:
    into = torch.unique(torch.tensor(numbers), return_inverse=True)[1]
    values = torch.randn(len(into), generator=torch.Generator().manual_seed(seed))
    projection = Projection(into)
    for new in range(projection.size):
        own = [float(value) for value, to in zip(values, into, strict=True) if to == new]
        assert float(projection.mean(values)[new]) == pytest.approx(sum(own) / len(own), rel=1e-5, abs=1e-6)
        assert float(projection.direction(values)[new]) == pytest.approx(sum(own) / len(own) ** 0.5, rel=1e-5, abs=1e-6)
