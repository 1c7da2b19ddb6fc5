"""Rules that are learned, and random networks of theirs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from rules_tried import RULES
from torch import Tensor

from neuroplastic.learned.base import State, UpdateRule


@pytest.fixture(params=RULES.values(), ids=RULES)
def rule(request: pytest.FixtureRequest) -> UpdateRule:
    return request.param


@pytest.fixture
def some() -> Callable[..., tuple[Tensor, State, Tensor, Tensor]]:
    """Random genomes [P, D], networks [P, E], x and targets, in float64."""

    def make(
        rule: UpdateRule, seed: int, genomes: int = 3, networks: int = 2, samples: int = 7, sizes=(3, 5, 2)
    ) -> tuple[Tensor, State, Tensor, Tensor]:
        source = torch.Generator().manual_seed(seed)
        drawn = 0.3 * torch.randn(genomes, rule.layout.size, generator=source, dtype=torch.float64)
        drawn = drawn + rule.start
        for name, place in rule.layout.slices.items():  # what is a moment's rate stays one
            if name.startswith(("momentum", "beta")):
                drawn[:, place] = rule.start[place]
        seeds = np.arange(seed, seed + networks)
        x = torch.randn(genomes, networks, samples, sizes[0], generator=source, dtype=torch.float64)
        targets = torch.randn(genomes, networks, samples, sizes[-1], generator=source, dtype=torch.float64).sign()
        return drawn, rule.birth(drawn, sizes, seeds), x, targets

    return make
