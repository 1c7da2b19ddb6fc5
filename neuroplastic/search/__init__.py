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

from neuroplastic.search.base import DensePopulation, Population, SampledPopulation, Strategy
from neuroplastic.search.openai_es import OpenAIES
from neuroplastic.search.random_search import RandomSearch

strategies: dict[str, type[Strategy]] = {"openai-es": OpenAIES, "random": RandomSearch}

__all__ = ["DensePopulation", "OpenAIES", "Population", "RandomSearch", "SampledPopulation", "Strategy", "strategies"]
