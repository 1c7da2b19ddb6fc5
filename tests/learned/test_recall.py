"""The recall rule against Hopfield's closed form, and what all of its genomes keep to."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError
from neuroplastic.learned.base import State
from neuroplastic.learned.recall import Recall, frozen, hopfield
from neuroplastic.tasks.data import Snippets


def closed_form(snippets: Tensor, cues: Tensor, times: int) -> Tensor:
    """Snippets [S, N] and cues [S, N] -> what a Hopfield net with clamped cues says, from the last snippet on."""
    stored = snippets.T @ snippets
    stored.fill_diagonal_(0)
    said = snippets[-1].expand_as(cues)
    for _ in range(times):
        said = torch.where(cues != 0, cues, torch.sign(said @ stored))
    return said


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), neurons=st.integers(2, 30), number=st.integers(1, 12), settle=st.integers(1, 4))
def test_hand_set_it_is_a_hopfield_net(seed: int, neurons: int, number: int, settle: int) -> None:
    rule, genome = hopfield(neurons, settle=settle)
    snippets, cues = (drawn.double() for drawn in Snippets(neurons).draw(seed, number))
    state = rule.observe(genome[None], rule.birth(genome[None], 1), snippets[None, None])
    stored = snippets.T @ snippets
    off_diagonal = 1 - torch.eye(neurons)
    assert torch.equal(state["synapse"][0, 0, 0] * off_diagonal, stored * off_diagonal)
    said = rule.recall(genome[None], state, cues[None, None])[0, 0]
    assert torch.equal(said, closed_form(snippets, cues, settle))


def example(seed: int, rule: Recall, genomes: int = 3, networks: int = 2, number: int = 4) -> tuple[Tensor, ...]:
    drawn = torch.stack([rule.random(seed + n) for n in range(genomes)])
    source = Snippets(len(rule.types))
    lessons = [source.draw(seed + n, number) for n in range(genomes * networks)]
    snippets, cues = (
        torch.stack(part).view(genomes, networks, number, -1).double() for part in zip(*lessons, strict=True)
    )
    return drawn, snippets, cues


RULE = Recall(types=(0, 0, 0, 1, 1, 1, 1, 2), synapse=2, body=3, embedding=2)


def test_permuting_neurons_of_a_type_permutes_what_is_said() -> None:
    seed = int(np.random.default_rng().integers(10**6))
    genomes, snippets, cues = example(seed, RULE)
    order = torch.tensor([2, 0, 1, 6, 3, 4, 5, 7])
    said = RULE.recall(genomes, RULE.observe(genomes, RULE.birth(genomes, 2), snippets), cues)
    other = RULE.observe(genomes, RULE.birth(genomes, 2), snippets[..., order])
    torch.testing.assert_close(RULE.recall(genomes, other, cues[..., order]), said[..., order], msg=f"seed {seed}")
    mixed = torch.tensor([3, 1, 2, 0, 4, 5, 6, 7])  # neurons of two types change places
    other = RULE.observe(genomes, RULE.birth(genomes, 2), snippets[..., mixed])
    assert (RULE.recall(genomes, other, cues[..., mixed]) - said[..., mixed]).abs().max() > 1e-6, f"seed {seed}"


def test_batched_is_one_at_a_time() -> None:
    seed = int(np.random.default_rng().integers(10**6))
    genomes, snippets, cues = example(seed, RULE)
    said = RULE.recall(genomes, RULE.observe(genomes, RULE.birth(genomes, 2), snippets), cues)
    for p in range(3):
        own = genomes[p : p + 1]
        for e in range(2):
            seen = RULE.observe(own, RULE.birth(own, 1), snippets[p : p + 1, e : e + 1])
            for s in range(4):
                alone = RULE.recall(own, seen, cues[p : p + 1, e : e + 1, s : s + 1])
                torch.testing.assert_close(alone[0, 0, 0], said[p, e, s], rtol=1e-10, atol=1e-10, msg=f"seed {seed}")


def slow(rule: Recall, genome: Tensor, snippets: Tensor, cue: Tensor) -> Tensor:
    """One network, by loops over neurons and synapses with whole vectors u."""
    arrays, n = rule.layout.split(genome), len(rule.types)
    types = [arrays["types"][kind] for kind in rule.types]
    one = torch.ones(1, dtype=torch.float64)
    body, synapse = torch.zeros(n, rule.body).double(), torch.zeros(n, n, rule.synapse).double()

    def net(name: str, u: list[Tensor]) -> Tensor:
        both = torch.cat(u)
        return arrays[f"{name}.C"] @ ((arrays[f"{name}.A"] @ both) * torch.tanh(arrays[f"{name}.B"] @ both))

    def bodies(given: Tensor) -> Tensor:
        told = [
            sum((synapse[i, j] * (arrays["M"] @ body[j]) for j in range(n) if j != i), torch.zeros(rule.synapse)) / n
            for i in range(n)
        ]
        around = [[body[i], told[i].double(), given[i : i + 1], types[i], one] for i in range(n)]
        return torch.stack([torch.tanh(net("body", u)) for u in around])

    for snippet in snippets:
        for _ in range(rule.settle):
            body = bodies(snippet)
        if rule.plastic:
            change = [
                [net("synapse", [body[i], types[i], body[j], types[j], synapse[i, j], one]) for j in range(n)]
                for i in range(n)
            ]
            synapse = synapse + torch.stack([torch.stack(row) for row in change])
    for _ in range(rule.settle):
        body = bodies(cue)
    return body[:, 0]


@pytest.mark.parametrize("rule", [RULE, frozen(RULE), Recall(types=(0, 1, 0), body=1, synapse=1, width=2, settle=1)])
def test_the_rule_is_its_equations(rule: Recall) -> None:
    seed = int(np.random.default_rng().integers(10**6))
    genomes, snippets, cues = example(seed, rule, genomes=2)
    said = rule.recall(genomes, rule.observe(genomes, rule.birth(genomes, 2), snippets), cues)
    for p in range(2):
        expected = slow(rule, genomes[p], snippets[p, 1], cues[p, 1, 2])
        torch.testing.assert_close(said[p, 1, 2], expected, rtol=1e-10, atol=1e-10, msg=f"seed {seed}")


def test_the_gradient_through_a_life_is_that_of_finite_differences() -> None:
    seed = int(np.random.default_rng().integers(10**6))
    genomes, snippets, cues = example(seed, RULE)

    def loss(genomes: Tensor) -> Tensor:
        said = RULE.recall(genomes, RULE.observe(genomes, RULE.birth(genomes, 2), snippets), cues)
        return (said - snippets).square().mean((1, 2, 3))

    genomes.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(genomes).sum(), genomes)
    slopes, step = torch.zeros_like(gradient), 1e-6
    for d in range(genomes.shape[1]):
        moved = step * torch.nn.functional.one_hot(torch.tensor(d), genomes.shape[1])
        slopes[:, d] = (loss(genomes.detach() + moved) - loss(genomes.detach() - moved)) / (2 * step)
    torch.testing.assert_close(gradient, slopes, rtol=1e-5, atol=1e-7, msg=f"seed {seed}")


def test_frozen_synapses_stay_as_they_were_born() -> None:
    rule = frozen(RULE)
    genomes, snippets, _ = example(1, rule)
    state: State = rule.observe(genomes, rule.birth(genomes, 2), snippets)
    assert not state["synapse"].any()
    assert state["body"].any()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match="types: expected a type from 0 on"):
        Recall(types=(0,))
    with pytest.raises(ArgumentError, match="width: expected a number >= 1; got 0"):
        Recall(width=0)
    genomes, snippets, _ = example(1, RULE)
    with pytest.raises(ShapeError, match="genomes"):
        RULE.birth(genomes[:, 1:], 1)
    with pytest.raises(ShapeError, match="snippets"):
        RULE.observe(genomes, RULE.birth(genomes, 2), snippets[..., 1:])
