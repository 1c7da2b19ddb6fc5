"""The Gymnasium side: arguments, actions, pictures, the end of an episode and of an environment."""

import gc
import re
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from neuroplastic_envs.quadruped.bullet import pybullet
from neuroplastic_envs.quadruped.damage import DamageError
from neuroplastic_envs.quadruped.env import QuadrupedEnv

REST = np.zeros(8, np.float32)


def is_open(client: int) -> bool:
    return bool(pybullet.getConnectionInfo(client)["isConnected"])


@pytest.mark.parametrize("options", [{}, {"reward": "full", "damage": "front_right+back_left:lock"}])
@pytest.mark.filterwarnings("error")
def test_gymnasiums_own_check(options):
    env = QuadrupedEnv(**options, render_mode="rgb_array", width=16, height=16)
    check_env(env, skip_render_check=True)  # it would open a window too
    env.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"reward": "distance"}, "reward: expected 'progress' or 'full'; got 'distance'"),
        ({"render_mode": "ansi"}, "render_mode: expected None, 'human' or 'rgb_array'; got 'ansi'"),
        ({"width": 0}, "width: expected a whole number of pixels >= 1; got 0"),
        ({"height": 1.5}, "height: expected a whole number of pixels >= 1; got 1.5"),
        ({"damage": "front_left:gone"}, "damage: expected a kind"),
    ],
)
def test_bad_arguments_are_named(options, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        QuadrupedEnv(**options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"damages": "front_left"}, "options: expected 'damage' or 'joints'; got 'damages'"),
        ({"damage": "left"}, "damage: expected a leg"),
        ({"joints": [0.0] * 7}, "options['joints']: expected 8 finite numbers"),
    ],
)
def test_bad_options_are_named(make, options, told):
    env = make()
    with pytest.raises(ValueError, match=re.escape(told)):
        env.reset(options=options)


@pytest.mark.parametrize(
    "action",
    [np.full(8, np.nan), [np.inf] + [0] * 7, np.zeros(7), np.zeros((1, 8)), 0.5, None, ["a"] * 8, [[1]] + [1] * 7],
    ids=repr,
)
def test_a_bad_action_is_refused_before_anything_moves(make, seed, action):
    env, untouched = make().unwrapped, make().unwrapped
    for each in (env, untouched):
        each.reset(seed=seed)
    with pytest.raises(ValueError, match="^action: expected 8 finite numbers; got"):
        env.step(action)
    np.testing.assert_array_equal(env.step(REST)[0], untouched.step(REST)[0])


def test_actions_are_clipped(make, seed, rng):
    env, clipped = make(), make()
    actions = rng.uniform(-3, 3, (50, 8)).astype(np.float32)
    for each in (env, clipped):
        each.reset(seed=seed)
    for action in actions:
        np.testing.assert_array_equal(env.step(action)[0], clipped.step(action.clip(-1, 1))[0])


def test_the_ant_that_falls_ends_its_episode_unless_told_otherwise(make, seed):
    env, ours = make(), make(terminate=False)
    env.reset(seed=seed)
    ours.reset(seed=seed)
    fell = False
    for _ in range(1000):
        *_, terminated, truncated, info = ours.step(REST)
        assert not terminated
        if not fell:
            _, _, fell, _, same = env.step(REST)
            assert same == info
            assert fell == (info["reward_alive"] < 0)
    assert fell
    assert truncated


def test_steps_and_pictures_need_a_reset(make):
    env = make(render_mode="rgb_array").unwrapped
    for use in (lambda: env.step(REST), env.render):
        with pytest.raises(gymnasium.error.ResetNeeded):
            use()


def count(picture, *, more_than_green: float) -> int:
    """Pixels that are red more than the floor is, by this factor over green."""
    red, green, blue = picture.astype(int).transpose(2, 0, 1)
    return int(np.count_nonzero((red > 1.3 * blue) & (red > more_than_green * green)))


def test_pictures_show_the_ant_wherever_it_walks(make, rng):
    env = make(render_mode="rgb_array", terminate=False)
    env.reset()
    pictures = []
    for _ in range(3):
        pictures.append(env.render())
        for _ in range(20):
            env.step(rng.uniform(-1, 1, 8))
    for picture in pictures:
        assert picture.shape == (360, 480, 3)
        assert picture.dtype == np.uint8
        ant = count(picture, more_than_green=1.2)  # orange on a white and blue floor
        assert ant > 5000
        assert count(picture[60:300, 120:360], more_than_green=1.2) > 0.6 * ant
    assert not np.array_equal(pictures[0], pictures[1])


def test_pictures_show_which_leg_is_short(make):
    env = make(render_mode="rgb_array", width=320, height=240)
    env.reset()
    assert env.render().shape == (240, 320, 3)
    assert count(env.render(), more_than_green=2) == 0
    env.reset(options={"damage": "front_right"})
    left, right = np.split(env.render(), 2, axis=1)  # the ant walks to the right of the picture, its right side near
    assert count(right, more_than_green=2) > 100
    assert count(left, more_than_green=2) == 0


def test_closed_and_forgotten_environments_free_their_world():
    env, forgotten = QuadrupedEnv(), QuadrupedEnv()
    clients = [each._ants.simulations[0].client for each in (env, forgotten)]
    assert all(map(is_open, clients))
    env.close()
    env.close()
    del forgotten
    gc.collect()
    assert not any(map(is_open, clients))
    other = QuadrupedEnv()  # may get the number of the world that was closed
    with pytest.raises(RuntimeError, match="closed"):
        env.reset()
    other.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_a_window_without_a_display_is_an_error(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(RuntimeError, match="needs a display"):
        QuadrupedEnv(render_mode="human")


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_registering_does_not_load_bullet_and_loading_it_prints_nothing():
    ran = python(
        "import sys, gymnasium, neuroplastic_envs\n"
        "assert 'pybullet' not in sys.modules\n"
        "gymnasium.make('neuroplastic/Quadruped-v0', damage='front_left').reset()\n"
        "sys.stderr.write('still here')"
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "still here")


def test_without_bullet_the_error_says_what_to_install():
    ran = python(
        "import sys, gymnasium, neuroplastic_envs\n"
        "sys.modules['pybullet'] = None\n"
        "gymnasium.make('neuroplastic/Quadruped-v0')"
    )
    assert ran.stderr.splitlines()[-1].startswith("ImportError: the quadruped needs PyBullet")
    assert "pip install 'neuroplastic[quadruped]'" in ran.stderr


def test_damage_that_names_nothing_is_refused_when_it_is_made():
    with pytest.raises(DamageError, match="expected a leg"):
        gymnasium.make("neuroplastic/Quadruped-v0", damage="middle:lock")
