import pickle
from math import prod

import numpy as np
import pytest
import torch
from by_hand import rules as switched
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.genome import Layout
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, LivingLayer, PlasticNetwork, Rule, rules
from neuroplastic.plastic.initial import draw
from neuroplastic.plastic.kernels import ACTIVATIONS, BACKENDS
from neuroplastic.plastic.recurrent import CELLS

living = st.just(rules["static"]()) | switched  # every rule
SIZES = st.sampled_from([1, 2, 3, 8, 16, 17, 33])


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_row_does_not_depend_on_the_others(data):
    """Bit for bit: rows that live together, in any order and with any others paused, and each of them alone."""
    rule = data.draw(living)
    hidden = data.draw(st.lists(SIZES, max_size=2, min_size=rule.modulation == "unit"))
    inputs = data.draw(SIZES)
    network = PlasticNetwork(
        inputs,
        data.draw(SIZES),
        hidden,
        rule=rule,
        kind=data.draw(st.sampled_from(["feedforward", *(["recurrent", "gru"] if hidden else [])])),
        bias=data.draw(st.booleans()),
        activation=data.draw(st.sampled_from(ACTIVATIONS)),
        backend=data.draw(st.sampled_from(BACKENDS)),
    )
    born = data.draw(st.integers(1, 6))
    schedule = data.draw(st.lists(st.lists(st.integers(0, born - 1), unique=True), min_size=1, max_size=5))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32 - 1)))
    genomes = 0.1 * torch.randn(born, network.layout.size, generator=generator)
    seeds = torch.randint(2**40, (born,), generator=generator).tolist()
    observations = torch.randn(len(schedule), born, inputs, generator=generator)
    rewards = torch.randn(len(schedule), born, generator=generator)

    def live(members):
        network.birth(genomes[members], [seeds[member] for member in members])
        seen = []
        for step, active in enumerate(schedule):
            rows = [members.index(member) for member in active if member in members]
            here = [members[row] for row in rows]
            outputs = network.act(observations[step, here], rewards[step, here], rows)
            seen.append(dict(zip(here, outputs, strict=True)))
        return seen, network.weights()

    seen, weights = live(list(range(born)))
    for member in range(born):
        own_seen, own_weights = live([member])
        for together, alone in zip(seen, own_seen, strict=True):
            assert (member in together) == (member in alone)
            assert member not in alone or torch.equal(alone[member], together[member])
        for name, w in own_weights.items():
            assert torch.equal(w[0], weights[name][member])


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_lives_that_take_the_place_of_others_are_as_if_born_with_them(data):
    """Bit for bit: the new ones live as alone from birth, the others as if nothing had happened."""
    inputs = data.draw(SIZES)
    network = PlasticNetwork(
        inputs,
        data.draw(SIZES),
        [5],
        rule=data.draw(living),
        kind=data.draw(st.sampled_from([*CELLS])),
        bias=data.draw(st.booleans()),
        backend=data.draw(st.sampled_from(BACKENDS)),
    )
    born = data.draw(st.integers(1, 5))
    replaced = data.draw(st.lists(st.integers(0, born - 1), unique=True, min_size=1))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32 - 1)))
    genomes = 0.1 * torch.randn(2 * born, network.layout.size, generator=generator)
    observations = torch.randn(6, born, inputs, generator=generator)
    rewards = torch.randn(6, born, generator=generator)
    every = list(range(born))

    def live(steps, rows):
        return [network.act(observations[step, rows], rewards[step, rows], rows) for step in steps]

    network.birth(genomes[:born], every)
    undisturbed = live(range(6), every)
    network.birth(genomes[:born], every)
    live(range(3), every)
    network.birth(genomes[[born + row for row in replaced]], [born + row for row in replaced], replaced)
    together, weights = live(range(3, 6), every), network.weights()
    network.birth(genomes[[born + row for row in replaced]], [born + row for row in replaced])
    alone = [
        network.act(observations[step, replaced], rewards[step, replaced], range(len(replaced))) for step in (3, 4, 5)
    ]
    others = [row for row in every if row not in replaced]
    for step in range(3):
        assert torch.equal(together[step][replaced], alone[step])
        assert torch.equal(together[step][others], undisturbed[3 + step][others])
    for name, w in network.weights().items():
        assert torch.equal(w, weights[name][replaced])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("output_activation", ["tanh", "linear"])
def test_a_static_network_is_a_multilayer_perceptron(backend, output_activation, generator):
    network = PlasticNetwork(
        7, 3, [20, 5], rule=rules["static"](), activation="tanh", output_activation=output_activation, backend=backend
    )
    genomes = 0.5 * torch.randn(4, network.layout.size, generator=generator)
    network.birth(genomes, [0] * 4)
    for _ in range(3):
        observations = torch.randn(4, 7, generator=generator)
        outputs = network.act(observations, torch.zeros(4), range(4))
        for row in range(4):
            layers = [torch.nn.Linear(7, 20, False), torch.nn.Linear(20, 5, False), torch.nn.Linear(5, 3, False)]
            mlp = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2])
            torch.nn.utils.vector_to_parameters(genomes[row], mlp.parameters())
            expected = mlp(observations[row]).detach()
            expected = expected.tanh() if output_activation == "tanh" else expected
            torch.testing.assert_close(outputs[row], expected, rtol=1e-5, atol=1e-6)
    for n, w in enumerate(network.weights().values()):
        assert torch.equal(w, network.layout.split(genomes)[f"layer{n}.W"])


