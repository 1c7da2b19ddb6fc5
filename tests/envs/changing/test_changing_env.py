"""The stock environment before the change, the stock environment with other attributes after it."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from neuroplastic_envs.changing.change import ChangeError

STEPS = 120
# Each kind, written down once more: attributes of the stock environment, or what its actions become.
CHANGES = {
    ("CartPole-v1", "mirrored"): lambda action: 1 - action,
    ("CartPole-v1", "weak"): {"force_mag": 5.0},
    ("CartPole-v1", "long"): {"length": 1.0, "polemass_length": 0.1},
    ("Acrobot-v1", "mirrored"): lambda action: 2 - action,
    ("Acrobot-v1", "heavy"): {"LINK_MASS_2": 2.0},
    ("Pendulum-v1", "mirrored"): lambda action: -action,
    ("Pendulum-v1", "heavy"): {"m": 2.0},
    ("Pendulum-v1", "long"): {"l": 2.0},
}


def plain(name, **options):
    return gymnasium.make(name, disable_env_checker=True, **options)


def changing(name, **options):
    return plain(f"neuroplastic/Changing{name.removesuffix('-v1')}-v0", **options)


def steps(env, actions):
    """What a life tells of each step but its info; a pole that has fallen goes on falling."""
    return [env.step(action)[:4] for action in actions]


def life(env, actions, seed=None, **options):
    return [(env.reset(seed=seed, options=options)[0], 0.0, False, False), *steps(env, actions)]


def assert_same(one, other):
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine[0], theirs[0], strict=True)
        assert mine[1:] == theirs[1:]


def some_actions(env, seed, number=STEPS):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(number)]


@pytest.fixture(params=["CartPole-v1", "Acrobot-v1", "Pendulum-v1"])
def name(request):
    return request.param


@pytest.mark.parametrize("damage", [None, " ", f"mirrored@{STEPS}", f"mirrored@{STEPS}-999999999"])
def test_before_the_change_it_is_the_stock_environment(name, seed, damage):
    env, stock = changing(name, damage=damage), plain(name)
    assert (env.observation_space, env.action_space) == (stock.observation_space, stock.action_space)
    assert env.spec.max_episode_steps == stock.spec.max_episode_steps
    actions = some_actions(stock, seed)
    assert_same(life(env, actions, seed), life(stock, actions, seed))
    assert_same(life(env, actions), life(stock, actions))  # a second life goes on in the stock environment's stream


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(CHANGES)), st.integers(0, 6), st.integers(0, 2**32))
def test_after_the_change_it_is_a_stock_environment_that_was_so_from_the_start(key, change_step, seed):
    (name, kind), change = key, CHANGES[key]  # no pole falls in 6 steps
    env, other = changing(name, damage=f"{kind}@{change_step}"), plain(name)
    actions = some_actions(other, seed)
    env.reset(seed=seed)
    steps(env, actions[:change_step])
    if isinstance(change, dict):
        for attribute, value in change.items():
            assert getattr(other.unwrapped, attribute) != value
            setattr(other.unwrapped, attribute, value)
    other.reset()
    other.unwrapped.state = env.unwrapped.state.copy()
    theirs = actions if isinstance(change, dict) else [change(action) for action in actions]
    assert_same(steps(env, actions[change_step:]), steps(other, theirs[change_step:]))


@pytest.mark.parametrize(("name", "kind"), CHANGES)
def test_a_life_that_is_changed_from_the_start(name, kind, seed):
    env, always = changing(name), changing(name, damage=kind)
    actions = some_actions(env, seed)
    stock, changed = life(env, actions, seed), life(always, actions, seed)
    assert any(not np.array_equal(one[0], other[0]) for one, other in zip(stock, changed, strict=True))
    assert_same(life(env, actions, seed, damage=kind), changed)
    assert_same(life(env, actions, seed, damage=f"{kind}@0"), changed)
    assert_same(life(env, actions, seed), stock)  # the option held for one life
    assert_same(life(always, actions, seed, damage=None), stock)
    assert_same(life(always, actions, seed), changed)


def infos(env, actions, **reset):
    return [env.reset(**reset)[1], *(env.step(action)[-1] for action in actions)]


def test_info_tells_of_the_change(name, seed):
    env = changing(name, damage="mirrored@5")
    actions = some_actions(env, seed, 9)
    told = infos(env, actions, seed=seed)
    assert [info["steps_changed"] for info in told] == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4]
    assert [info["changed"] for info in told] == [False] * 6 + [True] * 4
    assert not any(info["changed"] for info in infos(env, actions, options={"damage": None}))
    assert [info["steps_changed"] for info in infos(env, actions, options={"damage": "mirrored"})] == [*range(10)]


def test_the_step_of_a_range_comes_from_the_seed(name, seed):
    env, twin = changing(name, damage="mirrored@10-60"), changing(name, damage="mirrored@10-60")
    actions = some_actions(env, seed, 61)
    drawn = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0]).integers(10, 61)
    for reset in ({"seed": seed}, {}, {}):  # the lives that follow draw from the stream that the seed began
        told = [info["steps_changed"] for info in infos(env, actions, **reset)]
        assert told == [info["steps_changed"] for info in infos(twin, actions, **reset)]
        assert 1 <= told[-1] <= 51
        assert "seed" not in reset or told[-1] == 61 - drawn
    assert_same(life(env, actions, seed), life(twin, actions, seed, damage=f"mirrored@{drawn}"))


def test_a_refused_action_is_no_step(name, seed):
    env, sound = changing(name, damage="mirrored@1"), changing(name, damage="mirrored@1")
    actions = some_actions(env, seed, 5)
    for each in (env, sound):
        each.reset(seed=seed)
    for action in actions:
        with pytest.raises((AssertionError, IndexError, TypeError)):
            env.step(None)
        assert_same(steps(env, [action]), steps(sound, [action]))


def test_gymnasiums_own_check(name):
    for damage in (None, "mirrored@2-9"):
        check_env(changing(name, damage=damage).unwrapped, skip_render_check=True)  # it would open a window too


@pytest.mark.parametrize("option", [{"damage": "broken@5"}, {"damage": "mirrored@5-1"}, {"damage": 5}])
def test_bad_changes_are_refused_when_it_is_made_and_when_it_is_reset(name, seed, option):
    with pytest.raises(ChangeError, match="^damage: expected"):
        changing(name, **option)
    env, untouched = changing(name, damage="mirrored"), changing(name, damage="mirrored")
    actions = some_actions(env, seed, 5)
    for each in (env, untouched):
        life(each, actions, seed)
    with pytest.raises(ChangeError, match="^damage: expected"):
        env.reset(options=option)
    assert_same(steps(env, actions), steps(untouched, actions))


def test_options_of_the_stock_reset_are_passed_on_and_others_refused(name):
    env, stock = changing(name), plain(name)
    options = {"x_init": 0.1, "y_init": 0.2} if name == "Pendulum-v1" else {"low": 0.01, "high": 0.02}
    for reset in (options, dict([options.popitem()])):
        seen = env.reset(seed=1, options=reset | {"damage": "mirrored"})[0]
        np.testing.assert_array_equal(seen, stock.reset(seed=1, options=reset)[0])
    with pytest.raises(ValueError, match="^options: expected 'damage' or .*; got 'damages'"):
        env.reset(options={"damages": "mirrored"})


def test_every_kind_that_it_says_it_knows_is_tried_here(name):
    assert {(name, kind) for kind in changing(name).metadata["damages"]} == {key for key in CHANGES if key[0] == name}


def test_pictures_are_the_stock_environments_and_a_long_pole_is_seen(name, seed):
    pytest.importorskip("pygame")
    env, stock = (make(name, render_mode="rgb_array") for make in (changing, plain))
    for each in (env, stock):
        each.reset(seed=seed)
    np.testing.assert_array_equal(env.render(), stock.render())
    if name == "CartPole-v1":
        env.reset(seed=seed, options={"damage": "long"})
        assert not np.array_equal(env.render(), stock.render())
    env.close()
    stock.close()


def test_the_stock_environments_arguments_are_passed_on():
    assert changing("Pendulum-v1", g=3.7, damage="long@5").unwrapped.g == 3.7
    assert changing("CartPole-v1", sutton_barto_reward=True).reset()[0].shape == (4,)
    weightless = plain("Pendulum-v1", g=0.0), changing("Pendulum-v1", g=0.0)
    actions = some_actions(weightless[0], 3)
    assert_same(*(life(each, actions, 3) for each in weightless))
