"""A task in Gymnasium environments, against loops written by hand."""

import pickle
from functools import partial
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, SpaceError
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.bodies import SeparateBodies
from neuroplastic.tasks.lives import LifeRules, Lives
from neuroplastic.tasks.rollout import RolloutTask, live_on

POLICY = partial(PlasticNetwork, hidden=[5], rule=HebbianRule(normaliser="max"))
SEEDS = np.array([11, 12])


def same(members: int, episodes: int = 2) -> np.ndarray:
    """Seeds [p, E], the same for all members."""
    return np.tile(SEEDS[:episodes], (members, 1))


class Script(gymnasium.Env):
    """Pays what it was told to pay, ends when it was told to end, and remembers its actions."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Box(-1, 1, (1,))

    def __init__(self, rewards: tuple[float, ...] = (1.0,) * 20, end: int = 99, bonus: float = 0.0, fault: str = ""):
        self.rewards, self.end, self.bonus, self.fault = rewards, end, bonus, fault
        self.actions: list[float] = []

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.actions.clear()
        if self.fault == "reset":
            raise RuntimeError("no ground to stand on")
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.actions.append(float(action[0]))
        t = len(self.actions)
        if self.fault == "step" and t == 3:
            raise RuntimeError("the leg came off")
        observation = np.float32([t, self.np_random.random()])
        info = {"distance": float(t)} if t > 1 else {}
        return observation, self.rewards[t - 1] + self.bonus, t >= self.end, t >= len(self.rewards), info


class Pictures(gymnasium.Env):
    """Shows fresh pictures for five steps and pays the action."""

    observation_space = spaces.Box(0, 1, (9, 8, 3))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.left = 5
        return self.np_random.random((9, 8, 3), np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.left -= 1
        return self.np_random.random((9, 8, 3), np.float32), float(action[0]), False, not self.left, {}


class PictureVector(gymnasium.vector.VectorEnv):
    """`Pictures` side by side, as our vector environments are: only active rows move."""

    metadata: ClassVar = {"autoreset_mode": gymnasium.vector.AutoresetMode.DISABLED}

    def __init__(self, num_envs: int) -> None:
        self.num_envs, self.active = num_envs, np.ones(num_envs, bool)
        self.single_observation_space, self.single_action_space = Pictures.observation_space, Pictures.action_space
        self.envs = [Pictures() for _ in range(num_envs)]
        self.seen = np.zeros((num_envs, 9, 8, 3), np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict]:
        for row in np.flatnonzero(options["reset_mask"]):
            self.seen[row], _ = self.envs[row].reset(seed=seed[row])
        return self.seen.copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        rewards, over = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        for row in np.flatnonzero(self.active):
            self.seen[row], rewards[row], _, over[row], _ = self.envs[row].step(actions[row])
        return self.seen.copy(), rewards, np.zeros_like(over), over, {}


@pytest.fixture(autouse=True)
def _registered():
    gymnasium.register("test/Script-v0", Script)
    gymnasium.register("test/Pictures-v0", Pictures)
    gymnasium.register("neuroplastic/Pictures-v0", vector_entry_point=PictureVector)
    yield
    for name in ("test/Script-v0", "test/Pictures-v0", "neuroplastic/Pictures-v0"):
        gymnasium.registry.pop(name)


def genomes(task: RolloutTask, members: int) -> DensePopulation:
    return DensePopulation(torch.randn(members, task.layout.size))


def script(rules: LifeRules, **options: Any) -> tuple[float, int]:
    """(fitness, steps) of one life."""
    task = RolloutTask("test/Script-v0", POLICY, env_options=options, rules=rules)
    tried = task.evaluate(genomes(task, 1), [0], same(1, 1))
    task.close()
    return float(tried.fitness[0, 0]), int(tried.steps[0, 0])


def test_equals_a_loop_written_by_hand() -> None:
    task = RolloutTask("CartPole-v1", POLICY, batch=3)
    population = genomes(task, 5)
    tried = task.evaluate(population, [4, 1, 0, 2], same(4))
    for member, index in enumerate([4, 1, 0, 2]):
        for episode, seed in enumerate(SEEDS):
            env, policy = gymnasium.make("CartPole-v1"), POLICY(inputs=4, outputs=2)
            policy.birth(population.rows([index]), [seed])
            observation, _ = env.reset(seed=int(seed))
            total, over, reward = 0.0, False, 0.0
            while not over:
                output = policy.act(torch.from_numpy(observation)[None], torch.tensor([reward]), [0])
                observation, reward, terminated, truncated, _ = env.step(int(output.argmax()))
                reward = float(reward)
                total, over = total + reward, terminated or truncated
            assert tried.fitness[member, episode] == total == tried.steps[member, episode]


@pytest.mark.parametrize("env", ["test/Pictures-v0", "neuroplastic/Pictures-v0"])
def test_pictures_reach_the_front_of_a_network(env: str) -> None:
    front = ConvolutionalFront([2], [3], [1], [2])
    task = RolloutTask(env, partial(POLICY, front=front), batch=2)
    population = genomes(task, 3)
    tried = task.evaluate(population, [0, 1, 2], same(3, 1)).fitness
    task.close()
    for member in range(3):
        env_, policy, total, over = Pictures(), POLICY(inputs=(9, 8, 3), outputs=1, front=front), 0.0, False
        policy.birth(population.rows([member]), SEEDS[:1])
        picture, _ = env_.reset(seed=int(SEEDS[0]))
        while not over:
            action = policy.act(torch.from_numpy(picture).reshape(1, -1), torch.zeros(1), [0])[0].numpy()
            picture, reward, _, over, _ = env_.step(action)
            total += reward
        assert tried[member, 0] == total


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(1, 5), st.integers(0, 2**31 - 1))
def test_a_trial_depends_on_its_genome_and_seed_alone(index: list[int], batch: int, seed: int) -> None:
    torch.manual_seed(seed)
    seeds = np.random.default_rng(seed).integers(2**31, size=(len(index), 2))
    task = RolloutTask("CartPole-v1", POLICY, batch=batch, rules=LifeRules(horizon=40))
    population = genomes(task, 7)
    together = task.evaluate(population, index, seeds).fitness
    for row, member in enumerate(index):
        alone = RolloutTask("CartPole-v1", POLICY, batch=1, rules=LifeRules(horizon=40))
        np.testing.assert_array_equal(together[row], alone.evaluate(population, [member], seeds[[row]]).fitness[0])


def test_variations_are_averaged() -> None:
    task = RolloutTask("test/Script-v0", POLICY, variations=[{"bonus": 0.0}, {"bonus": 3.0}], measures=["distance"])
    tried = task.evaluate(genomes(task, 2), [0, 1], same(2))
    np.testing.assert_array_equal(tried.fitness, np.full((2, 2), 20 + 30.0))
    np.testing.assert_array_equal(tried.steps, np.full((2, 2), 40))
    np.testing.assert_array_equal(tried.measures["distance"], np.full((2, 2), 20.0))


def test_idle_steps_act_with_zero_and_do_not_count() -> None:
    task = RolloutTask("test/Script-v0", POLICY, rules=LifeRules(idle=6, horizon=15))
    tried = task.evaluate(genomes(task, 1), [0], same(1, 1))
    bodies = task._lives(0).bodies
    assert isinstance(bodies, SeparateBodies)
    actions = bodies.env(0).get_wrapper_attr("actions")
    assert actions[:6] == [0.0] * 6
    assert 0.0 not in actions[6:]
    assert tried.fitness[0, 0] == 9
    assert tried.steps[0, 0] == 15


def test_the_first_observation_acted_on_is_that_after_the_idle_steps() -> None:
    lives, seen = Lives(SeparateBodies("test/Script-v0", 1, {}), LifeRules(idle=6)), []

    class Spy(PlasticNetwork):
        def act(self, observations, rewards, rows):
            seen.extend(observations[:, 0].tolist())
            return super().act(observations, rewards, rows)

    policy = Spy(2, 1, rule=HebbianRule())
    policy.birth(torch.zeros(1, policy.layout.size), SEEDS[:1])
    rows = lives.begin(np.zeros(1, np.intp), SEEDS[:1])
    for _ in range(8):
        rows = live_on(lives, policy, rows, None)
    assert seen == [6, 7]


def test_patience_counts_negative_rewards_in_a_row() -> None:
    rewards = (1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0, 1.0)
    assert script(LifeRules(patience=2), rewards=rewards) == (-3.0, 7)
    assert script(LifeRules(patience=4), rewards=rewards) == (-3.0, 9)


def test_grace_holds_off_patience_and_the_end() -> None:
    assert script(LifeRules(patience=2, grace=5), rewards=(-1.0,) * 20) == (-8.0, 8)
    assert script(LifeRules(), end=4) == (4.0, 4)
    assert script(LifeRules(grace=7), end=4) == (8.0, 8)


@pytest.mark.parametrize("fault", ["reset", "step"])
def test_a_faulty_environment_is_a_failed_trial(fault: str) -> None:
    task = RolloutTask("test/Script-v0", POLICY, variations=[{}, {"fault": fault}], batch=2)
    tried = task.evaluate(genomes(task, 3), [0, 1, 2], same(3))
    assert np.isnan(tried.fitness).all()
    (reason,) = tried.failures
    assert reason.startswith("RuntimeError: ")
    assert tried.failures[reason] == 6
    sound = RolloutTask("test/Script-v0", POLICY)
    assert not sound.evaluate(genomes(sound, 1), [0], same(1)).failures


def test_a_network_that_diverges_fails_alone() -> None:
    policy = partial(PlasticNetwork, rule=HebbianRule(normaliser="max"), output_activation="linear")
    task = RolloutTask("test/Script-v0", policy)
    rows = torch.randn(3, task.layout.size)
    rows[1] *= 1e30
    tried = task.evaluate(DensePopulation(rows), [0, 1, 2], same(3, 1))
    assert np.isnan(tried.fitness).tolist() == [[False], [True], [False]]
    assert tried.failures == {"the network's output is not finite": 1}


def test_a_used_task_can_be_pickled() -> None:
    task = RolloutTask("CartPole-v1", POLICY)
    population = genomes(task, 2)
    tried = task.evaluate(population, [0, 1], same(2))
    again = pickle.loads(pickle.dumps(task)).evaluate(population, [0, 1], same(2))
    np.testing.assert_array_equal(tried.fitness, again.fitness)


def test_a_reward_that_is_not_finite_is_a_failed_trial() -> None:
    task = RolloutTask("test/Script-v0", POLICY, env_options={"rewards": (1.0, np.nan, 1.0)})
    tried = task.evaluate(genomes(task, 1), [0], same(1))
    assert tried.failures == {"the environment's reward is not finite": 2}


def test_observations_are_counted_and_normalised() -> None:
    rules = LifeRules(idle=2, horizon=7)
    seen: list[np.ndarray] = []

    class Spy(PlasticNetwork):
        def act(self, observations, rewards, rows):
            seen.append(observations.copy())
            return super().act(observations, rewards, rows)

    def task(**options: Any) -> RolloutTask:
        return RolloutTask("test/Script-v0", partial(Spy, rule=HebbianRule()), rules=rules, **options)

    both = task(normalise=True, variations=[{}, {}], batch=3)
    population = genomes(both, 4)
    first = both.evaluate(population, [0, 1, 2, 3], same(4))
    assert first.statistics is not None
    np.testing.assert_array_equal(first.statistics.count, np.full((4, 2), 2 * 5))
    times = np.arange(2, 7)  # what is seen before each of five actions, in both variations
    np.testing.assert_allclose(first.statistics.mean[..., 0], times.mean())
    np.testing.assert_allclose(first.statistics.m2[..., 0], 2 * 5 * times.var())

    shared = first.statistics.total()
    seen.clear()
    task(normalise=True).evaluate(population, [0], same(1, 1), shared)
    task().evaluate(population, [0], same(1, 1), shared)
    normalised, raw = np.concatenate(seen[:5]), np.concatenate(seen[5:])
    np.testing.assert_array_equal(normalised, shared.normalise(raw))


@pytest.mark.parametrize(
    "variation",
    [{}, {"terminate": False}, {"damage": "front_right:shorten@30-60"}],
    ids=["sound", "fallen goes on", "damaged"],
)
def test_bodies_together_live_as_bodies_one_by_one(variation: dict[str, Any]) -> None:
    env = "neuroplastic_envs:neuroplastic/Quadruped-v0"
    rules = LifeRules(horizon=150, idle=10, grace=60, patience=8)
    measures = ["distance", "reward_electricity"]
    together, apart = (
        RolloutTask(env, POLICY, variations=[variation], rules=rules, batch=3, measures=measures, fresh=fresh)
        for fresh in (False, True)
    )
    population, seeds = genomes(together, 5), np.random.default_rng().integers(2**31, size=(5, 2))
    one, other = (task.evaluate(population, range(5), seeds) for task in (together, apart))
    assert type(together._lives(0).bodies) is not type(apart._lives(0).bodies)
    np.testing.assert_array_equal(one.fitness, other.fitness)
    np.testing.assert_array_equal(one.steps, other.steps)
    assert (one.steps > rules.idle + rules.grace).all()
    for name in measures:
        np.testing.assert_array_equal(one.measures[name], other.measures[name])
    together.close(), apart.close()


def test_fresh_environments_forget_what_a_reset_does_not() -> None:
    task = RolloutTask("BipedalWalker-v3", POLICY, rules=LifeRules(horizon=120), batch=2, fresh=True)
    population, seeds = genomes(task, 3), np.array([[1], [2], [3]])
    alone = task.evaluate(population, [2], seeds[2:])
    together = task.evaluate(population, [0, 1, 2], seeds)
    np.testing.assert_array_equal(together.fitness[2], alone.fitness[0])


def test_what_cannot_work_is_refused_before_any_trial() -> None:
    with pytest.raises(ArgumentError, match=r"task\.env.*NoSuch-v0"):
        RolloutTask("NoSuch-v0", POLICY).check()
    with pytest.raises(ArgumentError, match=r"test/Script-v0.*wings"):
        RolloutTask("test/Script-v0", POLICY, variations=[{}, {"wings": 2}]).check()
    with pytest.raises(SpaceError, match=r"task\.idle"):
        RolloutTask("CartPole-v1", POLICY, rules=LifeRules(idle=3)).check()
    with pytest.raises(ArgumentError, match=r"task\.batch.*0"):
        RolloutTask("CartPole-v1", POLICY, batch=0)
    with pytest.raises(ArgumentError, match=r"task\.patience.*-1"):
        LifeRules(patience=-1)
    with pytest.raises(ArgumentError, match=r"task\.idle"):
        LifeRules(horizon=10, idle=10)
    with pytest.raises(ArgumentError, match=r"task\.variations"):
        RolloutTask("CartPole-v1", POLICY, variations=[])
