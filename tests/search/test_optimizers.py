"""Optimizers against torch's own, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError
from neuroplastic.search.optimizers import SGD, Adam

seeds = st.integers(0, 2**32 - 1)


def climb(ours, theirs: type[torch.optim.Optimizer], seed: int, **options) -> None:
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(20, generator=generator)
    reference = vector.double().requires_grad_()
    optimizer = theirs([reference], lr=1.0, maximize=True, **options)
    for generation in range(10):
        gradient = torch.randn(20, generator=generator) * 3
        optimizer.param_groups[0]["lr"] = learning_rate = 0.1 * 0.9**generation
        reference.grad = gradient.double()
        optimizer.step()
        vector = vector + ours.step(gradient, learning_rate)
    torch.testing.assert_close(vector.double(), reference.detach(), rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(seeds, st.sampled_from([0.0, 0.5, 0.9]))
def test_sgd(seed, momentum):
    climb(SGD(20, momentum), torch.optim.SGD, seed, momentum=momentum)


@settings(deadline=None)
@given(seeds)
def test_adam(seed):
    climb(Adam(20), torch.optim.Adam, seed)


@pytest.mark.parametrize("momentum", [-0.1, 1.5, float("nan")])
def test_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ArgumentError, match="momentum"):
        SGD(3, momentum)
