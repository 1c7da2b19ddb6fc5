"""Crews that take turns, against lives written out one by one, and against one crew."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError
from neuroplastic.genome import Identity, Layout, Sample
from neuroplastic.noise import perturbed
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork
from neuroplastic.search.base import DensePopulation, SampledPopulation
from neuroplastic.tasks.base import Evaluation
from neuroplastic.tasks.bodies import Rows, SeparateBodies, VectorBodies
from neuroplastic.tasks.crews import Crew, Outputs, shares, take_turns
from neuroplastic.tasks.lives import LifeRules, Lives
from neuroplastic.tasks.recovery import RECOVERY, Recovery
from neuroplastic.tasks.rollout import RolloutTask

ENV = "test/Ball-v0"
STILLBORN, BROKEN = 5, 7  # seeds that they divide


class Ball(gymnasium.Env):
    """Rolls where it is pushed, for a number of steps that its seed says; some seeds raise at once or in step 2."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        assert seed is not None
        self.left, self.at, self.fault = 1 + seed % 11, 0.0, 2 if seed % BROKEN == 0 else None
        if seed % STILLBORN == 0:
            raise RuntimeError("no ball")
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.left -= 1
        if self.fault is not None:
            self.fault -= 1
            if self.fault == 0:
                raise RuntimeError("it burst")
        self.at += float(action[0]) + self.np_random.normal()
        return np.float32([self.at, self.left]), self.at, self.left <= 0, False, {"at": self.at}


class Leaky:
    """A `Policy` of three numbers: y ← w₀ y + w₁ x₀ + w₂ r + noise of the seed at birth; it says tanh(y)."""

    layout = Layout((("w", (3,)),))
    codec = Identity(layout)

    def __init__(self, inputs: tuple[int, ...], outputs: int) -> None:
        self.closed = 0

    def birth(self, genomes: Tensor, seeds: Sequence[int] | NDArray, rows: Sequence[int] | NDArray | None = None):
        said = np.array([np.random.default_rng(int(seed)).normal() for seed in seeds])
        if rows is None:
            self.genomes, self.y = genomes.double().numpy().copy(), said
        else:
            self.genomes[rows], self.y[rows] = genomes.double().numpy(), said

    def act(self, observations: Any, rewards: Any, rows: Sequence[int]) -> Any:
        w = self.genomes[rows]
        self.y[rows] = w[:, 0] * self.y[rows] + w[:, 1] * observations[:, 0] + w[:, 2] * rewards
        return np.tanh(self.y[rows])[:, None].astype(np.float32)

    def weights(self) -> dict[str, Tensor]:
        return {}

    def close(self) -> None:
        self.closed += 1


class Late(Leaky):
    """Computes when its outputs are taken, by the arrays that it was given, into a buffer that it keeps."""

    def __init__(self, **shapes: Any) -> None:
        super().__init__(**shapes)
        self.buffer, self.under_way = np.full((64, 1), np.nan, np.float32), False

    def birth(self, *given: Any) -> None:
        assert not self.under_way
        super().birth(*given)

    def act(self, observations: Any, rewards: Any, rows: Sequence[int]) -> Any:
        return self.start(observations, rewards, rows)()

    def start(self, observations: Any, rewards: Any, rows: Sequence[int]) -> Outputs:
        assert not self.under_way
        self.under_way = True
        self.buffer[:] = np.nan
        before = observations.copy(), rewards.copy(), list(rows)

        def outputs() -> NDArray[np.float32]:
            assert self.under_way
            self.under_way = False
            for now, then in zip((observations, rewards, rows), before, strict=True):
                np.testing.assert_array_equal(now, then)
            self.buffer[: len(rows)] = Leaky.act(self, observations, rewards, rows)
            return self.buffer[: len(rows)]

        return outputs


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    gymnasium.register(ENV, Ball)
    yield
    gymnasium.registry.pop(ENV)


def by_hand(genome: Tensor, seed: int, rules: LifeRules) -> tuple[float, int]:
    """(fitness, steps) of a life, NaN if it fails."""
    env, policy = Ball(), Leaky((2,), 1)
    policy.birth(genome[None], [seed])
    total, steps, reward = 0.0, 0, 0.0
    try:
        observation, _ = env.reset(seed=seed)
        while True:
            action = np.zeros(1, np.float32)
            if steps >= rules.idle:
                action = policy.act(observation[None], np.float32([reward]), [0])[0]
            observation, reward, terminated, _, _ = env.step(action)
            steps += 1
            total += reward if steps > rules.idle else 0
            if (terminated and steps > rules.idle) or steps == rules.horizon:
                return total, steps
    except RuntimeError:
        return np.nan, steps


