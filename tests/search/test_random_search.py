"""Random search: it remembers the fittest, and nothing else."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.search import RandomSearch

numbers = st.one_of(st.floats(), st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.0]))


@settings(deadline=None)
@given(st.lists(st.lists(numbers, min_size=5, max_size=5), max_size=6), st.integers(0, 99))
def test_the_center_is_the_first_of_the_fittest(generations, seed):
    strategy = RandomSearch(torch.ones(4), population=5, seed=seed)
    seen, vectors = [], []
    for fitness in generations:
        vectors += [*strategy.ask().rows(range(5))]
        seen += fitness
        strategy.tell(fitness)
    valid = [f for f in seen if not np.isnan(f)]
    expected = vectors[seen.index(max(valid))] if valid else torch.ones(4)
    assert torch.equal(strategy.center, expected)


def test_draws_are_normal_around_the_start_however_far_the_best_is():
    start = torch.tensor([3.0, -100.0])
    strategy, drawn = RandomSearch(start, population=1000, sigma=2.0), []
    for _ in range(5):
        rows = strategy.ask().rows(range(1000))
        strategy.tell(rows[:, 0])
        drawn.append(rows)
    rows = torch.cat(drawn).double()
    assert len(rows.unique(dim=0)) == 5000
    z = (rows.mean(dim=0) - start) / (2 / 5000**0.5)
    assert z.abs().max() < 4
    assert ((rows.std(dim=0) / 2 - 1) * (2 * 5000) ** 0.5).abs().max() < 4
