"""Switches that are set to nothing, and acts on what lives: bit for bit."""

import copy
import pickle

import numpy as np
import pytest
import torch
from by_hand import Layer as LayerByHand
from by_hand import genomes_of
from by_hand import rules as switched
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.plastic import HebbianRule, LivingLayer, PlasticNetwork, Rule, rules
from neuroplastic.plastic.kernels import ACTIVATIONS, BACKENDS, NORMALISERS
from neuroplastic.plastic.recurrent import CELLS

KERNELS = st.sampled_from(BACKENDS)


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit for bit, where a life ran away too."""
    return torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())


def lived(network, genomes, observations, rewards):
    rows = range(len(genomes))
    network.birth(genomes, rows)
    outputs = [network.act(seen, reward, rows) for seen, reward in zip(observations, rewards, strict=True)]
    return [*outputs, *network.weights().values()]


@settings(deadline=None, max_examples=60)
@given(
    terms=st.sampled_from(["ABCD+lr", "A", "BD+lr+decay"]),
    normaliser=st.sampled_from(NORMALISERS),
    fixed=st.booleans(),
    every=st.sampled_from([1, 2]),
    nothing=st.sampled_from([{"modulation": "reward"}, {"trace": 1e-60}]),
    kind=st.sampled_from([*CELLS]),
    backend=KERNELS,
    seed=st.integers(0, 2**32 - 1),
)
def test_modulation_by_1_and_a_trace_of_0_are_none(terms, normaliser, fixed, every, nothing, kind, backend, seed):
    """λ = 1e-60 is 0 in float32, but takes the way of a trace."""
    generator = torch.Generator().manual_seed(seed)
    without, with_it = (
        PlasticNetwork(
            5, 3, [17], rule=HebbianRule(terms, normaliser, fixed=fixed, every=every, **own), kind=kind, backend=backend
        )
        for own in ({}, nothing)
    )
    genomes = 0.1 * torch.randn(2, without.layout.size, generator=generator)
    observations = torch.randn(6, 2, 5, generator=generator)
    found = [lived(network, genomes, observations, torch.ones(6, 2)) for network in (without, with_it)]
    assert all(same(a, b) for a, b in zip(*found, strict=True))


def networks():
    return st.builds(
        PlasticNetwork,
        st.just(3),
        st.just(2),
        st.just([17, 4]),
        rule=st.just(rules["static"]()) | switched,
        kind=st.sampled_from([*CELLS]),
        bias=st.booleans(),
        activation=st.sampled_from(ACTIVATIONS),
        backend=KERNELS,
    )


class Lives:
    """Four lives of a network that go on with the same observations and rewards whatever happens to them."""

    def __init__(self, network, seed, steps=4):
        self.network, self.generator = network, torch.Generator().manual_seed(seed)
        self.genomes = 0.1 * torch.randn(5, network.layout.size, generator=self.generator)
        network.birth(self.genomes[:4], range(4))
        self.go_on(steps)

    def go_on(self, steps=4):
        outputs = []
        for _ in range(steps):
            seen, rewards = torch.randn(4, 3, generator=self.generator), torch.randn(4, generator=self.generator)
            outputs.append(self.network.act(seen, rewards, range(4)))
        return torch.stack(outputs)


def twins(network, seed):
    lives = Lives(network, seed)
    return lives, pickle.loads(pickle.dumps(lives.network)), lives.generator.get_state()


@settings(deadline=None, max_examples=100)
@given(network=networks(), seed=st.integers(0, 2**32 - 1), rows=st.sets(st.integers(0, 3)))
def test_frozen_lives_are_the_static_network_of_their_weights(network, seed, rows):
    lives, undisturbed, state = twins(network, seed)
    frozen, others = sorted(rows), sorted({0, 1, 2, 3} - rows)
    before = network.weights()
    network.freeze(frozen)
    for name, weights in network.weights().items():
        assert same(weights, before[name])

    static = PlasticNetwork(
        3, 2, [17, 4], rule=rules["static"](), kind=kind_of(network), bias=network._bias, backend=network._backend,
        activation=network.layers[len(network.layers) // 2 - 1].activation,
    )  # fmt: skip
    static.birth(static.layout.join({f"{name}.W": weights for name, weights in before.items()}), range(4))
    static._memory = copy.deepcopy(network._memory)
    found = lives.go_on()
    for twin, members in ((static, frozen), (undisturbed, others)):
        lives.network = twin
        lives.generator.set_state(state)
        assert same(found[:, members], lives.go_on()[:, members])
        for name, weights in twin.weights().items():
            assert same(network.weights()[name][members], weights[members])


def kind_of(network):
    gated, recurrent = "layer0.reset" in network.wiring, network._cells[0].remembers
    return "gru" if gated else "recurrent" if recurrent else "feedforward"


def test_a_newborn_life_learns_where_a_frozen_one_was():
    for backend in BACKENDS:
        network = PlasticNetwork(3, 2, [4], rule=HebbianRule(), backend=backend)
        lives = Lives(network, 1)
        network.freeze([0, 1, 2, 3])
        network.birth(lives.genomes[4:], [9], [2])
        before = network.weights()["layer0"]
        lives.go_on()
        moved = (network.weights()["layer0"] != before).flatten(1).any(1)
        assert moved.tolist() == [False, False, True, False]


@settings(deadline=None, max_examples=100)
@given(data=st.data(), network=networks(), seed=st.integers(0, 2**32 - 1), freeze=st.booleans())
def test_assigned_weights_are_those_and_nothing_else_is_touched(data, network, seed, freeze):
    lives, undisturbed, state = twins(network, seed)
    rows = sorted(data.draw(st.sets(st.integers(0, 3), min_size=1)))
    others = sorted({0, 1, 2, 3} - set(rows))
    name = data.draw(st.sampled_from([*network.wiring]))
    if freeze:
        network.freeze(rows)
    before = network.weights()
    given_ = torch.randn(len(rows), *before[name].shape[1:], generator=torch.Generator().manual_seed(seed))
    network.assign(name, rows, given_)
    for layer, weights in network.weights().items():
        assert same(weights[others], before[layer][others])
        assert same(weights[rows], given_ if layer == name else before[layer][rows])
    found = lives.go_on()
    lives.network = undisturbed
    lives.generator.set_state(state)
    assert same(found[:, others], lives.go_on()[:, others])
    if freeze:
        assert same(network.weights()[name][rows], given_)


@settings(deadline=None, max_examples=60)
@given(rule=switched.filter(lambda rule: rule.modulation != "unit"), seed=st.integers(0, 2**32 - 1), backend=KERNELS)
def test_life_goes_on_from_assigned_weights_with_its_trace_and_clock(rule, seed, backend):
    """With a fixed part the weights become that, and w starts from 0."""
    generator = torch.Generator().manual_seed(seed)
    network = PlasticNetwork(3, 2, rule=rule, backend=backend)
    genomes = genomes_of(network, 1, np.random.default_rng(seed))
    network.birth(genomes, [4])
    arrays = {name.partition(".")[2]: a[0].double().numpy() for name, a in network.layout.split(genomes).items()}
    weights = network.weights()["layer0"][0].double().numpy()
    if rule.fixed:
        weights = (weights - arrays["fixed"]) / arrays["gain"]
    hand, mean = LayerByHand(rule, "tanh", weights, arrays), 0.0
    for step in range(8):
        if step == 4:
            assigned = 0.3 * torch.randn(1, 2, 3, generator=generator)
            network.assign("layer0", [0], assigned)
            if rule.fixed:
                hand.c["fixed"], hand.w = assigned[0].double().numpy(), 0 * hand.w
            else:
                hand.w = assigned[0].double().numpy()
        x, reward = torch.randn(1, 3, generator=generator), torch.randn(1, generator=generator)
        found, r = network.act(x, reward, [0]), float(reward)
        post = hand.forward(x[0].double().numpy())
        m = {"none": 1.0, "reward": r}.get(rule.modulation, r - mean)
        mean += rule.mean_rate * (r - mean)
        hand.learn(x[0].double().numpy(), post, m)
        np.testing.assert_allclose(found[0], post, rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(network.weights()["layer0"][0], hand.effective(), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_that_are_all_alike_are_only_centred(backend):
    """Their deviation is nothing but rounding."""
    rule = HebbianRule("D", "standardise", initial="ones")
    network = PlasticNetwork(7, 5, rule=rule, backend=backend)
    network.birth(torch.full((1, network.layout.size), 0.1), [1])
    for _ in range(3):
        network.act(torch.ones(1, 7), torch.zeros(1), [0])
        assert network.weights()["layer0"].abs().max() < 1e-5


def test_acts_that_cannot_be():
    network = PlasticNetwork(3, 2, [4], rule=HebbianRule())
    network.birth(torch.zeros(2, network.layout.size), range(2))
    with pytest.raises(UnknownNameError, match="layer: expected one of 'layer0', 'layer1'; got 'layer2'"):
        network.assign("layer2", [0], torch.zeros(1, 2, 4))
    with pytest.raises(ShapeError, match=r"weights: expected shape \[1, 2, 4\]; got \[1, 4, 2\]"):
        network.assign("layer1", [0], torch.zeros(1, 4, 2))
    for act in (network.freeze, lambda rows: network.assign("layer1", rows, torch.zeros(len(rows), 2, 4))):
        with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 2"):
            act([2])


class Bare(LivingLayer):
    """A layer of a rule of one's own that has nothing but what it must have."""

    def step(self, pre, signal, rows):
        return pre

    def replace(self, rows, newborn):
        pass

    def weights(self):
        return torch.zeros(1, 3, 3)


class BareRule(Rule):
    def layout(self, inputs, outputs):
        return HebbianRule("A").layout(inputs, outputs)

    def birth(self, layer, coefficients, seeds):
        return Bare()


def test_rules_of_ones_own_say_what_they_cannot():
    network = PlasticNetwork(3, 3, rule=BareRule())
    network.birth(torch.zeros(1, 9), [0])
    with pytest.raises(ArgumentError, match="rule: expected one whose layers can freeze; got one with Bare"):
        network.freeze([0])
    with pytest.raises(ArgumentError, match="rule: expected one whose layers can have weights assigned"):
        network.assign("layer0", [0], torch.zeros(1, 3, 3))
    modulated = type("Modulated", (BareRule,), {"modulation": "unit"})
    network = PlasticNetwork(3, 3, [3], rule=modulated())
    network.birth(torch.zeros(1, 18), [0])
    with pytest.raises(ArgumentError, match="rule: expected one whose layers can have.*unit of the network"):
        network.act(torch.zeros(1, 3), torch.zeros(1), [0])
