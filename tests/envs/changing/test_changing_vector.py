"""Many bodies in lockstep: each row is a single one, whatever the others do."""

import re

import gymnasium
import neuroplastic_envs  # noqa: F401  registers the environments
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from neuroplastic_envs.changing.bodies import ChangingAcrobotEnv, ChangingCartPoleEnv, ChangingPendulumEnv
from neuroplastic_envs.changing.vector import (
    ChangingAcrobotVectorEnv,
    ChangingCartPoleVectorEnv,
    ChangingPendulumVectorEnv,
)

ROWS, LIMIT = 3, 40
KINDS = {
    "CartPole": (ChangingCartPoleEnv, ChangingCartPoleVectorEnv, {}),
    "CartPole of Sutton and Barto": (ChangingCartPoleEnv, ChangingCartPoleVectorEnv, {"sutton_barto_reward": True}),
    "Acrobot": (ChangingAcrobotEnv, ChangingAcrobotVectorEnv, {}),
    "Pendulum": (ChangingPendulumEnv, ChangingPendulumVectorEnv, {}),
    "Pendulum on the moon": (ChangingPendulumEnv, ChangingPendulumVectorEnv, {"g": 1.62}),
}


class Reference:
    """What the rows should be: single environments, and the rules of the vector's docstring."""

    def __init__(self, single, options):
        self.envs = [single(**options) for _ in range(ROWS)]
        self.seen = np.zeros((ROWS, *self.envs[0].observation_space.shape), np.float32)
        self.active, self.terminated, self.truncated, self.changed = (np.zeros(ROWS, np.bool_) for _ in range(4))
        self.steps, self.steps_changed = np.zeros(ROWS, np.int64), np.zeros(ROWS, np.int64)

    def reset(self, mask, seeds, options):
        for row in np.flatnonzero(mask):
            own = options | {"damage": options["damage"][row]}
            self.seen[row], info = self.envs[row].reset(seed=seeds[row], options=own)
            self.changed[row], self.steps_changed[row] = info["changed"], info["steps_changed"]
            self.active[row], self.steps[row] = True, 0
            self.terminated[row] = self.truncated[row] = False

    def step(self, actions):
        rewards = np.zeros(ROWS)
        for row in np.flatnonzero(self.active):
            self.seen[row], rewards[row], self.terminated[row], _, info = self.envs[row].step(actions[row])
            self.changed[row], self.steps_changed[row] = info["changed"], info["steps_changed"]
            self.steps[row] += 1
            self.truncated[row] = self.steps[row] >= LIMIT
            self.active[row] = not (self.terminated[row] or self.truncated[row])
        return self.seen, rewards, self.terminated, self.truncated, self.changed, self.steps_changed


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def pair(request):
    """The vector and its reference, with whatever histories the examples have given them: they must not matter."""
    single, vector, options = request.param
    return vector(ROWS, max_episode_steps=LIMIT, **options), Reference(single, options)


masks = st.lists(st.booleans(), min_size=ROWS, max_size=ROWS).map(lambda mask: np.array(mask, np.bool_))
seeds = st.integers(0, 2**32 - 1)
events = st.one_of(
    st.tuples(st.just("reset"), masks, st.lists(st.none() | seeds, min_size=ROWS, max_size=ROWS), seeds),
    st.tuples(st.just("step"), seeds, st.sampled_from([np.float32, np.float64]), st.integers(1, 20)),
    st.tuples(st.just("stop"), masks),
    st.tuples(st.just("go on"), masks),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(seeds, min_size=ROWS, max_size=ROWS), seeds, st.lists(events, max_size=12))
def test_every_row_is_a_single_one_whatever_the_others_do(pair, first, choice, happens):
    vector, reference = pair
    kinds = vector.single.metadata["damages"]
    texts = [None, *(kind + when for kind in kinds for when in ("", "@3", "@2-30"))]
    bounds = [{}, dict.fromkeys(vector.single.reset_options, 0.04)]
    for event in [("reset", np.ones(ROWS, np.bool_), first, choice), *happens]:
        match event:
            case "reset", mask, some_seeds, choice:
                rng = np.random.default_rng(choice)
                options = {"damage": [texts[i] for i in rng.integers(len(texts), size=ROWS)], **bounds[choice % 2]}
                observations, infos = vector.reset(seed=some_seeds, options=options | {"reset_mask": mask})
                reference.reset(mask, some_seeds, options)
                np.testing.assert_array_equal(observations, reference.seen, strict=True)
                np.testing.assert_array_equal(infos["changed"], reference.changed, strict=True)
            case "step", seed, dtype, times:
                rng, space = np.random.default_rng(seed), vector.single_action_space
                for _ in range(times):
                    if isinstance(space, gymnasium.spaces.Discrete):
                        actions = rng.integers(space.n, size=ROWS)
                    else:
                        actions = rng.uniform(-3, 3, (ROWS, 1)).astype(dtype)
                    *got, infos = vector.step(actions)
                    expected = reference.step(actions)
                    for one, other in zip([*got, infos["changed"], infos["steps_changed"]], expected, strict=True):
                        np.testing.assert_array_equal(one, other, strict=True)
            case ("stop" | "go on") as what, mask:
                vector.active[mask] = reference.active[mask] = what == "go on"
        np.testing.assert_array_equal(vector.active, reference.active)


