"""Many quadrupeds in lockstep: each row is a single one, whatever the others do."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from neuroplastic_envs.quadruped.bullet import pybullet
from neuroplastic_envs.quadruped.env import QuadrupedEnv
from neuroplastic_envs.quadruped.vector import QuadrupedVectorEnv

ROWS, LIMIT = 3, 12
INFOS = ["distance", "reward_alive", "reward_progress", "reward_electricity", "reward_joints_at_limit"]
DAMAGES = (None, "front_right", "back_left:lock", "front_left:motor_off@3", "back_right:shorten=0.5@2-6")
REST = np.zeros((ROWS, 8), np.float32)


class Reference:
    """What the rows should be: single environments, and the rules of the vector's docstring."""

    def __init__(self) -> None:
        self.envs = [QuadrupedEnv(reward="full") for _ in range(ROWS)]
        self.active = [False] * ROWS
        self.steps = [0] * ROWS
        self.seen = [np.zeros(28, np.float32)] * ROWS
        self.distance = [0.0] * ROWS
        self.terminated, self.truncated = [False] * ROWS, [False] * ROWS

    def reset(self, mask, seeds, damages) -> None:
        for row in np.flatnonzero(mask):
            self.seen[row], info = self.envs[row].reset(seed=seeds[row], options={"damage": damages[row]})
            self.distance[row] = info["distance"]
            self.active[row], self.steps[row] = True, 0
            self.terminated[row] = self.truncated[row] = False

    def step(self, actions):
        rewards, infos = np.zeros(ROWS), {name: np.zeros(ROWS) for name in INFOS}
        for row in np.flatnonzero(self.active):
            self.seen[row], rewards[row], self.terminated[row], _, info = self.envs[row].step(actions[row])
            self.steps[row] += 1
            self.truncated[row] = self.steps[row] >= LIMIT
            self.active[row] = not (self.terminated[row] or self.truncated[row])
            self.distance[row] = info["distance"]
            for name in INFOS:
                infos[name][row] = info[name]
        infos["distance"] = np.array(self.distance)
        return np.array(self.seen), rewards, np.array(self.terminated), np.array(self.truncated), infos


@pytest.fixture(scope="module")
def pair():
    """The vector and its reference, with whatever histories the examples have given them: they must not matter."""
    vector, reference = QuadrupedVectorEnv(ROWS, reward="full", max_episode_steps=LIMIT), Reference()
    yield vector, reference
    for env in (vector, *reference.envs):
        env.close()


masks = st.lists(st.booleans(), min_size=ROWS, max_size=ROWS).map(lambda mask: np.array(mask, np.bool_))
events = st.one_of(
    st.tuples(
        st.just("reset"),
        masks,
        st.lists(st.none() | st.integers(0, 2**32 - 1), min_size=ROWS, max_size=ROWS),
        st.lists(st.sampled_from(DAMAGES), min_size=ROWS, max_size=ROWS),
    ),
    st.tuples(
        st.just("step"),
        st.integers(0, 2**32 - 1),
        st.sampled_from([np.float32, np.float64]),
        st.sampled_from("CF"),
        st.integers(1, 8),
    ),
    st.tuples(st.just("stop"), masks),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=ROWS, max_size=ROWS), st.lists(events, max_size=12))
def test_every_row_is_a_single_one_whatever_the_others_do(pair, seeds, happens):
    vector, reference = pair
    for event in [("reset", np.ones(ROWS, np.bool_), seeds, DAMAGES[:ROWS]), *happens]:
        match event:
            case "reset", mask, some_seeds, damages:
                observations, infos = vector.reset(seed=some_seeds, options={"reset_mask": mask, "damage": damages})
                reference.reset(mask, some_seeds, damages)
                np.testing.assert_array_equal(observations, reference.seen)
                np.testing.assert_array_equal(infos["distance"], reference.distance)
            case "step", seed, dtype, order, times:
                for actions in np.random.default_rng(seed).uniform(-1.5, 1.5, (times, ROWS, 8)).astype(dtype):
                    *got, infos = vector.step(np.array(actions, order=order))
                    *expected, expected_infos = reference.step(actions)
                    for one, other in zip(got, expected, strict=True):
                        np.testing.assert_array_equal(one, other)
                        assert one.dtype == other.dtype
                    assert list(infos) == INFOS
                    for name in INFOS:
                        np.testing.assert_array_equal(infos[name], expected_infos[name], err_msg=name)
            case "stop", mask:
                vector.active[mask] = False
                reference.active = [active and not stop for active, stop in zip(reference.active, mask, strict=True)]
        np.testing.assert_array_equal(vector.active, reference.active)


