"""Quadrupeds that are closed after the test."""

import gymnasium
import neuroplastic_envs  # noqa: F401  registers the environments
import pytest


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
