"""Optimizers against torch's own, and ClipUp against its definition and EvoTorch's, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neuroplastic.errors import ArgumentError
from neuroplastic.search.optimizers import SGD, Adam, ClipUp

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


def gradients(seed: int, scale: float = 1.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(20, generator=generator, dtype=torch.float64) for _ in range(10)]


@settings(deadline=None)
@given(seeds, st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.01, 0.3, 10.0]))
def test_clipup(seed, momentum, max_speed):
    optimizer = ClipUp(20, max_speed, momentum, like=torch.zeros(0, dtype=torch.float64))
    v = torch.zeros(20, dtype=torch.float64)
    for gradient in gradients(seed):
        v = momentum * v + 0.2 * gradient / gradient.square().sum().sqrt()
        length = v.square().sum().sqrt()
        v = v if length <= max_speed else max_speed * v / length
        torch.testing.assert_close(optimizer.step(gradient, 0.2), v, rtol=1e-12, atol=1e-15)


def test_clipup_is_that_of_evotorch():
    theirs = pytest.importorskip("evotorch.optimizers").ClipUp(
        solution_length=20, dtype=torch.float64, stepsize=0.2, momentum=0.9, max_speed=0.5
    )
    ours, seed = ClipUp(20, 0.5, like=torch.zeros(0, dtype=torch.float64)), torch.seed()
    print(f"seed: {seed}")
    for gradient in gradients(seed):
        torch.testing.assert_close(ours.step(gradient, 0.2), theirs.ascent(gradient), rtol=1e-12, atol=1e-15)


@settings(deadline=None)
@given(seeds, st.sampled_from([2.0**-60, 2.0**40]))
def test_clipup_does_not_see_the_scale_of_the_gradient(seed, scale):
    one, other = ClipUp(20, 0.5), ClipUp(20, 0.5)
    for gradient, scaled in zip(gradients(seed), gradients(seed, scale), strict=True):
        step = one.step(gradient.float(), 0.2)
        torch.testing.assert_close(other.step(scaled.float(), 0.2), step, rtol=1e-5, atol=1e-7)
        assert float(step.norm()) < 0.5 * (1 + 1e-6)


def test_clipup_without_a_gradient_slows_down():
    optimizer = ClipUp(3, 1.0, 0.5)
    first = optimizer.step(torch.tensor([0.0, 4.0, 0.0]), 0.25)
    assert first.tolist() == [0, 0.25, 0]
    assert optimizer.step(torch.zeros(3), 0.25).tolist() == [0, 0.125, 0]


@pytest.mark.parametrize("make", [lambda like: SGD(3, 0.9, like=like), lambda like: Adam(3, like=like)])
def test_their_state_has_the_precision_of_the_gradient(make):
    like = torch.zeros(3, dtype=torch.float64)
    for value in make(like).state_dict().values():
        assert not isinstance(value, Tensor) or value.dtype == torch.float64


@pytest.mark.parametrize("momentum", [-0.1, 1.5, float("nan")])
def test_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(ArgumentError, match="momentum"):
        SGD(3, momentum)
    with pytest.raises(ArgumentError, match="momentum"):
        ClipUp(3, 1.0, momentum)


@pytest.mark.parametrize("max_speed", [0.0, -1.0, float("nan")])
def test_a_max_speed_out_of_range_is_refused(max_speed):
    with pytest.raises(ArgumentError, match="max_speed"):
        ClipUp(3, max_speed)
