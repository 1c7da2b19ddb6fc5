"""The same seed and actions make the same life, to the last bit, whatever else is and was in the environment."""

from collections.abc import Callable, Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some
from neuroplastic_envs.car_racing.env import CarRacingEnv
from neuroplastic_envs.car_racing.vector import CarRacingVectorEnv

OPTIONS = some.fixed_dictionaries(
    {
        "observation": some.sampled_from(["rgb", "grey", "paper"]),
        "continuous": some.booleans(),
        "domain_randomize": some.booleans(),
        "frame_skip": some.sampled_from([1, 1, 3]),
        "lap_complete_percent": some.sampled_from([0.95, 0.95, 0.001]),  # the last ends at once
    }
)
SEEDS = some.integers(0, 2**31 - 1)
STEPS = some.integers(1, 40)
Moment = tuple[int, float, bool, float, bool]  # the picture's hash, reward, whether it ended, visited, by a lap


def chosen(rng: np.random.Generator, continuous: bool, *shape: int) -> np.ndarray:
    if not continuous:
        return rng.integers(5, size=shape)
    return rng.uniform([-1, 0, 0], [1, 1, rng.choice([0.1, 1.0])], (*shape, 3)).astype(np.float32)


def life(env: CarRacingEnv, seed: int, actions: np.ndarray) -> Iterator[Moment]:
    seen, info = env.reset(seed=seed)
    yield hash(seen.tobytes()), 0.0, False, info["tiles"], False
    for action in actions:
        seen, reward, ended, _, info = env.step(action)
        yield hash(seen.tobytes()), reward, ended, info["tiles"], info.get("lap_finished", False)
        if ended:
            break


def life_in_a_row(
    env: CarRacingVectorEnv, row: int, seed: int, actions: np.ndarray, rng: np.random.Generator
) -> Iterator[Moment]:
    """The others have any seeds and actions; some are left out, end, or are reset in the middle of this life."""

    def moment(seen, rewards, ended, infos) -> Moment:
        return hash(seen[row].tobytes()), rewards[row], ended[row], infos["tiles"][row], infos["lap_finished"][row]

    def reset(mask: np.ndarray):
        seeds = rng.integers(2**31, size=env.num_envs).tolist()
        seeds[row] = seed
        return env.reset(seed=seeds, options={"reset_mask": mask})

    nothing = np.zeros(env.num_envs), np.zeros(env.num_envs, np.bool_)
    this, left_out = np.arange(env.num_envs) == row, rng.choice([0.0, 0.1])
    seen, infos = reset(this | (rng.random(env.num_envs) < rng.choice([0.3, 1.0])))
    yield moment(seen, *nothing, infos)
    for action in actions:
        if rng.random() < 0.1:
            reset(~this & (rng.random(env.num_envs) < 0.5))
        env.active &= this | (rng.random(env.num_envs) >= left_out)
        told = chosen(rng, env.continuous, env.num_envs)
        if env.continuous:
            told[~env.active] = np.nan
        told[row] = action
        seen, rewards, ended, _, infos = env.step(told)
        yield moment(seen, rewards, ended, infos)
        if ended[row]:
            break


def assert_same(*lives: Callable[[], Iterator[Moment]]) -> None:
    first, *others = (list(live()) for live in lives)
    for other in others:
        assert other == first


@settings(max_examples=30, deadline=None)
@given(options=OPTIONS, number=some.sampled_from([1, 2, 5, 64]), seed=SEEDS, steps=STEPS, plan=SEEDS, data=some.data())
def test_a_row_lives_as_a_car_by_itself(options, number, seed, steps, plan, data):
    """In an environment that has been used, twice, and in a fresh one; the single car comes before all others."""
    row, rng = data.draw(some.integers(0, number - 1)), np.random.default_rng(plan)
    actions = chosen(rng, options["continuous"], steps)
    used, fresh = CarRacingVectorEnv(number, **options), CarRacingVectorEnv(number, **options)
    used.reset(seed=plan)
    for _ in range(rng.integers(4)):
        used.step(chosen(rng, options["continuous"], number))
    assert_same(
        lambda: life(CarRacingEnv(**options), seed, actions),
        lambda: life_in_a_row(used, row, seed, actions, rng),
        lambda: life_in_a_row(fresh, row, seed, actions, rng),
        lambda: life_in_a_row(used, row, seed, actions, rng),
    )


@settings(max_examples=30, deadline=None)
@given(options=OPTIONS, lives=some.lists(some.tuples(SEEDS, STEPS, SEEDS), min_size=1, max_size=3), again=SEEDS)
def test_a_car_lives_as_in_a_fresh_environment(options, lives, again):
    """After any others, ended or given up, drawn large or not, and after its own."""
    used = CarRacingEnv(**options, render_mode="rgb_array", width=60, height=40)
    rng = np.random.default_rng(again)
    for seed, steps, plan in [*lives, lives[0]]:
        actions = chosen(np.random.default_rng(plan), options["continuous"], steps)
        assert_same(lambda: life(CarRacingEnv(**options), seed, actions), lambda: life(used, seed, actions))  # noqa: B023
        if rng.random() < 0.5:
            used.render()


def test_one_seed_is_the_next_ones_for_the_next_rows(rng):
    seed = int(rng.integers(2**31))
    seen, _ = CarRacingVectorEnv(5).reset(seed=seed)
    for row in range(5):
        np.testing.assert_array_equal(seen[row], CarRacingEnv().reset(seed=seed + row)[0])


def test_seeds_and_actions_matter(rng):
    """What is compared above is not always the same."""
    one, two = rng.choice(2**31, 2, replace=False).tolist()
    left, right = np.tile(np.float32([[[-1, 1, 0]], [[1, 1, 0]]]), (1, 20, 1))
    lives = [list(life(CarRacingEnv(), *wanted)) for wanted in ((one, left), (one, right), (two, left))]
    assert lives[0][0] == lives[1][0] != lives[2][0]
    assert lives[0][-1] != lives[1][-1]
