"""Steps to recover, beside a loop written out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, OrderError
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.tasks.bodies import SeparateBodies
from neuroplastic.tasks.crews import Crew, take_turns
from neuroplastic.tasks.lives import LifeRules, Lives
from neuroplastic.tasks.recovery import Recovery


def written_out(rewards: list[float], moment: int, window: int, cut_short: bool) -> float:
    if len(rewards) <= moment:
        return math.nan

    def paid(start: int) -> float | None:
        """The mean of a window, or None where it cannot be had."""
        total = 0.0
        for step in range(start, start + window):
            if step < len(rewards):
                total += rewards[step]
            elif cut_short:
                return None
        return total / window

    windows = []
    for start in range(moment, len(rewards)):
        rate = paid(start)
        if rate is None:
            break
        windows.append(rate)
    if not windows:
        return math.nan
    before = rewards[max(0, moment - window) : moment]
    rate = sum(before) / len(before)
    goal = 0.9 * rate if rate >= 0 else min(1.1 * rate, rate - 0.1 * (rate - min(windows)))
    lost = False
    for start, value in enumerate(windows):
        if not lost and start > window:
            break
        if not lost and value < goal:
            lost = True
        elif lost and value >= goal:
            return start
    return math.inf if lost else 0


@given(
    level=st.sampled_from([-2.0, -0.5, 0.0, 0.5, 3.0]),
    noise=st.sampled_from([0.0, 0.3, 2.0]),
    dip=st.sampled_from([0.0, 1.0, -4.0]),
    length=st.integers(1, 80),
    moment=st.integers(1, 40),
    window=st.integers(1, 12),
    cut_short=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_as_written_out(
    level: float, noise: float, dip: float, length: int, moment: int, window: int, cut_short: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rewards = level + noise * rng.normal(size=length)
    rewards[moment : moment + rng.integers(30)] += dip
    rewards = rewards.round(3) + 1e-5  # no window is at its goal but for rounding
    found = Recovery(moment, window).steps(rewards, cut_short)
    np.testing.assert_equal(found, written_out(rewards.tolist(), moment, window, cut_short))


PAID, LOST = [1.0] * 40, [0.0] * 7


@pytest.mark.parametrize(
    ("rewards", "cut_short", "steps"),
    [
        (PAID + PAID, True, 0),
        (PAID + LOST + PAID, True, 6),  # the window that begins there pays 9 of 10
        (PAID + [1.0] * 5 + LOST + PAID, True, 11),  # it may take a while until the loss is felt
        (PAID + PAID + LOST + PAID, True, 0),  # but what comes that late has other reasons
        (PAID + LOST, True, math.nan),  # no whole window was seen
        (PAID + LOST, False, math.inf),  # it fell
        (PAID + [1.0] * 3, False, math.inf),  # it fell, although each of its steps was paid
        (PAID, True, math.nan),  # it did not live to see it
        ([-1.0] * 43, False, 0),  # costs that ended: it is there
        ([-1.0] * 40 + [-9.0] * 7 + [-1.5] * 30, True, 7),  # 90 % of the way back from -9 to -1 is -1.8
        ([-1.0] * 80, True, 0),
        ([-1.0] * 40 + [-1.05] * 40, True, 0),
    ],
)
def test_cases(rewards: list[float], cut_short: bool, steps: float) -> None:
    np.testing.assert_equal(Recovery(40, 10).steps(np.array(rewards), cut_short), steps)


def test_refused() -> None:
    with pytest.raises(ArgumentError, match="moment: expected a number >= 1; got 0"):
        Recovery(0, 5)
    with pytest.raises(ArgumentError, match="window: expected a number >= 1; got 0"):
        Recovery(5, 0)


@pytest.mark.parametrize(("env", "steps", "idle"), [("Pendulum-v1", 1300, 3), ("CartPole-v1", 50, 0)])
def test_a_diary_holds_what_was_paid_however_long_the_life(env: str, steps: int, idle: int) -> None:
    lives = Lives(SeparateBodies(env, 2, {"max_episode_steps": steps}), LifeRules(idle=idle), diary=True)
    policy = PlasticNetwork(lives.bodies.shape, lives.bodies.outputs, rule=HebbianRule(normaliser="max"))
    genomes = torch.randn(5, policy.layout.size)
    ended = 0
    crew = Crew(lives, policy)
    for _, _, row in take_turns([crew], lambda trials: genomes[torch.as_tensor(trials)], np.arange(5)):
        rewards = lives.rewards(row)
        assert len(rewards) == lives.steps[row] - idle
        assert math.isclose(sum(rewards), lives.fitness[row], rel_tol=1e-12)
        assert lives.steps[row] == steps if lives.cut_short(row) else lives.bodies.terminated[row]
        ended += 1
    assert ended == 5
    with pytest.raises(OrderError, match="rewards: expected lives with a diary"):
        Lives(lives.bodies, LifeRules()).rewards(0)