def test_layers_are_chained_and_each_sees_its_own_part(generator):
    """The whole network in float64 against layers stepped one by one with the parts of the genome."""
    rule = HebbianRule("ABCD+lr", "max", initial="normal")
    network = PlasticNetwork(4, 2, [3], rule=rule, output_activation="linear", backend="reference", dtype=torch.float64)
    genomes = torch.randn(2, network.layout.size, generator=generator, dtype=torch.float64)
    network.birth(genomes, [5, 6])
    coefficients, activity = network.layout.split(genomes), torch.randn(2, 4, generator=generator).double()
    outputs = network.act(activity, torch.zeros(2), [0, 1])
    for n, (inputs, units, f) in enumerate([(4, 3, torch.tanh), (3, 2, lambda x: x)]):
        A, B, C, D, lr = (coefficients[f"layer{n}.{name}"] for name in ("A", "B", "C", "D", "lr"))
        w = draw("normal", f"layer{n}", inputs, units, [5, 6]).double()
        post = f(torch.einsum("bji,bi->bj", w, activity))
        change = torch.einsum("bji,bi,bj->bji", A, activity, post) + torch.einsum("bji,bi->bji", B, activity)
        w = w + lr * (change + torch.einsum("bji,bj->bji", C, post) + D)
        w = w / w.abs().flatten(1).max(1).values[:, None, None]
        torch.testing.assert_close(network.weights()[f"layer{n}"], w)
        activity = post
    torch.testing.assert_close(outputs, activity)


def test_the_layout_of_the_papers_networks():
    quadruped = PlasticNetwork(28, 8, [128, 64], rule=HebbianRule())
    assert quadruped.layout.size == 61_440
    assert list(quadruped.layout)[:6] == ["layer0.A", "layer0.B", "layer0.C", "layer0.D", "layer0.lr", "layer1.A"]
    assert dict(quadruped.layout.shapes)["layer0.A"] == (128, 28)
    car_racing = PlasticNetwork(648, 3, [128, 64], rule=HebbianRule(normaliser="max"), output_activation="linear")
    assert car_racing.layout.size == 456_640


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_birth_forgets_the_lives_before(backend, generator):
    network = PlasticNetwork(3, 2, [4], rule=HebbianRule(), backend=backend)
    genomes = torch.randn(2, network.layout.size, generator=generator)
    observations = torch.randn(5, 2, 3, generator=generator)

    def live():
        network.birth(genomes, [1, 2])
        return torch.stack([network.act(seen, torch.zeros(2), [0, 1]) for seen in observations])

    first = live()
    assert torch.equal(first, live())
    assert not torch.equal(first[0], network.act(observations[0], torch.zeros(2), [0, 1]))  # it did learn


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_given_and_taken_are_not_shared(backend, generator):
    network = PlasticNetwork(3, 2, rule=HebbianRule(initial="evolved"), backend=backend)
    genomes = torch.randn(1, network.layout.size, generator=generator)
    observation = torch.randn(1, 3, generator=generator)
    network.birth(genomes, [1])
    expected = network.act(observation, torch.zeros(1), [0]), network.weights()["layer0"]
    network.birth(genomes, [1])
    genomes.zero_()
    network.weights()["layer0"].zero_()
    assert torch.equal(network.act(observation, torch.zeros(1), [0]), expected[0])
    assert torch.equal(network.weights()["layer0"], expected[1])


def test_observations_of_any_kind_of_number_and_memory(generator):
    network = PlasticNetwork(3, 2, rule=HebbianRule())
    genomes = torch.randn(2, network.layout.size, generator=generator)
    observations = torch.randn(3, 2, generator=generator)  # transposed below
    outputs = []
    for given_ in (observations.T.contiguous(), observations.T, observations.T.double()):
        network.birth(genomes, [1, 2])
        outputs.append(network.act(given_, torch.zeros(2), [0, 1]))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert outputs[2].dtype == torch.float32


def test_networks_can_be_sent_in_mid_life(generator):
    network = PlasticNetwork(3, 2, [4], rule=HebbianRule(normaliser="row"))
    network.birth(torch.randn(2, network.layout.size, generator=generator), [1, 2])
    network.act(torch.ones(2, 3), torch.zeros(2), [0, 1])
    twin = pickle.loads(pickle.dumps(network))
    for _ in range(2):
        assert torch.equal(
            twin.act(torch.ones(1, 3), torch.zeros(1), [1]), network.act(torch.ones(1, 3), torch.zeros(1), [1])
        )


class RewardedLayer(LivingLayer):
    def __init__(self, weights, rate):
        self._weights, self._rate = weights, rate

    def step(self, pre, signal, rows):
        post = torch.tanh((self._weights[rows] * pre[:, None, :]).sum(-1))
        self._weights[rows] += self._rate[rows] * signal[:, None, None] * post[:, :, None] * pre[:, None, :]
        return post

    def replace(self, rows, newborn):
        self._weights[rows], self._rate[rows] = newborn._weights, newborn._rate

    def weights(self):
        return self._weights.clone()


