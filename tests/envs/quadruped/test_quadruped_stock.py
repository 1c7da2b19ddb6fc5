"""Undamaged, the quadruped is the stock AntBulletEnv-v0."""

import gymnasium
import numpy as np
import pybullet_envs_gymnasium  # noqa: F401  registers AntBulletEnv-v0
import pytest
from gymnasium.utils.seeding import np_random

STEPS = 500


@pytest.fixture(scope="module")
def stock():
    env = gymnasium.make("AntBulletEnv-v0", disable_env_checker=True)
    env.reset(seed=0)  # its first episode differs: the floor becomes one of the robot's parts afterwards
    yield env.unwrapped
    env.close()


def vigorous(rng):
    """Every step another torque, often more than the motors have."""
    return rng.uniform(-1.5, 1.5, (STEPS, 8)).astype(np.float32)


def gentle(rng):
    """Too weak to stand: the torso sinks to the floor."""
    return rng.uniform(-0.05, 0.05, (STEPS, 8)).astype(np.float32)


def rhythmic(rng):
    """A gait; in float64, which the stock environment takes as it is."""
    steps = np.arange(STEPS)[:, None]
    return np.sin(steps * rng.uniform(0.05, 0.5, 8) + rng.uniform(0, 2 * np.pi, 8)) * rng.uniform(0.2, 1, 8)


@pytest.mark.parametrize("gait", [vigorous, gentle, rhythmic])
@pytest.mark.parametrize("repetition", range(2))
def test_observations_rewards_and_termination_are_the_stock_environments(stock, make, seed, rng, gait, repetition):
    full, progress = make(reward="full").unwrapped, make(reward="progress").unwrapped
    expected, _ = stock.reset(seed=seed)
    for env in (full, progress):
        np.testing.assert_array_equal(env.reset(seed=seed)[0], expected)

    ends = []
    for action in gait(rng):
        expected, expected_reward, expected_end, _, _ = stock.step(action)
        observation, reward, end, _, info = full.step(action)
        # one float32 unit: both compute in float64, and round
        np.testing.assert_array_max_ulp(observation, expected, maxulp=1)
        # progress is a difference of distances of 1000 m, a unit of which is 1e-13 m, over 0.0165 s
        assert reward == pytest.approx(expected_reward, rel=0, abs=1e-10)
        parts = [info[f"reward_{part}"] for part in ("alive", "progress", "electricity", "joints_at_limit")]
        assert [*parts, 0.0] == pytest.approx(stock.rewards, rel=0, abs=1e-10)
        assert end == expected_end
        assert progress.step(action)[1] == pytest.approx(stock.rewards[1], rel=0, abs=1e-10)
        ends.append(end)
    assert info["distance"] == pytest.approx(stock.robot.body_real_xyz[0], abs=1e-12)
    if gait is gentle:
        assert set(ends) == {False, True}


def test_spaces(stock, make):
    env = make()
    assert env.action_space == stock.action_space
    assert env.observation_space.shape == stock.observation_space.shape
    assert env.observation_space.dtype == stock.observation_space.dtype
    assert gymnasium.spec("neuroplastic/Quadruped-v0").max_episode_steps == 1000


def test_given_joints_start_as_the_stock_environment_with_the_same_joints(stock, make, seed):
    expected, _ = stock.reset(seed=seed)
    joints = [joint.get_position() for joint in stock.ordered_joints]
    np.testing.assert_allclose(joints, np_random(seed)[0].uniform(-0.1, 0.1, 8), rtol=0, atol=1e-12)
    observation, _ = make().reset(options={"joints": joints})
    np.testing.assert_array_equal(observation, expected)