def assert_same(one: Evaluation, other: Evaluation) -> None:
    """Bit for bit, in everything that trials report."""
    np.testing.assert_array_equal(one.fitness, other.fitness)
    np.testing.assert_array_equal(one.steps, other.steps)
    assert one.failures == other.failures
    assert one.measures.keys() == other.measures.keys()
    for name, values in one.measures.items():
        np.testing.assert_array_equal(values, other.measures[name])
    assert (one.statistics is None) == (other.statistics is None)
    if one.statistics is not None and other.statistics is not None:
        for name, values in vars(one.statistics).items():
            np.testing.assert_array_equal(values, getattr(other.statistics, name))


numbers = st.integers(1, 6)


@given(numbers, st.integers(1, 3), st.data(), st.integers(0, 3), st.sampled_from([Leaky, Late]), st.integers(0, 2**31))
def test_every_trial_is_what_it_is_alone(
    members: int, episodes: int, data: st.DataObject, idle: int, policy: Any, seed: int
) -> None:
    batch = data.draw(st.integers(1, 9), "batch")
    crews = data.draw(st.integers(1, batch), "crews")
    rng = np.random.default_rng(seed)
    rules = LifeRules(horizon=9, idle=idle)
    task = RolloutTask(ENV, policy, batch=batch, crews=crews, rules=rules)
    genomes = torch.from_numpy(rng.normal(size=(members, 3)))
    seeds = rng.integers(100, size=(members, episodes))
    tried = task.evaluate(DensePopulation(genomes), range(members), seeds)
    expected = [[by_hand(genome, int(seed), rules) for seed in own] for genome, own in zip(genomes, seeds, strict=True)]
    fitness, steps = np.moveaxis(expected, 2, 0)
    np.testing.assert_array_equal(tried.fitness, fitness)
    np.testing.assert_array_equal(tried.steps[~np.isnan(fitness)], steps[~np.isnan(fitness)])
    assert sum(tried.failures.values()) == np.isnan(fitness).sum()
    task.close()


