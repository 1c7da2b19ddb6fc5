"""Bodies that change in mid-life live together as they live one by one, those with discrete actions, too."""

from functools import partial

import numpy as np
import pytest
import torch

from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.lives import LifeRules
from neuroplastic.tasks.rollout import RolloutTask

POLICY = partial(PlasticNetwork, hidden=[5], rule=HebbianRule(normaliser="max"))


@pytest.mark.parametrize("body", ["CartPole", "Acrobot", "Pendulum"])
@pytest.mark.parametrize("grace", [0, 60])
def test_bodies_together_live_as_bodies_one_by_one(body: str, grace: int) -> None:
    together, apart = (
        RolloutTask(
            f"neuroplastic_envs:neuroplastic/Changing{body}-v0",
            POLICY,
            variations=[{"damage": "mirrored@5-40"}, {}],
            rules=LifeRules(horizon=90, grace=grace),  # in its grace a pole that has fallen goes on
            batch=3,
            measures=["steps_changed"],
            fresh=fresh,
        )
        for fresh in (False, True)
    )
    rng = np.random.default_rng()
    population = DensePopulation(torch.from_numpy(rng.normal(size=(5, together.layout.size)).astype(np.float32)))
    seeds = rng.integers(2**31, size=(5, 2))
    print("population and seeds", population.rows(range(5)), seeds)
    one, other = (task.evaluate(population, range(5), seeds) for task in (together, apart))
    assert type(together._lives(0).bodies) is not type(apart._lives(0).bodies)
    assert not one.failures
    np.testing.assert_array_equal(one.fitness, other.fitness)
    np.testing.assert_array_equal(one.steps, other.steps)
    np.testing.assert_array_equal(one.measures["steps_changed"], other.measures["steps_changed"])
    together.close(), apart.close()
