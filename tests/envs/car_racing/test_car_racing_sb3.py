"""Stable-Baselines3 takes the race as it takes the stock environment."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.wrappers import GrayscaleObservation, TransformObservation
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecFrameStack, VecTransposeImage

ID = "neuroplastic_envs:neuroplastic/CarRacing-v0"
LENGTH = 40  # steps after which an episode is truncated


def complaints(env: gymnasium.Env) -> list[str]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        check_env(env)
    return [str(warning.message) for warning in warned]


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("observation", ["rgb", "grey", "paper"])
def test_it_complains_of_nothing_but_the_stocks_actions(observation, continuous):
    """Of gas and brake that are not symmetric; and that the paper's numbers in [0, 1] are no picture of bytes."""
    stocks = complaints(gymnasium.make("CarRacing-v3", continuous=continuous))
    assert len(stocks) == continuous
    ours = complaints(gymnasium.make(ID, observation=observation, continuous=continuous))
    if observation == "paper":
        (kind, limits), ours = ours[:2], ours[2:]
        assert "`dtype` is (float32)" in kind
        assert "not in [0, 255]" in limits
    assert ours == stocks


def channels_first(env: gymnasium.Env) -> gymnasium.Env:
    return TransformObservation(env, lambda seen: seen.transpose(2, 0, 1), Box(0, 1, (3, 84, 84), np.float32))


# Options of the environment, a wrapper, how many pictures are stacked, how the policy is told to take them.
WAYS = {
    "colors": ({}, None, 1, {}),
    "stacked": ({}, GrayscaleObservation, 4, {}),
    "grey": ({"observation": "grey", "continuous": False, "frame_skip": 2}, None, 2, {}),
    "paper": ({"observation": "paper"}, channels_first, 1, {"normalize_images": False}),
}


@pytest.mark.parametrize("way", WAYS)
def test_ppo_learns_and_is_evaluated(way, seed):
    options, wrapper, stacked, policy = WAYS[way]
    wrapping = {"keep_dim": True} if wrapper is GrayscaleObservation else None

    def race(number: int):
        made = {"n_envs": number, "seed": seed % 2**31, "env_kwargs": options | {"max_episode_steps": LENGTH}}
        envs = make_vec_env(ID, **made, wrapper_class=wrapper, wrapper_kwargs=wrapping)
        return VecFrameStack(envs, stacked) if stacked > 1 else envs

    chosen = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "policy_kwargs": policy}
    model = PPO("CnnPolicy", race(2), **chosen, seed=seed % 2**31, device="cpu")
    envs = model.get_env()
    assert envs is not None
    assert isinstance(envs, VecTransposeImage) == (way != "paper")
    before = [numbers.clone() for numbers in model.policy.parameters()]
    model.learn(192)
    after = list(model.policy.parameters())
    assert all(torch.isfinite(numbers).all() for numbers in after)
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert model.ep_info_buffer
    assert {told["l"] for told in model.ep_info_buffer} == {LENGTH}

    rewards, lengths = evaluate_policy(model, race(1), 2, return_episode_rewards=True)
    assert lengths == [LENGTH] * 2
    again, _ = evaluate_policy(model, race(1), 2, return_episode_rewards=True)
    assert again == rewards
    by_hand, total = race(1), 0.0
    seen = by_hand.reset()
    for _ in range(LENGTH):
        seen, reward, _, told = by_hand.step(model.predict(seen, deterministic=True)[0])
        total += reward[0]
    assert rewards[0] == pytest.approx(total, abs=1e-3)
    assert told[0]["TimeLimit.truncated"]
    assert 0 < told[0]["tiles"] < 1
