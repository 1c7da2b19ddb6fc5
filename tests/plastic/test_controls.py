"""The acts leave the world as asked, and nothing else."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neuroplastic.errors import ArgumentError, UnknownNameError
from neuroplastic.noise import stream
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.plastic.controls import (
    Controlled,
    Controls,
    freeze,
    random_rule,
    shuffle_layer,
    swap_initial,
    zero_layer,
)
from neuroplastic.plastic.initial import DISTRIBUTIONS, draw

LIVES, STEPS = 4, 9
LAYERS = ("layer0", "layer1")
KINDS = [
    {"rule": HebbianRule(normaliser="max")},
    {"rule": HebbianRule(terms="A+lr+decay", normaliser="clip"), "backend": "reference"},
    {"rule": HebbianRule(modulation="reward", trace=0.5, fixed=True)},
    {"rule": HebbianRule(initial="evolved"), "kind": "gru", "bias": True},
]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=["max", "oja", "traced", "gru"])


def network(kind: dict[str, Any]) -> PlasticNetwork:
    return PlasticNetwork(5, 3, [4], **kind)


def fresh(seed: int, net: PlasticNetwork) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Genomes [B, D], observations [T, B, 5], rewards [T, B] and the lives' seeds."""
    generator = torch.Generator().manual_seed(seed)
    genomes = 0.1 * torch.randn(LIVES, net.layout.size, generator=generator)
    observations = torch.randn(STEPS, LIVES, 5, generator=generator)
    return genomes, observations, torch.randn(STEPS, LIVES, generator=generator), [seed + n for n in range(LIVES)]


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor], rows: list[int], layers: Any = None) -> None:
    for name in layers if layers is not None else a:
        assert torch.equal(a[name][rows], b[name][rows]), name


SEEDS = st.integers(0, 2**31)
SOME = st.sets(st.integers(0, LIVES - 1), min_size=1).map(sorted)


