"""Kinds of networks: which units their synapses join, and what they remember."""

import pytest
import torch

from neuroplastic.errors import ArgumentError, UnknownNameError
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork, rules
from neuroplastic.plastic.kernels import BACKENDS
from neuroplastic.plastic.recurrent import CELLS

RULE = HebbianRule("A")


def wiring(**options):
    network = PlasticNetwork(2, 1, [3, 2], rule=RULE, **options)
    for layer in network.layers:
        wires = network.wiring[layer.name]
        assert (len(wires.pre), len(wires.post)) == (layer.inputs, layer.outputs)
        assert dict(network.layout.shapes)[f"{layer.name}.A"] == (layer.outputs, layer.inputs)
    return {name: (wires.pre, wires.post) for name, wires in network.wiring.items()}


def test_units_of_feedforward_networks():
    assert wiring() == {"layer0": ((0, 1), (2, 3, 4)), "layer1": ((2, 3, 4), (5, 6)), "layer2": ((5, 6), (7,))}


def test_the_unit_that_is_always_1_is_one_and_the_last_input():
    assert wiring(bias=True) == {
        "layer0": ((0, 1, 2), (3, 4, 5)),
        "layer1": ((3, 4, 5, 2), (6, 7)),
        "layer2": ((6, 7, 2), (8,)),
    }


def test_units_of_recurrent_networks_are_before_and_after_their_synapses():
    assert wiring(kind="recurrent", bias=True) == {
        "layer0": ((0, 1, 3, 4, 5, 2), (3, 4, 5)),
        "layer1": ((3, 4, 5, 6, 7, 2), (6, 7)),
        "layer2": ((6, 7, 2), (8,)),
    }


def test_gates_have_units_of_their_own():
    assert wiring(kind="gru") == {
        "layer0.reset": ((0, 1, 8, 9, 10), (2, 3, 4)),
        "layer0.update": ((0, 1, 8, 9, 10), (5, 6, 7)),
        "layer0.candidate": ((0, 1, 8, 9, 10), (8, 9, 10)),
        "layer1.reset": ((8, 9, 10, 15, 16), (11, 12)),
        "layer1.update": ((8, 9, 10, 15, 16), (13, 14)),
        "layer1.candidate": ((8, 9, 10, 15, 16), (15, 16)),
        "layer2": ((15, 16), (17,)),
    }


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_life_remembers_is_its_own_and_forgotten_at_birth(kind, backend, generator):
    network = PlasticNetwork(3, 2, [6], rule=rules["static"](), kind=kind, backend=backend)
    genomes = torch.randn(1, network.layout.size, generator=generator).expand(3, -1)
    seen = torch.randn(3, 3, 3, generator=generator)
    same = torch.ones(3, 3)
    network.birth(genomes, range(3))
    for observations in seen:
        network.act(observations, torch.zeros(3), range(3))
    network.birth(genomes[:1], [0], [1])  # the same genome: only its memory is new
    outputs = network.act(same, torch.zeros(3), range(3))
    network.birth(genomes, range(3))
    newborn = network.act(same, torch.zeros(3), range(3))
    assert torch.equal(outputs[1], newborn[1])
    remembers = CELLS[kind].remembers
    assert torch.equal(outputs[0], newborn[0]) == (not remembers)
    assert torch.equal(outputs[0], outputs[2]) == (not remembers)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias", [False, True])
def test_pictures_can_come_before_any_kind(kind, bias):
    front = ConvolutionalFront((2,), (3,), (1,), (2,))
    rule = HebbianRule(modulation="unit")
    network = PlasticNetwork((8, 8, 3), 2, [4], rule=rule, front=front, kind=kind, bias=bias)
    features = front.outputs((8, 8, 3))
    network.birth(0.1 * torch.randn(2, network.layout.size), range(2))
    before = network.weights()
    outputs = network.act(torch.rand(2, 192), torch.zeros(2), [0, 1])
    assert outputs.shape == (2, 2)
    assert all(not torch.equal(w, before[name]) for name, w in network.weights().items())
    pre = next(iter(network.wiring.values())).pre
    assert pre[:features] == tuple(range(features))
    assert len(pre) == features + 4 * CELLS[kind].remembers + bias


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "lstm"}, UnknownNameError, "kind: expected one of 'feedforward', 'recurrent', 'gru'; got 'lstm'"),
        ({"kind": "gru", "hidden": []}, ArgumentError, "hidden: expected a layer at least, to be of kind 'gru'"),
        (
            {"rule": HebbianRule(modulation="unit"), "hidden": []},
            ArgumentError,
            "hidden: expected a layer at least, whose last unit modulates the rule; got none",
        ),
    ],
)
def test_networks_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        PlasticNetwork(**{"inputs": 2, "outputs": 2, "hidden": [3], "rule": RULE, **options})