def test_long_lives_are_the_same(pair, rng):
    """Enough steps for what rounds differently only once in a thousand."""
    vector, reference = pair
    options = {"damage": [f"{vector.single.metadata['damages'][-1]}@500", None, "mirrored@900"]}
    first = rng.integers(2**32, size=ROWS).tolist()
    vector.reset(seed=first, options=options)
    reference.reset(np.ones(ROWS, np.bool_), first, options)
    vector.action_space.seed(first[0])
    for _ in range(1500):
        vector.active[:] = reference.active[:] = True  # whatever has ended goes on
        actions = vector.action_space.sample()
        for one, other in zip(vector.step(actions)[:3], reference.step(actions)[:3], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("name", "steps"), [("CartPole", 500), ("Acrobot", 500), ("Pendulum", 200)])
@pytest.mark.filterwarnings("error")
def test_gymnasium_makes_it_and_it_truncates_itself(name, steps):
    made = f"neuroplastic_envs:neuroplastic/Changing{name}-v0"
    env = gymnasium.make_vec(made, num_envs=2, vectorization_mode="vector_entry_point")
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    env.reset(seed=0)
    for step in range(1, steps + 1):
        env.unwrapped.active[:] = True  # poles fall
        *_, truncated, _ = env.step(env.action_space.sample())
        assert truncated.tolist() == [step >= steps] * 2
    assert not env.unwrapped.active.any()
    endless = KINDS[name][1](1)
    endless.reset()
    for _ in range(600):
        endless.active[:] = True
        *_, truncated, _ = endless.step(endless.action_space.sample())
    assert not truncated.any()


def test_damage_is_one_for_all_or_one_for_each():
    env = ChangingCartPoleVectorEnv(ROWS, damage=["weak", None, "mirrored@1"])
    actions = np.ones(ROWS, np.int64)
    for damage, told in ((None, None), ("long@1", [1, 1, 1])):
        env.reset(options={} if damage is None else {"damage": damage})
        env.step(actions)
        assert env.step(actions)[-1]["steps_changed"].tolist() == (told or [2, 0, 1])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_envs": 0}, "num_envs: expected a whole number of rows >= 1; got 0"),
        ({"max_episode_steps": 0}, "max_episode_steps: expected a whole number of steps >= 1; got 0"),
        ({"render_mode": "rgb_array"}, "render_mode: expected None"),
        ({"damage": "broken"}, "damage: expected a kind, one of mirrored, weak, long; got 'broken'"),
        ({"damage": ["weak"]}, "damage: expected one, or one for each of 2 rows; got ['weak']"),
        ({"damage": ["weak", 3]}, "got 3"),
        ({"damage": 3}, "one for each of 2 rows; got 3"),
    ],
)
def test_bad_arguments_are_named(options, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        ChangingCartPoleVectorEnv(**{"num_envs": 2, **options})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"options": {"damages": "weak"}}, "options: expected 'reset_mask' or 'damage' or 'low' or 'high'"),
        ({"options": {"reset_mask": [True] * ROWS}}, "options['reset_mask']: expected an array of 3 bool"),
        ({"options": {"damage": [None, None, "left"]}}, "damage: expected a kind"),
        ({"options": {"low": 1.0, "high": -1.0}}, "Lower bound (1.0)"),
        ({"seed": [1, 2]}, "seed: expected one, or one for each of 3 rows; got [1, 2]"),
    ],
)
def test_bad_resets_are_named_before_anything_moves(seed, arguments, told):
    env, untouched = (ChangingCartPoleVectorEnv(ROWS, damage="weak@1-9") for _ in range(2))
    for each in (env, untouched):
        each.reset(seed=seed)
    with pytest.raises(ValueError, match=re.escape(told)):
        env.reset(**arguments)
    for _ in range(2):
        for one, other in zip(*(each.step(np.ones(ROWS, np.int64))[:4] for each in (env, untouched)), strict=True):
            np.testing.assert_array_equal(one, other)
        for each in (env, untouched):  # and the next life is the same
            each.reset()


@pytest.mark.parametrize(
    ("name", "actions", "told"),
    [
        ("CartPole", [0, 1, 2], "expected 0 to 1 in row 2; got 2"),
        ("CartPole", [0, -1, 2], "expected 0 to 1 in row 1; got -1"),
        ("CartPole", [0.0, 1.0, 1.0], "expected 3 whole numbers; got [0.0, 1.0, 1.0]"),
        ("Acrobot", [0, 1], "expected 3 whole numbers; got [0, 1]"),
        ("Acrobot", [[0], [1, 2], [1]], "expected 3 whole numbers"),
        ("Acrobot", None, "expected 3 whole numbers; got None"),
        ("Pendulum", np.zeros(3), "expected 3 × 1 finite numbers"),
        ("Pendulum", [[0.0], [np.nan], [1.0]], "expected 1 finite numbers in row 1; got [nan]"),
    ],
)
def test_bad_actions_are_named_before_anything_moves(seed, name, actions, told):
    env, untouched = KINDS[name][1](ROWS), KINDS[name][1](ROWS)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(actions)
    for each in (env, untouched):
        each.reset(seed=seed)
    with pytest.raises(ValueError, match=re.escape(f"actions: {told}")):
        env.step(actions)
    asked = env.action_space.sample()
    for one, other in zip(env.step(asked)[:4], untouched.step(asked)[:4], strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_returned_does_not_change_later():
    env = ChangingCartPoleVectorEnv(ROWS, damage="weak@1")
    first, infos = env.reset(seed=0)
    returned = [first, *infos.values()]
    kept = [array.copy() for array in returned]
    for _ in range(3):
        *arrays, infos = env.step(env.action_space.sample())
        returned += [*arrays, *infos.values()]
        kept += [array.copy() for array in (*arrays, *infos.values())]
    for now, then in zip(returned, kept, strict=True):
        np.testing.assert_array_equal(now, then)
