"""Actions that cannot be used: the error says what was expected and what came, nothing moves, and all cars go on."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from neuroplastic_envs.car_racing.env import CarRacingEnv
from neuroplastic_envs.car_racing.interface import STEERING
from neuroplastic_envs.car_racing.vector import CarRacingVectorEnv

NAN, INF = np.nan, np.inf
GOOD = [0.1, 0.2, 0.0]
RANGE = f"expected {re.escape(STEERING)}"

# Continuous or not, what the error says, and what there may be instead of an action.
NO_ACTIONS = {
    True: {
        "expected 3 finite numbers; got": [
            *([0.1, NAN, 0], [INF, 0, 0], [0, 0, -INF], [0, 0, 10**400]),
            *(None, 1, [0, 0], [0] * 4, [[0, 0, 0]], [0, [0], 0], {0: 1}, object()),
            *("abc", ["0", "1", "0"], [b"0"] * 3, [0j, 0, 0], [None, 0, 0]),
            np.zeros(3, "datetime64[ns]"),
        ],
        f"{RANGE}; got": [
            *([-1.1, 0, 0], [1.1, 0, 0], [0, -0.1, 0], [0, 1.1, 0], [0, 0, -0.1], [0, 0, 1.1]),
            *([1e300, 0, 0], [2**63, 0, 0]),
        ],
    },
    False: {
        "expected a whole number from 0 to 4; got": [
            *(-1, 5, 10**30, np.uint8(200), NAN, INF),
            *(1.0, np.float32(1), True, np.True_, "1", 1j, None, object()),
            *([1], np.array([1]), [0, 0, 0], [0, [1]], np.zeros((2, 1), int)),
        ]
    },
}
# The same for three cars.
NO_BATCHES = {
    True: {
        "expected 3 × 3 finite numbers; got": [
            *(None, 0, "abc", object(), GOOD, [GOOD] * 2, [GOOD] * 4, [[GOOD] * 3], np.zeros((3, 2))),
            [GOOD, GOOD, [0, 0]],
        ],
        "expected 3 finite numbers in row 2; got": [
            [GOOD, GOOD, wrong] for wrong in ([0, NAN, 0], [-INF, 0, 0], [0, 0, None])
        ],
        "expected 3 finite numbers in row 0; got": [  # numpy makes all of them words, or complex
            [GOOD, GOOD, wrong] for wrong in ([0, "0", 0], [b"0", 0, 0], [0, 0, 1j])
        ],
        f"{RANGE} in row 1; got \\[0.0, 0.0, 1.1\\]": [[GOOD, [0, 0, 1.1], [-7, 0, 0]]],
        f"{RANGE} in row 0; got \\[-1.5": [[[-1.5, 0, 0], GOOD, GOOD]],
    },
    False: {
        "expected 3 whole numbers; got": [
            *(None, 0, [0], [0] * 4, [[0, 0, 0]], np.zeros((3, 1), int), "012", object()),
            *([0, 1, [2]], [0.0, 1.0, 2.0], [0, 1, NAN], [True] * 3, ["0"] * 3, [10**30] * 3),
        ],
        "expected 0 to 4 in row 1; got 5": [[0, 5, -1]],
        "expected 0 to 4 in row 2; got -1": [[0, 1, -1]],
        "expected 0 to 4 in row 2; got 18446744073709551615": [np.array([0, 0, 2**64 - 1], np.uint64)],
    },
}


def listed(table: dict[str, list]) -> list[tuple[str, Any]]:
    return [(message, wrong) for message, many in table.items() for wrong in many]


def assert_same(one: tuple, other: tuple) -> None:
    np.testing.assert_equal(one, other)


@pytest.mark.parametrize("continuous", [True, False])
def test_a_car_goes_on_as_if_nothing_had_been(continuous, rng):
    seed = int(rng.integers(2**31))
    env, undisturbed = (CarRacingEnv(continuous=continuous) for _ in range(2))
    assert_same(env.reset(seed=seed), undisturbed.reset(seed=seed))
    for message, wrong in listed(NO_ACTIONS[continuous]):
        with pytest.raises(ValueError, match=f"^action: {message}"):
            env.step(wrong)
        action = rng.uniform([-1, 0, 0], 1) if continuous else rng.integers(5)
        assert_same(env.step(action), undisturbed.step(action))


@pytest.mark.parametrize("continuous", [True, False])
def test_cars_go_on_as_if_nothing_had_been(continuous, rng):
    seed = int(rng.integers(2**31))
    steps = len(listed(NO_BATCHES[continuous]))
    env, undisturbed = (CarRacingVectorEnv(3, continuous=continuous, max_episode_steps=steps) for _ in range(2))
    assert_same(env.reset(seed=seed), undisturbed.reset(seed=seed))
    for message, wrong in listed(NO_BATCHES[continuous]):
        with pytest.raises(ValueError, match=f"^actions: {message}"):
            env.step(wrong)
        assert env.active.all()
        actions = rng.uniform([-1, 0, 0], 1, (3, 3)) if continuous else rng.integers(5, size=3)
        assert_same(env.step(actions), undisturbed.step(actions))
    assert not env.active.any()  # what did not move has not aged


def wrong(place: int) -> some.SearchStrategy[float]:
    """Any number that is no steering, or no gas or brake."""
    return some.floats().filter(lambda number: not (-1 if place == 0 else 0) <= number <= 1)


@settings(max_examples=60, deadline=None)
@given(
    seed=some.integers(0, 2**31 - 1),
    row=some.integers(0, 3),
    bad=some.integers(0, 2).flatmap(lambda place: some.tuples(some.just(place), wrong(place))),
)
@example(seed=0, row=0, bad=(0, 1 + 2**-52))
@example(seed=1, row=3, bad=(1, -5e-324))
def test_the_others_go_on_without_a_car_that_errs(seed, row, bad):
    """The error names its row; with that one left out, the very same actions move the others as ever."""
    env, undisturbed = CarRacingVectorEnv(4), CarRacingVectorEnv(4)
    assert_same(env.reset(seed=seed), undisturbed.reset(seed=seed))
    actions = np.random.default_rng(seed).uniform([-1, 0, 0], 1, (4, 3))
    expected = undisturbed.step(actions)
    place, number = bad
    actions[row, place] = number
    with pytest.raises(ValueError, match=rf"^actions: expected .* in row {row}; got .*{re.escape(repr(number))}"):
        env.step(actions)
    env.active[row] = False
    seen, rewards, *_, infos = env.step(actions)
    others = np.arange(4) != row
    assert_same((seen[others], rewards[others]), (expected[0][others], expected[1][others]))
    assert_same(infos["tiles"][others], expected[-1]["tiles"][others])
    assert rewards[row] == 0