def test_rows_that_fall_are_left_alone(make_vec, make, seed):
    """Without torques some rows fall at different steps; a twin that goes on tells when."""
    env, single = make_vec(4, max_episode_steps=300), make(terminate=False)
    env.reset(seed=seed)
    ended = {}
    for step in range(300):
        before = env.unwrapped.active.copy()
        observations, rewards, terminations, truncations, _ = env.step(np.zeros((4, 8), np.float32))
        assert not rewards[~before].any()
        for row in np.flatnonzero(before & terminations):
            ended[row] = (step, observations[row])
    assert ended
    for row, (last, seen) in ended.items():
        np.testing.assert_array_equal(observations[row], seen)
        assert not truncations[row]
        single.reset(seed=seed + int(row))
        for step in range(last + 1):
            observation, *_, info = single.step(np.zeros(8, np.float32))
            assert (info["reward_alive"] < 0) == (step == last)
        np.testing.assert_array_equal(observation, seen)


def test_it_is_what_gymnasium_makes_of_single_ones(make_vec, seed, rng):
    ours = make_vec(3, terminate=False, damage=["front_left", None, "back_left:lock"])
    theirs = SyncVectorEnv(
        [
            lambda damage=damage: QuadrupedEnv(terminate=False, damage=damage)
            for damage in ("front_left", "", "back_left:lock")
        ],
        autoreset_mode=AutoresetMode.DISABLED,
    )
    np.testing.assert_array_equal(ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0])
    for actions in rng.uniform(-1, 1, (50, 3, 8)).astype(np.float32):
        for one, other in zip(ours.step(actions)[:4], theirs.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(one, other)
    assert ours.observation_space == theirs.observation_space
    assert ours.single_action_space == theirs.single_action_space
    theirs.close()


@pytest.mark.filterwarnings("error")
def test_gymnasium_makes_it_and_it_truncates_itself(rng):
    env = gymnasium.make_vec(
        "neuroplastic_envs:neuroplastic/Quadruped-v0", num_envs=2, vectorization_mode="vector_entry_point"
    )
    assert isinstance(env, QuadrupedVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    env.close()
    env = gymnasium.make_vec("neuroplastic/Quadruped-v0", num_envs=2, max_episode_steps=5, terminate=False)
    env.reset(seed=0)
    for step in range(1, 8):
        *_, truncations, _ = env.step(rng.uniform(-1, 1, (2, 8)))
        assert truncations.tolist() == [step >= 5] * 2
        assert env.unwrapped.active.tolist() == [step < 5] * 2
    env.close()
    endless = QuadrupedVectorEnv(1, max_episode_steps=None, terminate=False)
    endless.reset()
    for _ in range(1100):
        *_, truncations, _ = endless.step(REST[:1])
    assert not truncations.any()
    endless.close()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_action_names_its_row_before_anything_moves(make_vec, seed, rng, bad):
    env, untouched = make_vec(ROWS), make_vec(ROWS)
    for each in (env, untouched):
        each.reset(seed=seed)
    actions, row = rng.uniform(-1, 1, (ROWS, 8)), int(rng.integers(ROWS))
    actions[row, rng.integers(8)] = bad
    with pytest.raises(ValueError, match=f"^actions: expected 8 finite numbers in row {row}; got .*{bad}"):
        env.step(actions)
    np.testing.assert_array_equal(env.step(REST)[0], untouched.step(REST)[0])
    env.unwrapped.active[row] = False  # now nobody asks
    env.step(actions)


@pytest.mark.parametrize(
    "actions", [REST[:2], REST[:, :7], REST[0], 0.5, None, [[0.0] * 8, [0.0]], np.full((ROWS, 8), "a")], ids=repr
)
def test_actions_of_another_shape_are_refused(make_vec, actions):
    env = make_vec(ROWS)
    env.reset()
    with pytest.raises(ValueError, match="^actions: expected"):
        env.step(actions)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_envs": 0}, "num_envs: expected a whole number of rows >= 1; got 0"),
        ({"reward": "distance"}, "reward: expected 'progress' or 'full'; got 'distance'"),
        ({"render_mode": "human"}, "a window shows one quadruped"),
        ({"max_episode_steps": 0}, "max_episode_steps: expected a whole number of steps >= 1; got 0"),
        ({"width": 0}, "width: expected a whole number of pixels >= 1; got 0"),
        ({"damage": "left"}, "damage: expected a leg"),
        ({"damage": ["front_left"]}, "one for each of 2 rows; got ['front_left']"),
        ({"damage": ["front_left", 3]}, "got 3"),
        ({"damage": 3}, "one for each of 2 rows; got 3"),
    ],
)
def test_bad_arguments_are_named(options, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        QuadrupedVectorEnv(**{"num_envs": 2, **options})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"options": {"mask": 1}}, "options: expected 'reset_mask' or 'damage' or 'joints'; got 'mask'"),
        ({"options": {"reset_mask": [True] * ROWS}}, "options['reset_mask']: expected an array of 3 bool"),
        ({"options": {"reset_mask": np.ones(2, np.bool_)}}, "options['reset_mask']: expected an array of 3 bool"),
        ({"options": {"reset_mask": np.ones(ROWS)}}, "options['reset_mask']: expected an array of 3 bool"),
        ({"options": {"damage": ["front_left"] * 2}}, "one for each of 3 rows"),
        ({"options": {"damage": ["front_left", None, "left"]}}, "damage: expected a leg"),
        ({"options": {"joints": np.zeros((2, 8))}}, "options['joints']: expected 8 or 3 × 8 finite numbers"),
        ({"seed": [1, 2]}, "seed: expected one, or one for each of 3 rows; got [1, 2]"),
    ],
)
def test_bad_resets_are_named_before_anything_moves(make_vec, seed, arguments, told):
    env = make_vec(ROWS)
    env.reset(seed=seed)
    seen, *_ = env.step(REST)
    with pytest.raises(ValueError, match=re.escape(told)):
        env.reset(**arguments)
    env.unwrapped.active[:] = False
    np.testing.assert_array_equal(env.step(REST)[0], seen)