@EVERY_KIND
@given(seed=SEEDS, rows=SOME, act=st.sampled_from(["zero", "shuffle", "swap", "freeze"]), before=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_an_act_changes_what_it_names_and_nothing_else(
    kind: dict[str, Any], seed: int, rows: list[int], act: str, before: int
) -> None:
    touched, twin = network(kind), network(kind)
    genomes, observations, rewards, seeds = fresh(seed, touched)
    for net in (touched, twin):
        net.birth(genomes, seeds)
        for t in range(before):
            net.act(observations[t], rewards[t], range(LIVES))
    others = [row for row in range(LIVES) if row not in rows]
    own = [seeds[row] for row in rows]
    layer = next(iter(touched.wiring))
    was = touched.weights()
    if act == "zero":
        zero_layer(touched, rows, layer)
        assert not touched.weights()[layer][rows].any()
    elif act == "shuffle":
        shuffle_layer(touched, rows, layer, own)
        now = touched.weights()[layer][rows].flatten(1)
        assert torch.equal(now.sort(1).values, was[layer][rows].flatten(1).sort(1).values)
        alone = network(kind)
        alone.birth(genomes, seeds)
        for t in range(before):
            alone.act(observations[t], rewards[t], range(LIVES))
        shuffle_layer(alone, rows[-1:], layer, own[-1:])
        assert torch.equal(alone.weights()[layer][rows[-1]].flatten(), now[-1])
    elif act == "swap":
        swap_initial(touched, rows, "uniform-1", own)
        for name, (_, *shape) in {name: weights.shape for name, weights in was.items()}.items():
            drawn = draw("uniform-1", name, shape[1], shape[0], [stream(number, "swap-initial") for number in own])
            assert torch.equal(touched.weights()[name][rows], drawn)
    else:
        freeze(touched, rows)
        assert_same(touched.weights(), was, rows)
    if act in ("zero", "shuffle"):
        assert_same(touched.weights(), was, rows, [name for name in was if name != layer])
    assert_same(touched.weights(), was, others)
    for t in range(before, STEPS):  # and it stays so: nothing hidden of the others was touched
        posts = [net.act(observations[t], rewards[t], range(LIVES)) for net in (touched, twin)]
        assert torch.equal(posts[0][others], posts[1][others])
    assert_same(touched.weights(), twin.weights(), others)
    if act == "freeze":
        assert_same(touched.weights(), was, rows)


@EVERY_KIND
@given(
    seed=SEEDS,
    moment=st.integers(0, STEPS),
    births=st.lists(st.integers(0, STEPS - 1), min_size=LIVES, max_size=LIVES),
    act=st.sampled_from(["zero_layer", "shuffle_layer", "freeze"]),
)
@settings(max_examples=25, deadline=None)
def test_until_its_step_of_each_life_a_control_is_not_there(
    kind: dict[str, Any], seed: int, moment: int, births: list[int], act: str
) -> None:
    plain, layer = network(kind), next(iter(network(kind).wiring))
    word = f"freeze={moment}" if act == "freeze" else f"{act}={layer}@{moment}"
    watched = Controlled(network(kind), Controls.parse([word]))
    genomes, observations, rewards, seeds = fresh(seed, plain)
    for policy in (plain, watched):
        policy.birth(genomes, seeds)
    for t in range(STEPS):
        again = [row for row in range(LIVES) if births[row] == t]
        if again:  # born once more, in the place of the first life
            for policy in (plain, watched):
                policy.birth(genomes[again], [seeds[row] for row in again], again)
        ages = [t - births[row] if t >= births[row] else t for row in range(LIVES)]
        posts = [policy.act(observations[t], rewards[t], range(LIVES)) for policy in (plain, watched)]
        untouched = [row for row in range(LIVES) if ages[row] < moment]
        assert torch.equal(posts[0][untouched], posts[1][untouched])
        assert_same(plain.weights(), watched.weights(), untouched)


@given(seed=SEEDS, moment=st.integers(0, STEPS))
@settings(max_examples=20, deadline=None)
def test_acts_come_at_their_step_as_if_done_by_hand(seed: int, moment: int) -> None:
    kind = KINDS[0]
    words = [f"shuffle_layer=layer0@{moment}", f"zero_layer=layer1@{moment}", "swap_initial=normal"]
    watched = Controlled(network(kind), Controls.parse([*words, f"freeze={moment + 2}"]))
    by_hand = network(kind)
    genomes, observations, rewards, seeds = fresh(seed, by_hand)
    watched.birth(genomes, seeds)
    by_hand.birth(genomes, seeds)
    swap_initial(by_hand, range(LIVES), "normal", seeds)
    for t in range(STEPS):
        if t == moment:
            zero_layer(by_hand, range(LIVES), "layer1")
            shuffle_layer(by_hand, range(LIVES), "layer0", seeds)
        if t == moment + 2:
            freeze(by_hand, range(LIVES))
        posts = [policy.act(observations[t], rewards[t], range(LIVES)) for policy in (watched, by_hand)]
        assert torch.equal(*posts)
    assert_same(watched.weights(), by_hand.weights(), list(range(LIVES)))


@EVERY_KIND
def test_a_random_rule_has_the_mean_and_spread_of_the_old_one(kind: dict[str, Any], generator: torch.Generator) -> None:
    net = PlasticNetwork(40, 30, [50], **kind)
    genomes = torch.randn(3, net.layout.size, generator=generator) * torch.rand(3, 1, generator=generator) + 2
    seeds = [5, 6, 5]
    genomes[2] = genomes[0]
    others = random_rule(net, genomes, seeds)
    assert torch.equal(others[0], others[2])
    assert torch.equal(random_rule(net, genomes[1:2], seeds[1:2])[0], others[1])
    before, after = net.layout.split(genomes), net.layout.split(others)
    for name in net.layout:
        if name.rpartition(".")[2] not in net.rule.shared:
            assert torch.equal(before[name], after[name])
            continue
        for row in range(3):
            old, new = before[name][row].flatten(), after[name][row].flatten()
            error = old.std() / len(old) ** 0.5
            assert abs(new.mean() - old.mean()) < 6 * error, name
            assert abs(new.std() - old.std()) < 6 * error, name
            assert torch.corrcoef(torch.stack([old, new]))[0, 1].abs() < 6 / len(old) ** 0.5, name
    assert torch.equal(genomes[0], genomes[2]), "the old ones stay"
    controlled = Controlled(net, Controls(random_rule=True))
    controlled.birth(genomes, seeds)
    plain = PlasticNetwork(40, 30, [50], **kind)
    plain.birth(others, seeds)
    observations, rewards = torch.randn(3, 40, generator=generator), torch.randn(3, generator=generator)
    for _ in range(3):
        posts = [policy.act(observations, rewards, range(3)) for policy in (controlled, plain)]
        assert torch.equal(*posts)


WORDS = st.lists(
    st.one_of(
        st.just("random_rule"),
        st.sampled_from(sorted(DISTRIBUTIONS)).map("swap_initial={}".format),
        st.integers(0, 10**6).map("freeze={}".format),
        st.tuples(st.sampled_from(["zero_layer", "shuffle_layer"]), st.sampled_from(LAYERS), st.integers(0, 999)).map(
            lambda parts: "{}={}@{}".format(*parts)
        ),
    )
)


@given(words=WORDS)
def test_words_are_read_back(words: list[str]) -> None:
    controls = Controls.parse(words)
    assert Controls.parse(controls.words).moments == controls.moments
    assert set(controls.words) <= set(words)
    assert all(step >= 0 for _, step in controls.moments)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("freez=3", "did you mean 'freeze'"),
        ("freeze", "expected freeze=T"),
        ("freeze=-1", "a step >= 0; got 'freeze=-1'"),
        ("freeze=1.5", "expected freeze=T"),
        ("zero_layer=layer0", "expected zero_layer=LAYER@T"),
        ("zero_layer=@3", "expected zero_layer=LAYER@T"),
        ("shuffle_layer=layer0@-2", "expected shuffle_layer=LAYER@T"),
        ("swap_initial=", "expected swap_initial=DISTRIBUTION"),
        ("swap_initial=unifrom", "did you mean 'uniform'"),
        ("random_rule=3", "expected random_rule"),
        ("", "control: expected one of"),
    ],
)
def test_words_that_cannot_be_read(word: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Controls.parse([word])


def test_controls_that_cannot_be() -> None:
    with pytest.raises(UnknownNameError, match=r"control zero_layer: .*did you mean 'layer1'"):
        Controlled(network(KINDS[0]), Controls(zero_layer=(("layr1", 3),)))
    with pytest.raises(ArgumentError, match="control shuffle_layer: expected a number >= 0; got -1"):
        Controls(shuffle_layer=(("layer0", -1),))
    with pytest.raises(ArgumentError, match="random_rule: expected a rule with coefficients"):
        Controlled(PlasticNetwork(3, 2, rule=HebbianRule(terms="", initial="evolved")), Controls(random_rule=True))
    living = Controlled(network(KINDS[0]), Controls(freeze=0))
    living.birth(torch.zeros(2, living.layout.size), [1, 2])
    for rows in ([5], [-1], [0, 0]):
        with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 2"):
            living.act(np.zeros((len(rows), 5), np.float32), np.zeros(len(rows), np.float32), rows)
    with pytest.raises(UnknownNameError, match="layer: expected one of"):
        zero_layer(network_born(), [0], "layer7")


def network_born() -> PlasticNetwork:
    net = network(KINDS[0])
    net.birth(torch.zeros(1, net.layout.size), [1])
    return net
