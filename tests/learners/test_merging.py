"""Evolve and merge: near rules become one, the search goes on where it was, and a merge is a part of its generation."""

import pickle
import secrets

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_evolution import Script, sphere

from neuroplastic.errors import ArgumentError, MissingExtraError, ShapeError
from neuroplastic.genome import Identity, Layout
from neuroplastic.learners.evolution import Decoded, Evolution, Selection
from neuroplastic.learners.merging import Merge, Merging, clustered, projection
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.plastic.sharing import Groups, LowRank, Synapses, balanced
from neuroplastic.search import CMAES, OpenAIES
from neuroplastic.search.base import DensePopulation

LAYOUT = Layout(
    (("front.conv0", (3,)), ("layer0.A", (3, 4)), ("layer0.lr", (3, 4)), ("layer1.A", (2, 3)), ("layer1.lr", (2, 3)))
)
SYNAPSES = Synapses(LAYOUT, ("A", "lr"))
N = 18


def merging(*stages: tuple[int, int], start: Identity | Groups | None = None) -> Merging:
    return Merging(SYNAPSES, start or Identity(LAYOUT), [Merge(*stage) for stage in stages], seed=2)


def learner(script: Script, *stages: tuple[int, int], **options) -> Evolution:
    center = torch.randn(LAYOUT.size, generator=torch.Generator().manual_seed(8))
    strategy = OpenAIES(center, population=10, sigma=0.1, learning_rate=0.1, optimizer="adam", seed=4)
    codec = options.pop("codec", Identity(LAYOUT))
    made = merging(*stages) if stages else None
    return Evolution(strategy, script, seed=5, codec=codec, merging=made, **options)


def rules_of(genome: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in SYNAPSES.rules(torch.from_numpy(genome.copy())).numpy()}


# ---------------------------------------------------------------- clustering


