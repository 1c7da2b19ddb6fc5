"""Sharing: what evolves, expanded to the synapses, is the formula written out; and nothing else is touched."""

import pickle
import secrets
from itertools import pairwise, product
from math import prod
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.genome import Identity, Layout
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork
from neuroplastic.plastic.rules import SHARINGS
from neuroplastic.plastic.sharing import Groups, Synapses, Wiring, balanced, codec, replaced, restored

OPTIONS: dict[str, dict[str, int]] = {"groups": {"groups": 7}, "low-rank": {"rank": 2}}
TERMS = ("A", "B", "C", "D", "lr", "decay")


def network(sharing: str, hidden: tuple[int, ...] = (4, 3), inputs: int = 5, outputs: int = 2, **more: Any):
    options = {"terms": "ABCD+lr+decay", **OPTIONS.get(sharing, {}), **more.pop("rule", {})}
    return PlasticNetwork(inputs, outputs, hidden, rule=HebbianRule(sharing=sharing, **options), **more)


def written_out(net: PlasticNetwork, named: dict[str, Tensor], layer: str, term: str, j: int, i: int) -> float:
    """The coefficient of the synapse from unit i of those before to unit j of those after, by the names of a vector."""
    rule: Any = net.rule
    pre, post = net.wiring[layer].pre[i], net.wiring[layer].post[j]
    wires = net.wiring.values()
    before = sorted({unit for wire in wires for unit in wire.pre})
    after = sorted({unit for wire in wires for unit in wire.post})
    everyone = sorted({*before, *after})

    def of(unit: int, units: list[int]) -> float:
        return float(named[f"neurons.{term}"][units.index(unit)])

    if rule.sharing == "synapse":
        return float(named[f"{layer}.{term}"][j, i])
    if rule.sharing == "layer":
        return float(named[f"rules.{term}"][list(net.wiring).index(layer)])
    if rule.sharing == "network":
        return float(named[f"rules.{term}"][0])
    if rule.sharing == "groups":
        sizes = {layer: (len(wire.post), len(wire.pre)) for layer, wire in net.wiring.items()}
        number = sum(prod(size) for name, size in sizes.items() if list(sizes).index(name) < list(sizes).index(layer))
        groups = balanced(sum(map(prod, sizes.values())), rule.groups)
        return float(named[f"rules.{term}"][groups[number + j * sizes[layer][1] + i]])
    if rule.sharing == "low-rank":
        U, V = named[f"{layer}.{term}.U"][j], named[f"{layer}.{term}.V"][i]
        return sum(float(u) * float(v) for u, v in zip(U, V, strict=True)) / len(U) ** 0.5
    if rule.sharing == "neuron-additive" or term == "lr":
        return 0.5 * (of(pre, everyone) + of(post, everyone))
    if term == "B":
        return of(pre, before)
    if term in ("C", "decay"):
        return of(post, after)
    return of(pre, everyone) * of(post, everyone)


@pytest.mark.parametrize("form", [{}, {"bias": True}, {"kind": "recurrent"}, {"kind": "gru", "bias": True}], ids=str)
@pytest.mark.parametrize("sharing", SHARINGS)
def test_decode_is_the_formula(sharing: str, form: dict[str, Any]) -> None:
    net = network(sharing, rule={"initial": "evolved", "fixed": True}, **form)
    made, seed = net.codec, secrets.randbits(32)
    vectors = torch.randn(3, made.layout.size, generator=torch.Generator().manual_seed(seed))
    genomes = made.decode(vectors)
    assert genomes.dtype == torch.float32
    for vector, genome in zip(vectors, genomes, strict=True):
        named, arrays = made.layout.split(vector), net.layout.split(genome)
        for name, array in arrays.items():
            layer, _, term = name.rpartition(".")
            if term not in TERMS:
                assert torch.equal(array, named[name]), name
                continue
            wanted = [
                [written_out(net, named, layer, term, j, i) for i in range(array.shape[1])] for j in range(len(array))
            ]
            torch.testing.assert_close(
                array, torch.tensor(wanted), msg=lambda text, n=name: f"seed {seed}, {n}: {text}"
            )


