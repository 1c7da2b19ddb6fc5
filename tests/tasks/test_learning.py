"""Learning tasks: what a trial depends on, what is kept apart, and what is refused."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.evaluate.serial import SerialEvaluator
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.descent import SGD
from neuroplastic.learners.evolution import Evolution, Selection
from neuroplastic.noise import episode_seeds
from neuroplastic.search import CMAES
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.data import sources
from neuroplastic.tasks.families import Family, boolean
from neuroplastic.tasks.learning import LearningTask

RULE = Blur()


def task(**options) -> LearningTask:
    defaults = {"updates": 3, "samples": 16, "exam": 32, "batch": 4}
    return LearningTask(RULE, boolean(((6,), (4, 3))), **(defaults | options))


def population(number: int, seed: int) -> DensePopulation:
    return DensePopulation(torch.stack([RULE.drawn(seed + n) for n in range(number)]).float())


@pytest.mark.parametrize("fitness", ["accuracy", "loss", "area"])
def test_a_trial_depends_on_genome_and_seed_alone(fitness: str) -> None:
    seed = int(np.random.default_rng().integers(10**6))
    tried, members = task(fitness=fitness), population(7, seed)
    seeds = episode_seeds(seed, "train", 0, 3)
    together = tried.evaluate(members, range(7), np.broadcast_to(seeds, (7, 3)))
    for member, own in [(5, [2, 0]), (0, [1]), (6, [0, 1, 2])]:
        alone = task(fitness=fitness).evaluate(members, [member], seeds[None, own])
        assert (alone.fitness[0] == together.fitness[member, own]).all(), f"seed {seed}"
        for name, values in alone.measures.items():
            assert (values[0] == together.measures[name][member, own]).all(), f"seed {seed}"
    mixed = np.array([[seeds[0], seeds[1]], [seeds[1], seeds[2]], [seeds[2], seeds[0]]])
    apart = tried.evaluate(members, [1, 2, 3], mixed)
    for row, member in enumerate([1, 2, 3]):
        for column in range(2):
            expected = together.fitness[member, list(seeds).index(mixed[row, column])]
            assert apart.fitness[row, column] == expected, f"seed {seed}"


def test_fitness_is_what_plain_training_gives() -> None:
    """One network at a time with the rule's own methods, on the source's own samples."""
    tried, members, seed = task(fitness="loss", dtype=torch.float64), population(2, 4), 77
    found = tried.evaluate(members, [0, 1], np.array([[seed], [seed]]))
    for member in range(2):
        genome, losses, right = members.matrix[member : member + 1].double(), [], {}
        for group, state in groups(tried, genome, seed).items():
            lessons = tried.lessons[group]
            for update in range(3):
                state = RULE.learn(genome, state, *lesson(tried, lessons, seed, update))
            x, y = lesson(tried, lessons, seed, "exam")
            outputs = RULE.predict(genome, state, x)
            losses.append(float((outputs - y).square().mean()))
            right[lessons.name] = float((outputs.sign() == y).double().mean())
        assert found.fitness[member, 0] == pytest.approx(-np.mean(losses), abs=1e-10)
        for name, share in right.items():
            assert found.measures[f"accuracy_{name}"][member, 0] == pytest.approx(share, abs=1e-12)


def groups(tried: LearningTask, genome, seed: int) -> dict:
    from neuroplastic.noise import stream

    births = [stream(seed, "birth", one.name) >> 1 for one in tried.lessons]
    return {n: RULE.birth(genome, one.sizes, np.array(births[n : n + 1])) for n, one in enumerate(tried.lessons)}


def lesson(tried: LearningTask, one, seed: int, which: int | str):
    from neuroplastic.noise import stream

    exam = which == "exam"
    x, y = one.source.draw(stream(seed, "samples", one.name, which), tried.exam if exam else tried.samples, exam=exam)
    return x[None, None].double(), (2.0 * y - 1)[None, None, :, None].double()


def test_a_life_in_parts_is_a_life_in_one() -> None:
    tried, genomes = task(), population(3, 9).matrix
    seeds = np.array([5])
    state, whole = tried.advance(tried.begin(genomes, seeds), genomes, seeds, 0, 3, every=True)
    parts, first = tried.advance(tried.begin(genomes, seeds), genomes, seeds, 0, 1)
    parts, rest = tried.advance(parts, genomes, seeds, 1, 2, every=True)
    assert torch.equal(torch.cat((first, rest), 1), whole)
    assert all(torch.equal(parts[name], array) for name, array in state.items())


def test_a_diverging_genome_fails_and_its_neighbours_do_not() -> None:
    tried, members = task(updates=8), population(3, 1)
    seeds = np.broadcast_to(np.array([3, 4]), (3, 2))
    before = tried.evaluate(members, range(3), seeds)
    wild = members.matrix.clone()
    wild[1, RULE.layout.slices["f̃"]] = 1e30
    after = tried.evaluate(DensePopulation(wild), range(3), seeds)
    assert np.isnan(after.fitness[1]).all()
    assert after.failures == {"diverged": 2}
    assert (after.fitness[[0, 2]] == before.fitness[[0, 2]]).all()


def test_it_evolves_under_the_learner_of_everything_else() -> None:
    """A task whose best genomes are easy to find: with no update, only the sign of what passes forward matters."""
    family = Family({"or": sources["or"]()}, {"and": sources["and"]()}, {"nor": sources["nor"]()}, ((3,),))
    tried = LearningTask(RULE, family, updates=1, samples=8, exam=32, batch=4, fitness="loss")
    search = CMAES(RULE.drawn(1), population=8, sigma=0.2, seed=1)
    learner = Evolution(search, SerialEvaluator(tried), seed=1, selection=Selection(every=2, episodes=2))
    lines = [learner.step() for _ in range(3)]
    assert [line["steps"] for line in lines] == sorted({line["steps"] for line in lines})
    assert "center_accuracy_or" in lines[0]
    copy = Evolution(CMAES(RULE.drawn(1), population=8, sigma=0.2, seed=1), SerialEvaluator(tried), seed=1)
    copy.load_state_dict(learner.state_dict())
    copy.selection = learner.selection
    again, ahead = copy.step(), learner.step()
    assert {**again, "seconds": 0} == {**ahead, "seconds": 0}


def test_parts_share_nothing() -> None:
    one, two, three = ({name: sources[name]()} for name in ("xor", "and", "or"))
    for part, arguments in {
        "validation": (one, {}, three),
        "held_out": (one, two, {}),
        "train": ({}, two, three),
    }.items():
        with pytest.raises(ArgumentError, match=f"{part}: expected one source at least"):
            Family(*arguments)
    with pytest.raises(ArgumentError, match="held_out: expected other sources than in train; got 'xor'"):
        Family(one, two, one)
    with pytest.raises(ArgumentError, match="'again', which is 'xor' there"):
        Family(one, two, {"again": sources["xor"]()})
    with pytest.raises(ArgumentError, match=r"held_out_hidden: expected other layers than in hidden; got \[\(20,\)\]"):
        Family(one, two, three, ((20,),), ((20,), (5,)))
    family = Family(one, two, three, ((20,),), ((5, 5), (40,)))
    assert [lesson.name for lesson in family.lessons("train")] == ["xor"]
    assert [lesson.name for lesson in family.lessons("held-out")] == ["or@20", "or@5-5", "or@40"]
    assert [lesson.name for lesson in family.lessons("held-out-sizes")] == ["xor@5-5", "xor@40"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="fitness"):
        task(fitness="speed")
    with pytest.raises(UnknownNameError, match="part"):
        task(part="test")
    with pytest.raises(ArgumentError, match="held_out_hidden"):
        task(part="held-out-sizes")
    with pytest.raises(ArgumentError, match="task.updates: expected a number >= 1; got 0"):
        task(updates=0)
    with pytest.raises(ShapeError, match=r"genomes: expected shape \[1, 20\]; got \[1, 19\]"):
        task().evaluate(DensePopulation(torch.zeros(1, 19)), [0], np.zeros((1, 1), np.int64))


def test_tasks_are_sent_without_what_they_have_drawn() -> None:
    tried, members, seeds = task(), population(2, 3), np.array([[1], [2]])
    fitness = tried.evaluate(members, [0, 1], seeds).fitness
    sent = pickle.loads(pickle.dumps(tried))
    assert len(pickle.dumps(tried)) < 5_000
    assert (sent.evaluate(members, [0, 1], seeds).fitness == fitness).all()
    assert replace(tried, part="validation").lessons[0].name.startswith("nand")


def test_descent_learns_what_it_should() -> None:
    """200 updates of SGD classify linearly separable samples, whatever the seed."""
    family = Family({"and": sources["and"]()}, {"or": sources["or"]()}, {"nor": sources["nor"]()}, ((16,),))
    tried = LearningTask(SGD(), family, updates=200)
    genome = torch.tensor([[-0.7, 0.9]])
    assert tried.evaluate(DensePopulation(genome), [0], np.array([[1, 2]])).fitness.min() > 0.95