def test_rules_that_are_near_become_one() -> None:
    rng = np.random.default_rng(seed := secrets.randbits(32))
    centers = 100 * rng.permutation(8)[:, None] + rng.normal(size=(8, 3))
    which = rng.permutation(np.arange(200) % 8)
    clusters = clustered(centers[which] + 0.1 * rng.normal(size=(200, 3)), 8, 1)
    pairs = {(int(a), int(b)) for a, b in zip(which, clusters, strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == 8, f"seed {seed}"


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(1, 4), st.data())
def test_no_cluster_is_empty_however_few_rules_differ(rules: int, different: int, data) -> None:
    groups = data.draw(st.integers(1, rules))
    numbers = np.repeat(np.arange(float(different)), rules)[:, None][np.random.default_rng(rules).permutation(rules)]
    clusters = clustered(numbers, groups, 3)
    assert clusters.dtype == np.int32
    assert set(clusters.tolist()) == set(range(groups))
    assert np.array_equal(clusters, clustered(numbers, groups, 3))


def test_the_quadruped_has_1920_numbers_after_the_published_merge() -> None:
    net = PlasticNetwork(28, 8, (128, 64), rule=HebbianRule())
    synapses = Synapses(net.layout, ("A", "B", "C", "D", "lr"))
    made = Merging(synapses, net.codec, [Merge(3, 384)], seed=1)
    vector = torch.randn(61_440, generator=torch.Generator().manual_seed(3))
    codec = made.merged(net.codec, vector, made.merges[0])
    assert (net.codec.layout.size, codec.layout.size) == (61_440, 1_920)
    onto = projection(net.codec, codec)
    center, rules = onto.mean(vector), synapses.rules(vector)
    named = codec.layout.split(center)
    for term, name in enumerate(synapses.terms):
        for group in range(384):
            own = rules[codec.assignment == group, term]
            assert float(named[f"rules.{name}"][group]) == pytest.approx(float(own.mean()), abs=1e-5)
    spread = (net.codec.decode(vector[None]) - codec.decode(center[None])).var() / vector.var()
    assert 0 < float(spread) < 0.5  # a random assignment leaves nearly all of it, 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, N), min_size=2, max_size=4, unique=True), st.integers(0, 2**32))
def test_a_second_merge_is_of_whole_groups(numbers: list[int], seed: int) -> None:
    numbers = sorted(numbers, reverse=True)
    made = merging(*enumerate(numbers))
    codec, vector = made.start, torch.randn(LAYOUT.size, generator=torch.Generator().manual_seed(seed))
    for merge in made.merges:
        before, old, (codec, vector) = (
            codec,
            vector,
            (new := made.merged(codec, vector, merge), projection(codec, new).mean(vector)),
        )
        assert codec.number == merge.groups
        assert len(vector) == 3 + 2 * merge.groups == codec.layout.size
        assert torch.equal(old[:3], vector[:3])  # what nobody shares is as it was
        if isinstance(before, Groups):
            pairs = set(zip(before.assignment.tolist(), codec.assignment.tolist(), strict=True))
            assert len(pairs) == before.number


# ---------------------------------------------------------------- the learner


def test_from_its_generation_on_a_merge_holds_and_before_it_nothing_is_different() -> None:
    script, plain = Script(sphere), Script(sphere)
    evolution, other = learner(script, (2, 5), (4, 2)), learner(plain)
    metrics = [evolution.step() for _ in range(6)]
    for _ in range(2):
        other.step()
    for (rows, seeds), (same, same_seeds) in zip(script.asked, plain.asked, strict=False):
        assert np.array_equal(rows, same)
        assert np.array_equal(seeds, same_seeds)
    assert [row.get("groups") for row in metrics] == [None, None, 5, None, 2, None]
    assert all("selected" in metrics[generation] for generation in (2, 4))
    trained = [rows for rows, _ in script.asked if len(rows) == 11]
    assert [max(len(rules_of(row)) for row in rows) for rows in trained] == [N, N, 5, 5, 2, 2]
    after = trained[2][-1]  # the center: each rule is the mean of those that it is made of
    own, merged = (SYNAPSES.rules(torch.from_numpy(genome)) for genome in (other.strategy.center.numpy(), after))
    for rule in merged.unique(dim=0):
        followers = (merged == rule).all(dim=1)
        torch.testing.assert_close(rule, own[followers].mean(dim=0))
    found = evolution.found()
    assert found["center"].vector.shape == found["best"].vector.shape == (3 + 2 * 2,)
    assert all(len(rules_of(each.genome.numpy())) == 2 for each in found.values())


def test_best_after_a_merge_is_one_that_was_tried_in_it() -> None:
    script = Script(sphere)
    evolution = learner(script, (3, 4), selection=Selection(every=100))
    for _ in range(4):
        evolution.step()
    candidates, _ = script.asked[-1]
    assert any(np.array_equal(evolution.best.genome, row) for row in candidates)
    assert len(rules_of(candidates[0])) == 4


@pytest.mark.parametrize("purpose", [1, 2])
def test_a_merge_that_is_interrupted_has_not_been(purpose: int) -> None:
    class Interrupted(Exception): ...

    broken = [True]

    def interrupted(genome: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        if broken[0] and seeds[0] & 3 == purpose and len(rules_of(genome)) < N:
            raise Interrupted
        return sphere(genome, seeds)

    script, whole = Script(interrupted), learner(Script(sphere), (1, 6))
    evolution = learner(script, (1, 6))
    evolution.step()
    before = evolution.state_dict()
    with pytest.raises(Interrupted):
        evolution.step()
    after = evolution.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(torch.as_tensor(before[name]), torch.as_tensor(after[name])) for name in before)
    broken[0] = False
    evolution.step()
    whole.step(), whole.step()
    assert torch.equal(evolution.strategy.center, whole.strategy.center)


@pytest.mark.parametrize("generations", range(6))
def test_saved_before_at_and_after_merges_it_goes_on_bit_for_bit(generations: int) -> None:
    stages = (2, 5), (4, 2)
    whole, first, fresh = (learner(Script(sphere), *stages) for _ in range(3))
    beyond = learner(Script(sphere), *stages)
    for _ in range(6):
        whole.step(), beyond.step()
    for _ in range(generations):
        first.step()
    assert set(first.state_dict()) == set(fresh.state_dict())
    for again in (fresh, beyond):  # one that has done nothing, and one that has done it all
        again.load_state_dict(first.state_dict())
        for _ in range(6 - generations):
            again.step()
        assert torch.equal(again.strategy.center, whole.strategy.center)
        assert torch.equal(again.best.genome, whole.best.genome)
        assert again.state_dict().keys() == whole.state_dict().keys()


def test_a_state_of_other_merges_is_refused() -> None:
    evolution = learner(Script(sphere), (2, 5), (4, 2))
    for _ in range(3):
        evolution.step()
    state = evolution.state_dict()
    fresh = learner(Script(sphere), (2, 5), (4, 2))
    none = torch.zeros(0, dtype=torch.int32)
    for wrong, message in (
        ({"assignment": none}, "assignment: expected 5 merged groups after 3 generations; got no"),
        ({"assignment": balanced(N, 4)}, "assignment: expected 5 merged groups after 3 generations; got 4"),
        ({"generation": 2}, "assignment: expected no merged groups after 2 generations; got 5"),
        ({"assignment": balanced(N - 1, 5)}, r"assignment: expected shape \[18\]"),
        ({"assignment": balanced(N, 5).long()}, "assignment: expected int32"),
        ({"best": torch.zeros(LAYOUT.size)}, r"best: expected shape \[13\]"),
    ):
        with pytest.raises(ArgumentError, match=message):
            fresh.load_state_dict({**state, **wrong})
    fresh.load_state_dict(state)


def test_a_population_travels_with_its_codec() -> None:
    codec = Groups(SYNAPSES, balanced(N, 4))
    vectors = torch.randn(6, codec.layout.size)
    sent = pickle.dumps(Decoded(DensePopulation(vectors), codec))
    again = pickle.loads(sent)
    assert len(again) == 6
    assert torch.equal(again.rows([4, 1]), codec.decode(vectors[[4, 1]]))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "merge: expected at least one"),
        ([(2, 5), (2, 3)], "merge.1.generation: expected a number >= 3; got 2"),
        ([(2, 5), (1, 3)], "merge.1.generation: expected a number >= 3; got 1"),
        ([(2, 5), (3, 5)], "merge.1.groups: expected a number >= 1 and <= 4; got 5"),
        ([(2, 19)], "merge.0.groups: expected a number >= 1 and <= 18; got 19"),
        ([(-1, 5)], "merge.0.generation: expected a number >= 0; got -1"),
        ([(1, 0)], "merge.0.groups: expected a number >= 1"),
    ],
)
def test_merges_that_cannot_be_are_refused_by_name(stages, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        merging(*stages)


def test_more_groups_than_there_are_are_refused() -> None:
    start = Groups(SYNAPSES, balanced(N, 6))
    assert merging((0, 6), start=start).merges
    with pytest.raises(ArgumentError, match="merge.0.groups: expected a number >= 1 and <= 6; got 7"):
        merging((0, 7), start=start)


def test_other_sharings_and_searches_are_refused() -> None:
    with pytest.raises(ArgumentError, match="merge: expected rule.sharing 'synapse' or.*got a codec of LowRank"):
        Merging(SYNAPSES, LowRank(SYNAPSES, 1), [Merge(1, 3)], seed=0)
    with pytest.raises(ArgumentError, match="search.name: expected a search that can go on in fewer.*got CMAES"):
        Evolution(CMAES(torch.zeros(LAYOUT.size)), Script(sphere), merging=merging((1, 3)))
    with pytest.raises(ShapeError, match=r"strategy.center: expected shape \[39\]; got \[7\]"):
        Evolution(OpenAIES(torch.zeros(7)), Script(sphere), codec=Identity(LAYOUT))


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match="neuroplastic.sklearn"):
        merging((1, 3))


def test_groups_that_divide_what_was_one_are_refused() -> None:
    few, many = (Groups(SYNAPSES, balanced(N, number)) for number in (2, 7))
    with pytest.raises(ArgumentError, match="whole groups of before"):
        projection(few, many)