def test_joints_are_given_for_all_or_for_each(make_vec, make, rng):
    env, single = make_vec(ROWS), make()
    for joints in (rng.uniform(-0.5, 0.5, 8), rng.uniform(-0.5, 0.5, (ROWS, 8))):
        observations, _ = env.reset(options={"joints": joints})
        for row, own in enumerate(np.broadcast_to(joints, (ROWS, 8))):
            np.testing.assert_array_equal(observations[row], single.reset(options={"joints": own})[0])


def test_what_was_returned_does_not_change_later(make_vec, rng):
    env = make_vec(ROWS, terminate=False)
    first, infos = env.reset()
    kept = [first.copy(), infos["distance"].copy()]
    returned = [first, infos["distance"]]
    for _ in range(3):
        *arrays, infos = env.step(rng.uniform(-1, 1, (ROWS, 8)))
        returned += [*arrays, *infos.values()]
        kept += [array.copy() for array in (*arrays, *infos.values())]
    for now, then in zip(returned, kept, strict=True):
        np.testing.assert_array_equal(now, then)


def test_pictures_of_all_rows(make_vec, make, seed):
    env = make_vec(2, render_mode="rgb_array", width=64, height=48, damage=[None, "front_left"])
    single = make(render_mode="rgb_array", width=64, height=48)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.render()
    env.reset(seed=seed)
    single.reset(seed=seed)
    sound, damaged = env.render()
    np.testing.assert_array_equal(sound, single.render())
    assert not np.array_equal(sound, damaged)


def test_steps_need_a_reset_and_worlds_are_freed():
    env = QuadrupedVectorEnv(3)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(REST)
    env.reset()
    clients = [simulation.client for simulation in env._ants.simulations]
    assert all(pybullet.getConnectionInfo(client)["isConnected"] for client in clients)
    env.close()
    env.close()
    assert not any(pybullet.getConnectionInfo(client)["isConnected"] for client in clients)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(REST)
    with pytest.raises(RuntimeError, match="closed"):
        env.reset()