def test_filters_pass_through() -> None:
    net = PlasticNetwork((28, 28, 3), 3, (4,), rule=HebbianRule(sharing="network"), front=ConvolutionalFront())
    vector = torch.randn(1, net.codec.layout.size)
    named, arrays = net.codec.layout.split(vector), net.layout.split(net.codec.decode(vector))
    assert torch.equal(named["front.conv0"], arrays["front.conv0"])
    assert net.codec.layout.size == sum(prod(shape) for name, shape in net.layout.shapes if "front" in name) + 5


@pytest.mark.parametrize(
    ("sharing", "numbers"),
    [
        ("synapse", 61_440),
        ("neuron", 1_104),  # as published for this network
        ("neuron-additive", 5 * 228),
        ("low-rank", 5 * 2 * (28 + 128 + 128 + 64 + 64 + 8)),
        ("groups", 1_920),  # as published for 384 rules
        ("layer", 15),
        ("network", 5),
    ],
)
def test_how_many_numbers_evolve_on_the_quadruped(sharing: str, numbers: int) -> None:
    rule = {"terms": "ABCD+lr", **({"groups": 384} if sharing == "groups" else {})}
    assert network(sharing, (128, 64), 28, 8, rule=rule).codec.layout.size == numbers


def test_low_rank_coefficients_of_normal_numbers_have_spread_one() -> None:
    made = network("low-rank", (100,), 100, 100, rule={"terms": "A", "rank": 30}).codec
    vector = torch.randn(4, made.layout.size, generator=torch.Generator().manual_seed(1))
    assert abs(float(made.decode(vector).std()) - 1) < 0.1


# ---------------------------------------------------------------- any network

sizes = st.lists(st.integers(1, 4), min_size=2, max_size=4)
some_terms = st.lists(st.sampled_from(TERMS), min_size=1, unique=True).map(tuple)


