"""Strategies: they propose vectors and learn from their fitness, and know nothing else.

>>> import torch
>>> strategy = OpenAIES(torch.zeros(3), population=50, sigma=0.1, learning_rate=0.02)
>>> target = torch.tensor([1.0, -2.0, 0.5])
>>> for _ in range(100):
...     population = strategy.ask()
...     rows = population.rows(range(len(population)))
...     strategy.tell(-(rows - target).square().sum(dim=1))
>>> bool((strategy.center - target).norm() < 0.1)
True
"""

from collections.abc import Callable
from importlib import import_module

from neuroplastic.search.base import Bounds, DensePopulation, Population, SampledPopulation, Strategy
from neuroplastic.search.cma_es import CMAES, SeparableCMAES
from neuroplastic.search.genetic import GeneticAlgorithm
from neuroplastic.search.openai_es import OpenAIES
from neuroplastic.search.pgpe import PGPE
from neuroplastic.search.random_search import RandomSearch
from neuroplastic.search.restarts import ipop
from neuroplastic.search.snes import SNES
from neuroplastic.search.xnes import XNES

strategies: dict[str, type[Strategy]] = {
    "openai-es": OpenAIES,
    "pgpe": PGPE,
    "snes": SNES,
    "xnes": XNES,
    "cma-es": CMAES,
    "sep-cma-es": SeparableCMAES,
    "ipop:cma-es": ipop(CMAES),
    "ipop:sep-cma-es": ipop(SeparableCMAES),
    "ipop:xnes": ipop(XNES),
    "genetic": GeneticAlgorithm,
    "random": RandomSearch,
}

ADAPTERS = {"evotorch": "neuroplastic.search.evotorch", "cma": "neuroplastic.search.pycma"}
"""What stands before the colon in the name of another library's searcher -> the file that makes ours of it."""


def adapted(name: str) -> Callable[..., Strategy] | None:
    """What makes a strategy of another library's searcher, such as "evotorch:XNES" or "cma:CMA"; None of other names.

    Raises:
        MissingExtraError: the library is not installed.
        UnknownNameError: it has no such searcher.
    """
    library, _, searcher = name.partition(":")
    return import_module(ADAPTERS[library]).searcher(searcher) if library in ADAPTERS else None


__all__ = [
    "CMAES",
    "PGPE",
    "SNES",
    "XNES",
    "Bounds",
    "DensePopulation",
    "GeneticAlgorithm",
    "OpenAIES",
    "Population",
    "RandomSearch",
    "SampledPopulation",
    "SeparableCMAES",
    "Strategy",
    "adapted",
    "ipop",
    "strategies",
]
