"""Every pair of switches together: the fused kernel, the reference, and loops in float64, for a hundred steps."""

from itertools import combinations, product
from random import Random

import numpy as np
import pytest
import torch
from by_hand import NETWORK, RULE, TERMS, Network, births, choices, genomes_of, networks, tame
from hypothesis import given, settings
from hypothesis import strategies as st

TAME = {"kind": "feedforward", "modulation": "none", "terms": "AD", "activation": "tanh"}
BACKENDS = (("cpu", torch.float32), ("reference", torch.float64))


def pairs(factors):
    names = sorted(factors)
    return {((a, u), (b, v)) for a, b in combinations(names, 2) for u, v in product(factors[a], factors[b])}


def pairwise(factors):
    """Choices of a value for each factor, so that each two values of two factors meet in one: greedy, few of them."""
    random = Random(0)
    names = sorted(factors)
    wanted = {pair for pair in pairs(factors) if tame(TAME | dict(pair))}
    found = []
    while wanted:
        tries = []
        for _ in range(20):
            (a, u), (b, v) = random.choice(sorted(wanted, key=str))
            choice = {name: random.choice(factors[name]) for name in names} | {a: u, b: v}
            if not tame(choice):
                continue
            met = {((c, choice[c]), (d, choice[d])) for c, d in combinations(names, 2)}
            tries.append((len(met & wanted), len(tries), choice, met))
        if not tries:
            continue
        _, _, choice, met = max(tries, key=lambda one: one[:2])
        found.append(choice)
        wanted -= met
    return found


MATRIX = pairwise({**RULE, **NETWORK})


def test_the_matrix_has_every_pair_that_is_legal():
    met = {pair for one in MATRIX for pair in combinations(sorted(one.items()), 2)}
    feedbacks = [("kind", "recurrent"), ("kind", "gru"), ("modulation", "unit")]
    feedbacks += [("terms", terms) for terms in TERMS if "decay" in terms]
    assert pairs({**RULE, **NETWORK}) - met == {
        (("activation", f), back) for f in ("relu", "linear") for back in feedbacks
    }


def live(choice, seed, steps=100):
    """Lives under a schedule of rows and births; what comes out and the weights at the end, of each kernel."""
    random = np.random.default_rng(seed)
    made, options = networks(choice, BACKENDS)
    genomes = genomes_of(made[0], 4, random)
    seeds = random.integers(2**40, size=4).tolist()
    for network in made:
        network.birth(genomes[:3], seeds[:3])

    def by_hand(member):
        return Network(made[0], options, genomes[member], births(made[0], genomes[member], seeds[member]))

    hands = [by_hand(member) for member in range(3)]
    outputs = []
    for step in range(steps):
        if step == steps // 3:
            hands[1] = by_hand(3)
            for network in made:
                network.birth(genomes[3:], seeds[3:], [1])
        rows = random.permutation(3)[: random.integers(1, 4)].tolist()
        seen = torch.from_numpy(random.normal(0, 0.7, (len(rows), 4))).float()
        rewards = torch.from_numpy(random.normal(0.5, 1, len(rows))).float()
        acted = [network.act(seen, rewards, rows).double().numpy() for network in made]
        wanted = [hands[row].act(seen[n].double().numpy(), float(rewards[n])) for n, row in enumerate(rows)]
        outputs.append((acted, np.array(wanted)))
    weights = [network.weights() for network in made]
    return outputs, weights, [hand.weights() for hand in hands]


def differences(found, expected):
    assert np.isfinite(expected).all()
    return float(np.max(np.abs(found - expected) / (1 + np.abs(expected))))


def check(choice, seed):
    """Rounding grows from step to step, in both precisions alike: that in float64 tells what to expect in float32."""
    outputs, weights, wanted = live(choice, seed)
    expected = {name: np.stack([own[name] for own in wanted]) for name in wanted[0]}
    outs, ends = ([acted[n] for acted, _ in outputs] for n in (0, 1)), weights
    single, double = (
        max(
            *(differences(out, hand) for out, (_, hand) in zip(own, outputs, strict=True)),
            *(differences(end[name].double().numpy(), hand) for name, hand in expected.items()),
        )
        for own, end in zip(outs, ends, strict=True)
    )
    assert double < 1e-8, (choice, seed)
    assert single < 2e-4 + 100 * 2**29 * double, (choice, seed, double)


@pytest.mark.parametrize("choice", MATRIX, ids=lambda choice: "-".join(map(str, choice.values())))
def test_every_pair_of_switches(choice):
    check(choice, int(np.random.SeedSequence().generate_state(1)[0]))


@settings(deadline=None, max_examples=30)
@given(choice=choices, seed=st.integers(0, 2**32 - 1))
def test_any_combination_of_switches(choice, seed):
    check(choice, seed)
