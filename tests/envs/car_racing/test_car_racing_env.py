"""The race as an environment: the stock's episodes, and rows that live as single cars whatever the others do."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from neuroplastic_envs.car_racing.env import CarRacingEnv
from neuroplastic_envs.car_racing.vector import CarRacingVectorEnv

ID = "neuroplastic_envs:neuroplastic/CarRacing-v0"


def drive(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Actions [steps, 3] that hold for a while each; braking is rare."""
    held = rng.uniform([-1, 0, 0], [1, 1, 1], (steps // 10 + 1, 3)) * [1, 1, rng.random() < 0.3]
    return held.repeat(10, axis=0)[:steps].astype(np.float32)


@pytest.mark.parametrize("options", [{}, {"continuous": False}, {"domain_randomize": True}], ids=str)
def test_an_episode_is_the_stock_environments(options: dict, rng: np.random.Generator) -> None:
    stock, ours = gymnasium.make("CarRacing-v3", **options), gymnasium.make(ID, **options)
    assert stock.observation_space == ours.observation_space
    assert stock.action_space == ours.action_space
    for seed in rng.integers(2**31, size=2).tolist():
        expected, _ = stock.reset(seed=seed)
        seen, _ = ours.reset(seed=seed)
        actions = drive(rng, 200) if options.get("continuous", True) else rng.integers(5, size=20).repeat(10)
        for action in actions:
            assert np.abs(seen.astype(float) - expected).mean() <= 0.25
            expected, expected_reward, expected_end, expected_cut, told = stock.step(action)
            seen, reward, end, cut, info = ours.step(action)
            assert (reward, end, cut) == (expected_reward, expected_end, expected_cut)
            assert info.get("lap_finished") == told.get("lap_finished")
            if end:
                break
    stock.close(), ours.close()


@pytest.mark.parametrize("observation", ["rgb", "grey", "paper"])
@pytest.mark.filterwarnings("ignore")
def test_gymnasium_has_nothing_to_say(observation: str) -> None:
    check_env(gymnasium.make(ID, observation=observation, render_mode="rgb_array").unwrapped)


def test_rows_are_single_cars_whatever_the_others_do(rng: np.random.Generator) -> None:
    """Bit for bit, with partial resets, rows that end, and actions that change nothing where nothing moves."""
    number, limit = 3, 25
    vector = CarRacingVectorEnv(number, max_episode_steps=limit)
    singles = [gymnasium.make(ID, max_episode_steps=limit) for _ in range(number)]
    expected = [np.zeros((96, 96, 3), np.uint8)] * number
    over = np.ones(number, np.bool_)
    for _ in range(120):
        if over.all() or rng.random() < 0.1:
            mask = rng.random(number) < 0.7
            seeds = rng.integers(2**31, size=number).tolist()
            seen, _ = vector.reset(seed=seeds, options={"reset_mask": mask})
            for row in np.flatnonzero(mask):
                expected[row], _ = singles[row].reset(seed=seeds[row])
            over &= ~mask
            if over.all():
                continue
        else:
            actions = rng.uniform([-1, 0, 0], [1, 1, 0.2], (number, 3)).astype(np.float32)
            actions[over] = np.nan
            seen, rewards, terminated, truncated, infos = vector.step(actions)
            for row in range(number):
                if over[row]:
                    assert rewards[row] == 0
                    continue
                expected[row], reward, ended, cut, info = singles[row].step(actions[row])
                assert (rewards[row], terminated[row], truncated[row]) == (reward, ended, cut)
                assert infos["tiles"][row] == info["tiles"]
                over[row] = ended or cut
        np.testing.assert_array_equal(seen, expected)


def test_skipped_frames_are_the_same_steps(rng: np.random.Generator) -> None:
    once, thrice = CarRacingEnv(), CarRacingEnv(frame_skip=3)
    seed = int(rng.integers(2**31))
    np.testing.assert_array_equal(once.reset(seed=seed)[0], thrice.reset(seed=seed)[0])
    for action in drive(rng, 40):
        seen, reward, *_ = thrice.step(action)
        rewards = [once.step(action) for _ in range(3)]
        assert reward == pytest.approx(sum(told[1] for told in rewards), abs=1e-9)
        np.testing.assert_array_equal(seen, rewards[-1][0])


def test_other_observations_are_made_of_the_picture(rng: np.random.Generator) -> None:
    rgb, grey, paper = (CarRacingEnv(observation) for observation in ("rgb", "grey", "paper"))
    seed = int(rng.integers(2**31))
    pictures = [env.reset(seed=seed)[0] for env in (rgb, grey, paper)]
    for action in drive(rng, 60):
        picture, light, small = pictures
        exact = picture @ np.array([0.2125, 0.7154, 0.0721])
        assert np.abs(light[..., 0] - exact).max() <= 1
        eighths = picture.astype(np.float64).repeat(7, 0).repeat(7, 1) / 255
        by_area = eighths.reshape(84, 8, 84, 8, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(small, by_area, atol=1e-6)
        pictures = [env.step(action)[0] for env in (rgb, grey, paper)]


def test_mistakes_are_named_and_nothing_moves(rng: np.random.Generator) -> None:
    seed, action = int(rng.integers(2**31)), np.array([0.3, 0.8, 0.0], np.float32)
    undisturbed = CarRacingVectorEnv(2)
    undisturbed.reset(seed=seed)
    vector = CarRacingVectorEnv(2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        vector.step(np.zeros((2, 3)))
    vector.reset(seed=seed)
    for wrong, message in (
        ([action, [np.nan, 0, 0]], r"row 1; got \[nan"),
        ([action, [0, 1.5, 0]], r"gas and brake in \[0, 1\] in row 1; got \[0.0, 1.5"),
        ([action], r"expected 2 × 3"),
    ):
        with pytest.raises(ValueError, match=message):
            vector.step(np.array(wrong))
    for _ in range(5):
        np.testing.assert_array_equal(
            vector.step(np.stack([action] * 2))[0], undisturbed.step(np.stack([action] * 2))[0]
        )

    for wrong, message in (
        ({"observation": "sepia"}, "observation: expected 'rgb'.*'sepia'"),
        ({"frame_skip": 0}, "frame_skip: expected .* >= 1; got 0"),
        ({"lap_complete_percent": 95}, "lap_complete_percent.*95"),
        ({"render_mode": "ansi"}, "render_mode.*'ansi'"),
    ):
        with pytest.raises(ValueError, match=message):
            CarRacingEnv(**wrong)
    single = CarRacingEnv(continuous=False)
    single.reset()
    with pytest.raises(ValueError, match="whole number from 0 to 4; got 5"):
        single.step(5)
    with pytest.raises(ValueError, match="expected 'randomize'; got 'colour'"):
        single.reset(options={"colour": 1})


def test_pictures_to_watch_have_their_size() -> None:
    env = CarRacingEnv(render_mode="rgb_array", width=300, height=200)
    env.reset(seed=0)
    picture = env.render()
    assert picture is not None
    assert picture.shape == (200, 300, 3)
    assert picture.std() > 0
