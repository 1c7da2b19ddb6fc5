import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import UnknownNameError
from neuroplastic.plastic.initial import DISTRIBUTIONS, draw

INPUTS, OUTPUTS, ROWS = 60, 40, 80


def uniform_cdf(bound):
    return lambda x: ((x + bound) / (2 * bound)).clamp(0, 1)


def normal_cdf(deviation):
    return lambda x: torch.special.ndtr(x / deviation)


CDFS = {
    "uniform": uniform_cdf(0.1),
    "uniform-1": uniform_cdf(1.0),
    "normal": normal_cdf(0.024),
    "xavier-uniform": uniform_cdf(math.sqrt(6 / (INPUTS + OUTPUTS))),
    "kaiming-uniform": uniform_cdf(math.sqrt(6 / INPUTS)),
}


def fresh_seeds(generator, count=ROWS):
    return torch.randint(2**40, (count,), generator=generator).tolist()


def assert_distributed(sample, cdf):
    """Kolmogorov and Smirnov: a right sample fails once in two million times."""
    values = sample.double().flatten().sort().values
    steps = torch.arange(len(values) + 1, dtype=torch.float64) / len(values)
    distance = torch.maximum((cdf(values) - steps[:-1]).abs().max(), (cdf(values) - steps[1:]).abs().max())
    assert distance * math.sqrt(len(values)) < 2.75


@pytest.mark.parametrize("name", CDFS)
def test_continuous_distributions(name, generator):
    weights = draw(name, "layer0", INPUTS, OUTPUTS, fresh_seeds(generator))
    assert weights.shape == (ROWS, OUTPUTS, INPUTS)
    assert weights.dtype == torch.float32
    assert_distributed(weights, CDFS[name])


@pytest.mark.parametrize("value", [0, 1])
def test_constants(value, generator):
    weights = draw({0: "zeros", 1: "ones"}[value], "layer0", 3, 2, fresh_seeds(generator, 4))
    assert torch.equal(weights, torch.full((4, 2, 3), float(value)))


@pytest.mark.parametrize("outputs", [1, 3, 8, 40])
def test_sparse(outputs, generator):
    """As torch.nn.init.sparse_(sparsity=0.8): the same number of zeros in each column, the rest N(0, 0.01²)."""
    weights = draw("sparse", "layer0", INPUTS, outputs, fresh_seeds(generator))
    theirs = torch.nn.init.sparse_(torch.empty(outputs, INPUTS), sparsity=0.8)
    assert torch.equal((weights == 0).sum(1), (theirs == 0).sum(0).expand(ROWS, INPUTS))
    if outputs == 40:
        kept = weights != 0
        assert_distributed(weights[kept], normal_cdf(0.01))
        chances = kept.float().mean(dim=(0, 2))  # of each unit, over 4800 columns: 0.2 ± 0.0058
        assert ((chances - 0.2).abs() < 6 * 0.0058).all()


@pytest.mark.parametrize("name", sorted(set(DISTRIBUTIONS) - {"ones", "zeros"}))
def test_what_they_depend_on(name, generator):
    seeds = fresh_seeds(generator, 5)
    weights = draw(name, "layer0", 8, 9, seeds)
    assert torch.equal(draw(name, "layer0", 8, 9, seeds[::-1]), weights.flip(0))
    assert torch.equal(draw(name, "layer0", 8, 9, seeds[2:3])[0], weights[2])
    assert not (draw(name, "layer1", 8, 9, seeds) == weights).flatten(1).all(1).any()
    assert not torch.equal(weights[0], weights[1])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(-(2**63), 2**64 - 1), name=st.sampled_from(sorted(DISTRIBUTIONS)))
def test_every_seed_gives_finite_weights(seed, name):
    assert draw(name, "layer0", 5, 3, [seed, seed]).isfinite().all()


def test_an_unknown_distribution():
    with pytest.raises(UnknownNameError, match="initial: expected one of"):
        draw("evolved", "layer0", 2, 2, [1])
