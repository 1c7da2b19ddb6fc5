"""Driving a strategy by hand: its rows, the noise they are made of, and its state through a file."""

import json

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from neuroplastic.search import SampledPopulation, Strategy


def rows_of(strategy: Strategy) -> Tensor:
    """Of all members that it asks for: [P, D]."""
    population = strategy.ask()
    return population.rows(range(len(population)))


def noise_of(strategy: Strategy) -> np.ndarray:
    """ε of every member [P, D], taken from a population around 0 with the streams of the next one."""
    population = strategy.ask()
    assert isinstance(population, SampledPopulation)
    zeros, ones = torch.zeros_like(strategy.center), np.ones_like(population.signs)
    return SampledPopulation(zeros, 1.0, population.streams, ones).rows(range(len(population))).double().numpy()


def through_a_file(state: dict) -> dict:
    """As a checkpoint keeps it: tensors in safetensors, the rest in JSON."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    plain = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    return load(save(tensors)) | json.loads(json.dumps(plain, allow_nan=False))


def assert_same_state(one: Strategy, other: Strategy) -> None:
    """Bit for bit."""
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]) if isinstance(value, Tensor) else value == b[name], name
