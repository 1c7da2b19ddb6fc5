"""What searches hold in memory, counted as it is taken, and what they refuse to take."""

import tracemalloc

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from neuroplastic.errors import ArgumentError
from neuroplastic.search import CMAES, PGPE, SNES, XNES, OpenAIES, SeparableCMAES, Strategy


class LargestTensor(TorchDispatchMode):
    """How many numbers the largest tensor has that torch makes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


def taken_by_a_generation(strategy: Strategy, together: int) -> tuple[int, int]:
    """Numbers of the largest tensor, and bytes of NumPy's and Python's at the peak; so many rows are asked for at once.

    Torch's memory is counted by its operations, because tracemalloc does not see it.
    """

    def generation() -> None:
        population = strategy.ask()
        for first in range(0, len(population), together):
            population.rows(range(first, first + together))
        strategy.tell(torch.randn(len(population)))

    with LargestTensor() as largest:
        generation()  # compiles and imports
        tracemalloc.start()
        generation()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return largest.numbers, peak


@pytest.mark.parametrize(
    ("make", "options"),
    [(OpenAIES, {}), (OpenAIES, {"penalty": 0.01}), (PGPE, {}), (SNES, {})],
    ids=["openai-es", "openai-es with a penalty", "pgpe", "snes"],
)
def test_a_generation_never_holds_population_times_genome(make, options):
    D, P = 20_000, 200
    largest, peak = taken_by_a_generation(make(torch.zeros(D), population=P, **options), together=8)
    assert largest == 8 * D  # the rows asked for
    assert peak < 16 * D * 4 + 100_000  # two times eight rows, where all would be 200


@pytest.mark.parametrize("active", [True, False])
def test_a_diagonal_covariance_never_holds_population_times_genome(active):
    D = 100_000
    strategy = SeparableCMAES(torch.zeros(D), active=active)
    assert strategy.population == 38
    largest, peak = taken_by_a_generation(strategy, together=2)
    assert largest == 2 * D
    assert peak < 3 * 8 * D  # two rows, and what they are made of


@pytest.mark.parametrize(("make", "megabytes"), [(CMAES, 211_400), (XNES, 211_500)])
def test_what_would_not_fit_is_refused_with_what_would(make, megabytes):
    message = rf"{make.__name__} with 61,440 numbers, which takes 211,[45]\d\d MB; got 2,048 \(sep-cma-es, snes"
    with pytest.raises(ArgumentError, match=message):
        make(torch.zeros(61_440))
    assert make.megabytes(61_440, 0) == pytest.approx(megabytes, rel=1e-3)
    make(torch.zeros(10), max_megabytes=1)
