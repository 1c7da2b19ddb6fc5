"""An episode is the same bit for bit, whatever ran before it in the process."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import gymnasium
import neuroplastic_envs  # noqa: F401  registers the environments
import numpy as np
import pytest

DAMAGES = (
    None,
    "front_right",
    "back_left:lock",
    "front_left:motor_off",
    "back_right:shorten=0.6+front_left:lock",
    "front_left@20-60+front_left:lock@50-90+back_right:motor_off@80",
    "back_left:lock@3",
)


def quadruped(**options) -> gymnasium.Env:
    return gymnasium.make("neuroplastic/Quadruped-v0", disable_env_checker=True, terminate=False, **options)


def episode(env: gymnasium.Env, seed: int, damage: str | None, steps: int) -> bytes:
    """All observations and rewards, to the last bit."""
    rng = np.random.default_rng(seed)
    strength = rng.choice([0.0, 0.3, 1.0])
    observation, _ = env.reset(seed=seed, options={"damage": damage})
    record = [observation.tobytes()]
    for _ in range(steps):
        observation, reward, *_, info = env.step(strength * rng.uniform(-1, 1, 8))
        record += [observation.tobytes(), np.float64(reward).tobytes(), np.float64(info["distance"]).tobytes()]
    return b"".join(record)


def first_episode(seed: int, damage: str | None, steps: int) -> bytes:
    """As the first thing that a process does."""
    return episode(quadruped(damage=damage, reward="full"), seed, damage, steps)


def test_the_same_in_a_fresh_process_and_after_anything_else(rng):
    wanted = [(int(rng.integers(2**32)), damage, 200) for damage in DAMAGES]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, max_tasks_per_child=1) as fresh:
        expected = list(fresh.map(first_episode, *zip(*wanted, strict=True)))

    env = quadruped(reward="full", render_mode="rgb_array", width=8, height=8)
    others = []
    for _ in range(24):
        match rng.integers(4):
            case 0:  # another world
                others.append(quadruped(damage=str(rng.choice(DAMAGES[1:]))))
                episode(others[-1], 0, None, 5)
            case 1:  # an episode that is given up, its world drawn
                episode(env, int(rng.integers(2**32)), DAMAGES[rng.integers(len(DAMAGES))], int(rng.integers(40)))
                env.render()
            case 2 if others:
                others.pop().close()
        number = rng.integers(len(wanted))
        assert episode(env, *wanted[number]) == expected[number], wanted[number]


def test_worlds_do_not_mix(rng):
    """Two environments stepped in turn live as each alone."""
    seeds = rng.integers(2**32, size=2).tolist()
    envs = [quadruped(), quadruped(damage="front_right")]
    actions = rng.uniform(-1, 1, (100, 8))

    def life(env: gymnasium.Env, seed: int):
        yield env.reset(seed=seed)[0]
        for action in actions:
            yield env.step(action)[0]

    alone = [list(life(env, seed)) for env, seed in zip(envs, seeds, strict=True)]
    together = zip(*(life(env, seed) for env, seed in zip(envs, seeds, strict=True)), strict=True)
    for step, pair in enumerate(together):
        for which in (0, 1):
            np.testing.assert_array_equal(pair[which], alone[which][step])


def test_seeds_matter(rng):
    env = quadruped()
    one, two = (env.reset(seed=int(seed))[0] for seed in rng.choice(2**32, 2, replace=False))
    assert not np.array_equal(one, two)
    assert np.abs(one[8:24:2] - two[8:24:2]).max() == pytest.approx(0.1, abs=0.2)