@given(st.integers(0, 30), st.lists(numbers, min_size=1, max_size=4), st.integers(0, 2**31))
def test_the_queue_is_drained_and_each_trial_told_once(trials: int, sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = sorted(sizes, reverse=True)
    crews = [Crew(Lives(SeparateBodies(ENV, size, {}), LifeRules()), Leaky((2,), 1)) for size in sizes]
    genomes, seeds = torch.from_numpy(rng.normal(size=(trials, 3))), rng.integers(100, size=trials)
    told: Counter[int] = Counter()
    for crew, trial, row in take_turns(crews, lambda born: genomes[torch.as_tensor(born)], seeds):
        fitness, steps = by_hand(genomes[trial], int(seeds[trial]), LifeRules())
        assert (row in crew.lives.failures) == np.isnan(fitness)
        if row not in crew.lives.failures:
            assert (crew.lives.fitness[row], crew.lives.steps[row]) == (fitness, steps)
        told[trial] += 1
    assert told == Counter(range(trials))


@given(st.integers(0, 50), numbers)
def test_shares_are_even(number: int, crews: int) -> None:
    found = shares(number, crews)
    assert sum(found) == number
    assert len(found) == crews
    assert sorted(found, reverse=True) == found
    assert found[0] - found[-1] <= 1


def test_neighbours_are_born_together_and_fewer_trials_are_shared_too() -> None:
    for trials, expected in {30: [[0, 1, 2, 3], [4, 5, 6, 7]], 5: [[0, 1, 2], [3, 4]], 1: [[0]]}.items():
        born: list[list[int]] = []
        crews = [Crew(Lives(SeparateBodies(ENV, 4, {}), LifeRules()), Leaky((2,), 1)) for _ in range(2)]

        def genomes(newborn: NDArray[np.intp], born: list[list[int]] = born) -> Tensor:
            born.append(newborn.tolist())
            return torch.zeros(len(newborn), 3)

        list(take_turns(crews, genomes, np.full(trials, 1)))
        assert born[: len(expected)] == expected


def test_a_crew_whose_first_lives_all_fail_leaves_the_next_its_own() -> None:
    seeds = np.array([5, 10, 15, 20, 25, 30, 1, 2, 3, 4, 8])[:, None]  # the first six are stillborn
    genomes = torch.randn(len(seeds), 3, dtype=torch.float64)
    task = RolloutTask(ENV, Late, batch=6, crews=2)
    tried = task.evaluate(DensePopulation(genomes), range(len(seeds)), seeds)
    expected = [by_hand(genome, int(seed), LifeRules())[0] for genome, seed in zip(genomes, seeds[:, 0], strict=True)]
    np.testing.assert_array_equal(tried.fitness[:, 0], expected)
    assert np.isnan(expected).sum() == 6


POLICY = partial(PlasticNetwork, hidden=[5], rule=HebbianRule(normaliser="max"))
QUADRUPED, RACE = "neuroplastic_envs:neuroplastic/Quadruped-v0", "neuroplastic_envs:neuroplastic/CarRacing-v0"
CASES: dict[str, dict[str, Any]] = {
    "CartPole": {"env": "CartPole-v1", "policy": POLICY, "recovery": Recovery(moment=4, window=3)},
    "broken balls": {"env": ENV, "policy": Late, "measures": ["at"], "rules": LifeRules(idle=1)},
    "quadruped": {
        "env": QUADRUPED,
        "policy": POLICY,
        "variations": [{}, {"damage": "front_right:shorten@12-20"}],
        "rules": LifeRules(horizon=40, idle=10, grace=15, patience=4),
        "measures": ["distance"],
    },
    "CarRacing": {
        "env": RACE,
        "policy": partial(POLICY, front=ConvolutionalFront([2, 3], [3, 5], [1, 2], [2, 2])),
        "env_options": {"observation": "paper"},
        "rules": LifeRules(horizon=60),
        "squash": ["tanh", "sigmoid", "sigmoid"],
        "measures": ["tiles"],
    },
}


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_numbers_do_not_depend_on_crews(name: str, normalise: bool) -> None:
    rng = np.random.default_rng()
    seeds = rng.integers(2**31, size=(5, 2))
    seeds[3] -= seeds[3] % STILLBORN  # some balls fail in any case, and some do not
    seeds[4] -= seeds[4] % (STILLBORN * BROKEN) - 1
    population, shared, alone = None, None, None
    for batch, crews in [(1, 1), (6, 1), (6, 2), (6, 3)]:
        task = RolloutTask(**CASES[name], batch=batch, crews=crews, normalise=normalise)
        assert isinstance(task._lives(0).bodies, VectorBodies if "neuroplastic" in task.env else SeparateBodies)
        if population is None:
            matrix = rng.normal(size=(5, task.layout.size)).astype(np.float32)
            print("seeds and genomes", seeds, matrix)
            population = DensePopulation(torch.from_numpy(matrix))
            if normalise:
                seen = task.evaluate(population, range(5), seeds).statistics
                assert seen is not None
                shared = seen.total()
        tried = task.evaluate(population, range(5), seeds, shared)
        bodies = [task._lives(0, crew).bodies.size for crew in range(crews)]
        assert sum(bodies) == batch
        assert len({id(task._policy(crew)) for crew in range(crews)}) == crews
        task.close()
        alone = alone or tried
        assert_same(tried, alone)
        assert (RECOVERY in tried.measures) == (name == "CartPole")
        failed = np.isnan(tried.fitness)
        assert failed.any() == (name == "broken balls")
        assert all(np.isnan(values[failed]).all() for values in tried.measures.values())
        assert not failed.all()


class Diary:
    """Notes when bodies move and when a policy begins and waits."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def bodies(self, name: str, size: int) -> SeparateBodies:
        events = self.events

        class Noted(SeparateBodies):
            def step(self, rows: Rows, outputs: Any, resting: Any = None) -> None:
                events.append((name, "moves"))
                super().step(rows, outputs, resting)

            def reset(self, rows: Rows, seeds: Any) -> None:
                events.append((name, "is born"))
                super().reset(rows, seeds)

        return Noted("CartPole-v1", size, {})

    def policy(self, name: str, bodies: SeparateBodies) -> PlasticNetwork:
        events = self.events

        class Begins(PlasticNetwork):
            def start(self, observations: Any, rewards: Any, rows: Sequence[int]) -> Callable[[], Any]:
                events.append((name, "starts"))

                def outputs() -> Any:
                    events.append((name, "waits"))
                    return self.act(observations, rewards, rows)

                return outputs

        return Begins(bodies.shape, bodies.outputs, [4], rule=HebbianRule(normaliser="max"))


def test_bodies_of_one_crew_move_while_the_network_of_the_other_computes() -> None:
    diary, crews, rng = Diary(), [], np.random.default_rng()
    for name in ("A", "B"):
        bodies = diary.bodies(name, 3)
        crews.append(Crew(Lives(bodies, LifeRules(horizon=30)), diary.policy(name, bodies)))
    genomes = torch.from_numpy(rng.normal(size=(11, crews[0].policy.layout.size)).astype(np.float32))
    seeds = rng.integers(2**31, size=11)
    print("seeds and genomes", seeds, genomes)
    told = sorted(trial for _, trial, _ in take_turns(crews, lambda born: genomes[torch.as_tensor(born)], seeds))
    assert told == list(range(11))

    for name in ("A", "B"):
        own = [event for who, event in diary.events if who == name and event != "is born"]
        begun = own.count("starts")
        assert own[: 3 * begun] == ["starts", "waits", "moves"] * begun
        assert set(own[3 * begun :]) <= {"moves"}  # alone, it is asked at once
    steps = [step for step in diary.events if step[1] != "is born"]
    assert steps[:2] == [("A", "starts"), ("B", "starts")]
    under_way: dict[str, int] = {}  # which crew has begun a step, and when
    overlaps = Counter[str]()
    for moment, (who, event) in enumerate(steps):
        other = "B" if who == "A" else "A"
        if event == "starts":
            assert moment == 0 or other in under_way
            under_way[who] = moment
        elif event == "waits":
            began = under_way.pop(who)
            if other in under_way and began > 0:
                assert steps[began + 1 : moment] == [(other, "waits"), (other, "moves"), (other, "starts")]
                overlaps[who] += 1
    assert min(overlaps["A"], overlaps["B"]) >= 5


def test_policies_take_samples_where_they_can() -> None:
    taken: list[type] = []

    class Sampling(Leaky):
        takes_samples = True

        def birth(self, genomes: Any, seeds: Any, rows: Any = None) -> None:
            taken.append(type(genomes))
            if isinstance(genomes, Sample):
                genomes = perturbed(genomes.center, genomes.sigma, genomes.streams, genomes.signs)
            super().birth(genomes, seeds, rows)

    rng = np.random.default_rng()
    streams, signs = rng.integers(2**63, size=4).astype(np.uint64).repeat(2), np.tile(np.int8([1, -1]), 4)
    drawn = SampledPopulation(torch.randn(3), 0.5, streams, signs)
    seeds = rng.integers(2**31, size=(7, 2))
    index = [6, 0, 1, 3, 7, 2, 4]
    plain = RolloutTask(ENV, Leaky, batch=4, crews=2).evaluate(drawn, index, seeds)
    assert_same(RolloutTask(ENV, Sampling, batch=4, crews=2).evaluate(drawn, index, seeds), plain)
    assert set(taken) == {Sample}
    taken.clear()
    dense = DensePopulation(drawn.rows(range(8)))
    assert_same(RolloutTask(ENV, Sampling, batch=4, crews=2).evaluate(dense, index, seeds), plain)
    assert set(taken) == {Tensor}


def test_a_closed_or_pickled_task_begins_anew() -> None:
    made: list[Leaky] = []

    def make(**shapes: Any) -> Leaky:
        made.append(Leaky(**shapes))
        return made[-1]

    population, seeds = DensePopulation(torch.randn(6, 3)), np.random.default_rng().integers(2**31, size=(6, 1))
    task = RolloutTask(ENV, make, batch=4, crews=2)
    tried = task.evaluate(population, range(6), seeds)
    task.close()
    assert [policy.closed for policy in made] == [1, 1]
    assert_same(task.evaluate(population, range(6), seeds), tried)
    assert len(made) == 2
    other = RolloutTask(ENV, Leaky, batch=4, crews=2)
    assert_same(other.evaluate(population, range(6), seeds), tried)
    assert_same(pickle.loads(pickle.dumps(other)).evaluate(population, range(6), seeds), tried)


def test_as_many_crews_as_there_are_lives_at_most() -> None:
    for crews in (0, 5):
        with pytest.raises(ArgumentError, match=rf"task\.crews: expected a number >= 1 and <= 4; got {crews}"):
            RolloutTask(ENV, Leaky, batch=4, crews=crews)
