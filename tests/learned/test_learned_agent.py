"""BLUR that lives in an environment."""

from functools import partial

import numpy as np
import pytest
import torch

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.learned.agent import LearnedPolicy
from neuroplastic.learned.blur import Blur
from neuroplastic.noise import episode_seeds
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.rollout import RolloutTask

RULE = Blur(3, synapse_norm=True, activation="tanh", backward_activation="tanh")


def lives(number: int, seed: int, **options) -> tuple[LearnedPolicy, torch.Tensor]:
    policy = LearnedPolicy(4, 2, (5,), rule=RULE, **options)
    genomes = torch.stack([RULE.drawn(seed + n) for n in range(number)]).float()
    policy.birth(genomes, range(seed, seed + number))
    return policy, genomes


def steps(number: int, count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(count, number, 4, generator=source), torch.randn(count, number, generator=source)


@pytest.mark.parametrize("told", ["reward", "reward-prediction-error"])
def test_a_life_is_the_rules_own_methods(told: str) -> None:
    seed, number = int(np.random.default_rng().integers(10**6)), 3
    policy, genomes = lives(number, seed, told=told, mean_rate=0.2, dtype=torch.float64)
    observed, paid = (part.double() for part in steps(number, 6, seed))
    said = torch.stack([policy.act(observed[t], paid[t], range(number)) for t in range(6)])
    other = LearnedPolicy(4, 2, (5,), rule=RULE, dtype=torch.float64)
    for row in range(number):
        other.birth(genomes[row : row + 1], [seed + row])
        genome, synapses, mean = genomes[row : row + 1].double(), dict(other._synapses), 0.0
        before: list[torch.Tensor] = []
        for t in range(6):
            if before:
                reward = float(paid[t, row])
                m = reward - mean if told == "reward-prediction-error" else reward
                mean += 0.2 * (reward - mean)
                synapses = RULE.change(genome, synapses, before, m * before[-1][:, :, 0])
            before = RULE.forward(genome, synapses, observed[t, row][None, None, None])
            torch.testing.assert_close(said[t, row], before[-1][0, 0, 0, 0], rtol=1e-9, atol=1e-9, msg=f"seed {seed}")


def test_lives_do_not_see_each_other() -> None:
    """Bit for bit: whatever else lives, and whenever it was born."""
    seed, number = int(np.random.default_rng().integers(10**6)), 6
    policy, genomes = lives(number, seed)
    observed, paid = steps(number, 8, seed)
    together = torch.stack([policy.act(observed[t], paid[t], range(number)) for t in range(8)])
    for rows in ([4], [1, 5], [5, 0, 2]):
        policy.birth(genomes[rows].flip(1), [9] * len(rows), rows)
        policy.birth(genomes[rows], [seed + row for row in rows], rows)
        for t in range(8):
            said = policy.act(observed[t, rows], paid[t, rows], rows)
            assert torch.equal(said, together[t, rows]), f"seed {seed}"


def test_synapses_at_birth() -> None:
    for initial, same in (("life", False), ("shared", True)):
        policy, genomes = lives(2, 3, initial=initial)
        first = policy.weights()
        assert {name: tuple(weights.shape) for name, weights in first.items()} == {
            "layer0": (2, 5, 4),
            "layer1": (2, 2, 5),
        }
        assert torch.equal(first["layer0"][0], first["layer0"][1]) == same
        policy.birth(genomes, [3, 4])
        assert torch.equal(policy.weights()["layer0"], first["layer0"])
        policy.birth(genomes, [5, 6])
        assert torch.equal(policy.weights()["layer0"], first["layer0"]) == same
    given = genomes.clone()
    policy.birth(genomes[:1] + 1, [7], [0])
    assert torch.equal(genomes, given)


def test_arrays_are_answered_by_arrays() -> None:
    policy, _ = lives(2, 1)
    said = policy.act(np.zeros((2, 4), np.float32), np.zeros(2, np.float32), [0, 1])
    assert isinstance(said, np.ndarray)
    assert said.shape == (2, 2)


@pytest.mark.parametrize("env", ["CartPole-v1", "Acrobot-v1"])
def test_it_lives_in_a_rollout(env: str) -> None:
    seed = int(np.random.default_rng().integers(10**6))
    policy = partial(LearnedPolicy, hidden=(6,), rule=RULE, initial="shared")
    task = RolloutTask(env, policy, batch=4, rules=LifeRules(horizon=40))
    members = DensePopulation(torch.stack([RULE.drawn(seed + n) for n in range(5)]).float())
    seeds = episode_seeds(seed, "train", 0, 2)
    together = task.evaluate(members, range(5), np.broadcast_to(seeds, (5, 2)))
    assert together.steps.min() > 0
    alone = task.evaluate(members, [3], seeds[None])
    np.testing.assert_array_equal(alone.fitness[0], together.fitness[3], err_msg=f"seed {seed}")


def test_what_cannot_be_is_refused() -> None:
    policy, genomes = lives(2, 1)
    with pytest.raises(ShapeError, match="genomes"):
        policy.birth(genomes[:, 1:], [1, 2])
    with pytest.raises(ShapeError, match="seeds"):
        policy.birth(genomes, [1])
    with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 2"):
        policy.act(torch.zeros(1, 4), torch.zeros(1), [2])
    with pytest.raises(ShapeError, match="observations"):
        policy.act(torch.zeros(2, 3), torch.zeros(2), [0, 1])
    with pytest.raises(UnknownNameError, match="told"):
        LearnedPolicy(4, 2, rule=RULE, told="label")
    with pytest.raises(UnknownNameError, match="initial"):
        LearnedPolicy(4, 2, rule=RULE, initial="evolved")
    with pytest.raises(ArgumentError, match="hidden: expected a number >= 1; got 0"):
        LearnedPolicy(4, 2, (0,), rule=RULE)