class RewardedRule(Rule):
    """A rule of one's own: Δw_ij = η_ij r o_i o_j."""

    def layout(self, inputs, outputs):
        return Layout((("lr", (outputs, inputs)),))

    def birth(self, layer, coefficients, seeds):
        weights = draw("uniform", layer.name, layer.inputs, layer.outputs, seeds).to(layer.device)
        return RewardedLayer(weights, coefficients["lr"])


def test_a_rule_of_ones_own_sees_the_reward():
    network = PlasticNetwork(3, 2, rule=RewardedRule())
    network.birth(torch.ones(2, network.layout.size), [1, 1])
    before = network.weights()["layer0"]
    outputs = network.act(torch.ones(2, 3), torch.tensor([0.0, 2.0]), [0, 1])
    change = network.weights()["layer0"] - before
    assert torch.equal(change[0], torch.zeros(2, 3))
    torch.testing.assert_close(change[1], 2 * outputs[1][:, None].expand(2, 3))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"inputs": 0}, ArgumentError, "inputs: expected a number >= 1; got 0"),
        ({"hidden": [4, 0]}, ArgumentError, "hidden: expected a number >= 1; got 0"),
        ({"outputs": -1}, ArgumentError, "outputs: expected"),
        ({"activation": "tahn"}, UnknownNameError, "activation: expected one of.*did you mean 'tanh'"),
        ({"output_activation": "softmax"}, UnknownNameError, "output_activation: expected one of"),
        ({"backend": "tpu"}, UnknownNameError, "backend: expected one of"),
        ({"dtype": torch.float64}, ArgumentError, "dtype: expected one of.*got torch.float64"),
        ({"dtype": torch.float16, "backend": "reference"}, ArgumentError, "dtype: expected one of"),
    ],
)
def test_networks_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        PlasticNetwork(**{"inputs": 2, "outputs": 2, "rule": HebbianRule(), **options})


def test_arguments_of_another_shape():
    network = PlasticNetwork(3, 2, rule=HebbianRule())
    size = network.layout.size
    with pytest.raises(ShapeError, match=rf"genomes: expected shape \[B, {size}\]; got \[1, 5\]"):
        network.birth(torch.zeros(1, 5), [0])
    with pytest.raises(ShapeError, match=r"seeds: expected shape \[2\]; got \[3\]"):
        network.birth(torch.zeros(2, size), [0, 1, 2])
    with pytest.raises(ArgumentError, match=r"rows.*\[0\]"):
        PlasticNetwork(1, 5, rule=HebbianRule("A")).birth(torch.zeros(1, 5), [0], [0])
    with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 0"):
        network.act(torch.zeros(1, 3), torch.zeros(1), [0])
    network.birth(torch.zeros(2, size), [0, 1])
    with pytest.raises(ShapeError, match=r"observations: expected shape \[1, 3\]; got \[1, 4\]"):
        network.act(torch.zeros(1, 4), torch.zeros(1), [0])
    with pytest.raises(ShapeError, match=r"rewards: expected shape \[1\]; got \[2\]"):
        network.act(torch.zeros(1, 3), torch.zeros(2), [0])
    for rows in ([0, 2], [-1, 0], [1, 1]):
        with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 2"):
            network.act(torch.zeros(2, 3), torch.zeros(2), rows)
    assert network.act(torch.zeros(0, 3), torch.zeros(0), []).shape == (0, 2)


@pytest.mark.parametrize("rule", [HebbianRule(), RewardedRule()], ids=["fused", "torch"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("front", [None, ConvolutionalFront([2], [3], [2], [2])], ids=["plain", "front"])
def test_arrays_are_answered_by_an_array_of_the_same_numbers(rule, backend, front):
    shape = (16, 17, 3) if front else (5,)
    network = PlasticNetwork(shape, 2, [4], rule=rule, front=front, backend=backend)
    genomes = 0.1 * torch.randn(3, network.layout.size)
    rewards, rows = torch.randn(2), [2, 0]
    observations = torch.rand(2, 2, prod(shape))
    network.birth(genomes, range(3))
    expected = [network.act(seen, rewards, rows) for seen in observations]
    network.birth(genomes, range(3))
    for seen, outputs in zip(observations, expected, strict=True):
        answer = network.act(seen.numpy(), rewards.double().numpy(), rows)
        assert isinstance(answer, np.ndarray)
        assert np.array_equal(answer, outputs.numpy())


def test_rows_found_good_are_looked_at_again_after_another_birth():
    network = PlasticNetwork(3, 2, rule=HebbianRule())
    network.birth(torch.zeros(2, network.layout.size), range(2))
    network.act(torch.zeros(2, 3), torch.zeros(2), [0, 1])
    network.birth(torch.zeros(1, network.layout.size), range(1))
    with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 1"):
        network.act(torch.zeros(2, 3), torch.zeros(2), [0, 1])
