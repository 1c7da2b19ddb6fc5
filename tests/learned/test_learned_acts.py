"""Acts on BLUR agents that live: they do what is asked, to the lives and layers that are named."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.learned import Blur, LearnedPolicy
from neuroplastic.plastic.controls import Controlled, Controls

LIVES, INPUTS, OUTPUTS = 3, 4, 2


def born(seed: int) -> LearnedPolicy:
    policy = LearnedPolicy(INPUTS, OUTPUTS, (5,), rule=Blur(3, synapse_norm=True), dtype=torch.float64)
    genomes = torch.stack([policy.rule.drawn(seed + n) for n in range(LIVES)])
    noise = torch.randn(genomes.shape, generator=torch.Generator().manual_seed(seed))
    policy.birth(genomes + 0.1 * noise, range(LIVES))
    return policy


def live(policy: LearnedPolicy | Controlled, seed: int, steps: int) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    said = []
    for _ in range(steps):
        observed, paid = torch.from_numpy(rng.normal(size=(LIVES, INPUTS))), torch.from_numpy(rng.normal(size=LIVES))
        said.append(policy.act(observed, paid, range(LIVES)))
    return said


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit, where a life ran away too."""
    return torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())


@given(seed=st.integers(0, 2**31), rows=st.sets(st.integers(0, LIVES - 1), min_size=1), steps=st.integers(1, 5))
def test_frozen_synapses_stop_and_the_others_go_on(seed: int, rows: set[int], steps: int) -> None:
    policy, free = born(seed), born(seed)
    for each in (policy, free):
        live(each, seed, steps)
    policy.freeze(sorted(rows))
    before = policy.weights()
    live(policy, seed + 1, 3)
    live(free, seed + 1, 3)
    for name, weights in policy.weights().items():
        for row in range(LIVES):
            expected = before[name] if row in rows else free.weights()[name]
            assert same(weights[row], expected[row])
    one = [min(rows)]
    policy.birth(torch.stack([policy.rule.drawn(seed)]), [7], one)  # who is born in its place is free
    live(policy, seed + 2, 2)
    newborn = policy.weights()
    live(policy, seed + 3, 3)
    assert not all(same(weights[one], newborn[name][one]) for name, weights in policy.weights().items())


@given(seed=st.integers(0, 2**31), row=st.integers(0, LIVES - 1), layer=st.sampled_from(["layer0", "layer1"]))
def test_assigned_weights_are_there_and_nothing_else_is_touched(seed: int, row: int, layer: str) -> None:
    policy = born(seed)
    live(policy, seed, 2)
    before = policy.weights()
    weights = torch.randn_like(before[layer][[row]])
    policy.assign(layer, [row], weights)
    for name, now in policy.weights().items():
        expected = before[name].clone()
        if name == layer:
            expected[row] = weights[0]
        assert same(now, expected)


def test_a_random_rule_is_of_the_same_spread() -> None:
    policy = born(1)
    controlled = Controlled(policy, Controls.parse(["random_rule"]))
    genomes = torch.stack([policy.rule.drawn(n) for n in range(LIVES)])
    controlled.birth(genomes, range(LIVES))
    other = policy._genomes
    assert other.shape == genomes.shape
    assert not torch.equal(other, genomes)
    for name in policy.coefficients:
        part = policy.layout.slices[name]
        if genomes[0, part].std(correction=0) == 0:
            assert torch.allclose(other[0, part], genomes[0, part])


def test_a_frozen_life_says_what_its_synapses_say() -> None:
    """Frozen before its first step, it is the network of its birth: what it says depends on what it observes alone."""
    policy = Controlled(born(5), Controls.parse(["freeze=0"]))
    policy.birth(torch.stack([Blur(3, synapse_norm=True).drawn(n) for n in range(LIVES)]), range(LIVES))
    observed = torch.randn(LIVES, INPUTS, dtype=torch.float64)
    first = policy.act(observed, torch.zeros(LIVES, dtype=torch.float64), range(LIVES))
    live(policy, 3, 4)
    assert torch.equal(policy.act(observed, torch.ones(LIVES, dtype=torch.float64), range(LIVES)), first)


def test_bad_acts_are_refused() -> None:
    policy = born(2)
    with pytest.raises(UnknownNameError, match="layer: expected one of 'layer0', 'layer1'"):
        policy.assign("layer2", [0], torch.zeros(1, OUTPUTS, 5))
    with pytest.raises(ShapeError, match="weights"):
        policy.assign("layer0", [0], torch.zeros(1, OUTPUTS, 5))
    with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 3"):
        policy.freeze([1, 1])
    with pytest.raises(UnknownNameError, match="control zero_layer"):
        Controlled(policy, Controls.parse(["zero_layer=hidden@3"]))
