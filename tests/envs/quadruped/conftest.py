"""Fresh random input for every run, printed so that a failure can be repeated."""

import gymnasium
import neuroplastic_envs  # noqa: F401  registers the environments
import numpy as np
import pytest


@pytest.fixture
def seed() -> int:
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}")
    return seed


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def make():
    """Makes quadrupeds that are closed after the test."""
    made: list[gymnasium.Env] = []

    def make(**options) -> gymnasium.Env:
        made.append(gymnasium.make("neuroplastic/Quadruped-v0", disable_env_checker=True, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()


@pytest.fixture
def make_vec():
    """Makes vectors of quadrupeds that are closed after the test."""
    made: list[gymnasium.vector.VectorEnv] = []

    def make_vec(num_envs: int, **options) -> gymnasium.vector.VectorEnv:
        made.append(gymnasium.make_vec("neuroplastic/Quadruped-v0", num_envs=num_envs, **options))
        return made[-1]

    yield make_vec
    for env in made:
        env.close()