def case(sizes: list[int], terms: tuple[str, ...], sharing: str) -> tuple[Any, Layout, dict[str, Wiring]]:
    """A rule, and the layout and wiring of a network of these layers, with arrays that nobody shares in between."""
    first, shapes, wiring = 0, [("front.conv0", (2, 3))], {}
    for n, (before, after) in enumerate(pairwise(sizes)):
        shapes += [*((f"layer{n}.{term}", (after, before)) for term in terms), (f"layer{n}.W", (after, before))]
        units = range(first, first + before + after)
        wiring[f"layer{n}"] = Wiring(tuple(units[:before]), tuple(units[before:]))
        first += before
    number = sum(a * b for a, b in pairwise(sizes))
    rule = SimpleNamespace(sharing=sharing, shared=terms, groups=max(1, number // 2), rank=1)
    return rule, Layout(tuple(shapes)), wiring


@settings(deadline=None, max_examples=60)
@given(sizes, some_terms, st.sampled_from(SHARINGS), st.integers(1, 5), st.integers(0, 2**32))
def test_rows_are_independent_of_each_other_bit_for_bit(sizes, terms, sharing, rows, seed) -> None:
    made = codec(*case(sizes, terms, sharing))
    vectors = torch.randn(rows, made.layout.size, generator=torch.Generator().manual_seed(seed))
    together = made.decode(vectors)
    for row in range(rows):
        assert torch.equal(made.decode(vectors[row : row + 1])[0], together[row])
    assert made.decode(vectors.double()).dtype == torch.float64
    assert torch.equal(pickle.loads(pickle.dumps(made)).decode(vectors), together)


@settings(deadline=None, max_examples=60)
@given(sizes, some_terms, st.sampled_from(SHARINGS), st.integers(0, 2**32))
def test_what_was_saved_decodes_as_before(sizes, terms, sharing, seed) -> None:
    rule, layout, wiring = case(sizes, terms, sharing)
    made = codec(rule, layout, wiring)
    again = restored(rule, layout, made.state_dict())
    vectors = torch.randn(2, made.layout.size, generator=torch.Generator().manual_seed(seed))
    assert again.layout == made.layout
    assert torch.equal(again.decode(vectors), made.decode(vectors))


@given(st.integers(1, 300), st.data())
def test_groups_are_balanced_and_always_the_same(synapses, data) -> None:
    groups = data.draw(st.integers(1, synapses))
    assignment = balanced(synapses, groups)
    counts = torch.bincount(assignment)
    assert len(counts) == groups
    assert int(counts.max()) - int(counts.min()) <= 1
    assert torch.equal(balanced(synapses, groups), assignment)


@settings(deadline=None)
@given(sizes, some_terms, st.integers(0, 2**32))
def test_as_many_groups_as_synapses_are_per_synapse(sizes, terms, seed) -> None:
    rule, layout, wiring = case(sizes, terms, "groups")
    rule.groups = Synapses(layout, terms).number
    each, grouped = Identity(layout), codec(rule, layout, wiring)
    assert isinstance(grouped, Groups)
    assert sorted(grouped.assignment.tolist()) == list(range(rule.groups))
    genome = torch.randn(1, layout.size, generator=torch.Generator().manual_seed(seed))
    vector = torch.empty_like(genome)
    vector[:, replaced(each, grouped)] = genome
    assert torch.equal(grouped.decode(vector), genome)


# ---------------------------------------------------------------- the published rule


def test_a_step_of_nchl_is_the_published_formula() -> None:
    seed = secrets.randbits(32)
    draw = torch.Generator().manual_seed(seed)
    net = network("neuron", (4, 3), rule={"terms": "ABCD+lr"}, backend="reference", dtype=torch.float64)
    vector = torch.randn(net.codec.layout.size, generator=draw, dtype=torch.float64)
    named = net.codec.layout.split(vector)
    pre_neurons, post_neurons, neurons = range(5 + 4 + 3), range(5, 5 + 4 + 3 + 2), range(5 + 4 + 3 + 2)
    # The paper's letters: A of o_i, B of o_j, C of both, D of neither.
    A = dict(zip(pre_neurons, named["neurons.B"].tolist(), strict=True))
    B = dict(zip(post_neurons, named["neurons.C"].tolist(), strict=True))
    C, D, eta = (dict(zip(neurons, named[f"neurons.{x}"].tolist(), strict=True)) for x in ("A", "D", "lr"))
    net.birth(net.codec.decode(vector[None]), [seed])
    before = net.weights()
    observation = torch.randn(1, 5, generator=draw, dtype=torch.float64)
    net.act(observation, torch.zeros(1), [0])
    o = dict(zip(range(5), observation[0].tolist(), strict=True))
    first = 0
    for layer, size in (("layer0", 5), ("layer1", 4), ("layer2", 3)):
        w = before[layer][0].double()
        inputs = torch.tensor([o[first + i] for i in range(size)], dtype=torch.float64)
        o |= {first + size + j: float(torch.tanh(w[j] @ inputs)) for j in range(len(w))}
        after = net.weights()[layer][0]
        for j, i in product(range(len(w)), range(size)):
            m, n = first + i, first + size + j
            change = 0.5 * (eta[m] + eta[n]) * (A[m] * o[m] + B[n] * o[n] + C[m] * C[n] * o[m] * o[n] + D[m] * D[n])
            assert float(after[j, i]) == pytest.approx(float(w[j, i]) + change, rel=1e-10, abs=1e-12), f"seed {seed}"
        first += size


# ---------------------------------------------------------------- refusals

LAYOUT = Layout((("layer0.A", (3, 2)), ("layer0.W", (3, 2))))
WIRING = {"layer0": Wiring((0, 1), (2, 3, 4))}


def asked(**changes: Any) -> Any:
    return SimpleNamespace(**{"sharing": "synapse", "shared": ("A",), "groups": 0, "rank": 0, **changes})


@pytest.mark.parametrize(
    ("rule", "layout", "wiring", "error", "message"),
    [
        (asked(sharing="grops"), LAYOUT, WIRING, UnknownNameError, "sharing: .*did you mean 'groups'"),
        (
            asked(sharing="groups", groups=7),
            LAYOUT,
            WIRING,
            ArgumentError,
            "groups: .*>= 1 and <= 6; got 7",
        ),
        (asked(sharing="groups"), LAYOUT, WIRING, ArgumentError, "groups: .*>= 1 and <= 6; got 0"),
        (asked(sharing="low-rank"), LAYOUT, WIRING, ArgumentError, "rank: .*>= 1 and <= 2; got 0"),
        (asked(sharing="low-rank", rank=3), LAYOUT, WIRING, ArgumentError, "rank: .*>= 1 and <= 2; got 3"),
        (asked(sharing="layer", shared=()), LAYOUT, WIRING, ArgumentError, "terms: expected some that evolve"),
        (asked(sharing="neuron"), LAYOUT, {}, ArgumentError, "wiring: expected the units of 'layer0'"),
        (
            asked(sharing="neuron"),
            LAYOUT,
            {"layer0": Wiring((0,), (1,))},
            ShapeError,
            "wiring of layer0: .* 2 units",
        ),
        (asked(sharing="layer"), Layout((("layer0.A", (3,)),)), {}, ShapeError, r"layer0: .*shape \[O, I\]; got \[3\]"),
        (asked(sharing="layer", shared=("A", "B")), LAYOUT, {}, ShapeError, r"layer0.B: .*shape \[3, 2\].*got none"),
    ],
)
def test_what_cannot_be_shared_is_refused_by_name(rule, layout, wiring, error, message) -> None:
    with pytest.raises(error, match=message):
        codec(rule, layout, wiring)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_vectors_of_another_length_are_refused(sharing: str) -> None:
    made = network(sharing).codec
    for shape in [(2, made.layout.size + 1), (made.layout.size,)]:
        with pytest.raises(ShapeError, match=r"vectors: expected shape \[p, "):
            made.decode(torch.zeros(shape))


@pytest.mark.parametrize(
    ("rule", "state", "message"),
    [
        (asked(), {"assignment": [0] * 6}, "expected one of .5. groups; got 1"),
        (asked(sharing="layer"), {"assignment": [0] * 6}, "codec: expected the entries .. with sharing 'layer'"),
        (asked(sharing="groups", groups=2), {}, "codec: expected the entries .'assignment'."),
        (asked(sharing="groups", groups=2), {"assignment": [0, 1] * 2}, r"assignment: expected shape \[6\]; got \[4\]"),
        (asked(sharing="groups", groups=2), {"assignment": [0, 2] * 3}, "rules 0..K, each with a synapse"),
        (asked(sharing="groups", groups=2), {"assignment": [0, -1] * 3}, "rules 0..K, each with a synapse"),
        (asked(sharing="groups", groups=2), {"assignment": [0, 2**30] * 3}, "rules 0..K, each with a synapse"),
        (asked(sharing="groups", groups=2), {"assignment": [0, 1, 2] * 2}, "expected one of .5, 2. groups; got 3"),
        (asked(sharing="neuron"), {"layer0.pre": [0, 1], "layer0.post": [2]}, "wiring of layer0"),
        (asked(sharing="neuron"), {}, "wiring: expected the units of 'layer0'"),
        (asked(), {"layer0.pre": [0, 1]}, "codec: expected the entries .. with sharing 'synapse'"),
    ],
)
def test_what_was_saved_of_something_else_is_refused(rule, state, message) -> None:
    tensors = {name: torch.tensor(numbers, dtype=torch.int32) for name, numbers in state.items()}
    with pytest.raises(ArgumentError, match=message):
        restored(rule, LAYOUT, tensors, [5])
    for name, tensor in tensors.items():
        with pytest.raises(ArgumentError, match=f"codec.{name}: expected"):
            restored(rule, LAYOUT, {name: tensor.long()})
        with pytest.raises(ShapeError, match=f"codec.{name}: expected shape"):
            restored(rule, LAYOUT, {name: tensor[None]})
