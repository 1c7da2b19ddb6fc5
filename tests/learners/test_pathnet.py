"""PathNet: tournaments, freezing, and what is kept of a task for ever."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError, OrderError, UnknownNameError
from neuroplastic.learners import pathnet as module
from neuroplastic.learners.pathnet import EXCHANGES, PathNet, Stage, Tournament, mutate
from neuroplastic.noise import stream
from neuroplastic.pathnet import Block, Descent, Identity, Linear, SuperNetwork, active
from neuroplastic.tasks.pathnet.supervised import SupervisedTask, SupervisedTrial
from neuroplastic.tasks.pathnet.teacher import teacher_tasks
from neuroplastic.tasks.pathnet.training import Trained

NETWORK = SuperNetwork(
    (6,),
    (
        (Block(Linear(5), 6),),
        (Block(Linear(5, "tanh"), 4), Block(Identity(), 2)),
    ),
)
SMALL = Tournament(population=5, genes=2, steps=4)


def tasks(count: int = 3, **options) -> list[SupervisedTask]:
    return teacher_tasks(int(torch.randint(2**31, ())), count, inputs=6, hidden=4, outputs=3, batch=5, **options)


def learner(stages: list[Stage], seed: int | None = None, **options) -> PathNet:
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    options = {"tournament": SMALL, "descent": Descent("sgd", 0.05, momentum=0.5, decay=0.01)} | options
    return PathNet(NETWORK, stages, seed=seed, **options)


def same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, str):
            assert value == other[name], name
        else:
            np.testing.assert_array_equal(torch.as_tensor(value), torch.as_tensor(other[name]), err_msg=name)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("always_active", [False, True])
def test_what_is_learned_first_is_bit_for_bit_the_same_after_two_more_tasks(always_active: bool, exchange: str) -> None:
    own = tasks()
    tournament = replace(SMALL, exchange=exchange)
    pathnet = learner([Stage(task, 6) for task in own], always_active=always_active, tournament=tournament)
    x = torch.randn(50, 6)
    frozen: list[tuple[Tensor, dict[str, Tensor]]] = []
    predicted: dict[str, Tensor] = {}
    while not pathnet.stopped:
        before = pathnet.stage
        pathnet.step()
        if pathnet.stage > before:
            assert pathnet.generation == 6 * pathnet.stage
            frozen.append((pathnet.frozen.clone(), {name: each.clone() for name, each in pathnet.tensors.items()}))
            predicted[own[before].name] = pathnet.predict(own[before].name, x)
        for on, tensors in frozen:
            for name, layer, first, block in NETWORK.blocks:
                kept = on[layer, first : first + block.count]
                for array in block.module.layout(NETWORK.shapes[layer]):
                    now, then = pathnet.tensors[f"{name}.{array}"], tensors[f"{name}.{array}"]
                    assert torch.equal(now[kept], then[kept])
        for name, outputs in predicted.items():
            assert torch.equal(pathnet.predict(name, x), outputs)
    assert list(pathnet.learned) == [task.name for task in own]


def test_what_is_not_frozen_is_born_anew_with_a_new_population_and_readout() -> None:
    pathnet = learner([Stage(task, 3) for task in tasks(2)])
    births = NETWORK.birth(stream(pathnet.seed, "birth", 1))
    for _ in range(3):
        before = pathnet.tensors, pathnet.paths.clone()
        pathnet.step()
    frozen = pathnet.frozen
    path = pathnet.learned["teacher0"].path
    assert torch.equal(frozen, active(path, NETWORK.modules))
    for name, layer, first, block in NETWORK.blocks:
        kept = frozen[layer, first : first + block.count]
        for array in block.module.layout(NETWORK.shapes[layer]):
            now = pathnet.tensors[f"{name}.{array}"]
            assert torch.equal(now[~kept], births[f"{name}.{array}"][~kept])
            if kept.any() and array == "weight":
                assert not torch.equal(now[kept], births[f"{name}.{array}"][kept])
    for name, tensor in pathnet.tensors.items():
        if name.endswith(".momentum"):
            assert not tensor.any()
    assert np.isnan(pathnet.fitness).all()
    assert not torch.equal(pathnet.paths, before[1])
    assert not torch.equal(pathnet.tensors["readout.weight"], before[0]["readout.weight"])


class Scripted:
    """In the place of `train`: nothing learns, and fitness is a function of the path alone."""

    def __init__(self, fitness: Callable[[Tensor], float]) -> None:
        self.fitness, self.rounds = fitness, []

    def __call__(self, network, tensors, paths, task, steps, descent, source, frozen=None, progress=None) -> Trained:
        self.rounds.append((paths, source))
        return Trained(tensors, np.array([self.fitness(path) for path in paths]), 1)


def test_of_each_pair_the_loser_becomes_a_copy_of_the_winner(monkeypatch) -> None:
    def score(path: Tensor) -> float:  # another one for each set of modules
        return float((path.flatten() * 2.0 ** torch.arange(path.numel())).sum())

    scripted = Scripted(score)
    monkeypatch.setattr(module, "train", scripted)
    unchanged = Tournament(population=12, genes=2, steps=1, pairs=4, rate=0.0)
    pathnet = learner([Stage(tasks(1)[0], 100)], tournament=unchanged)
    # Twelve members with twelve different sets of modules.
    firsts, seconds = torch.meshgrid(torch.arange(4), torch.arange(3), indexing="ij")
    pathnet.paths = torch.stack([torch.stack([firsts, seconds + 3], -1), torch.stack([seconds, firsts], -1)], -2)
    pathnet.paths = pathnet.paths.reshape(12, 2, 2)
    before = pathnet.paths.clone()
    sets = active(before, NETWORK.modules)
    pathnet.step()
    seen: set[int] = set()
    for pair in scripted.rounds[0][0].view(4, 2, 2, 6):
        one, other = ([torch.equal(own, path) for own in sets].index(True) for path in pair)
        winner, loser = (one, other) if score(pair[0]) > score(pair[1]) else (other, one)
        assert torch.equal(pathnet.paths[winner], before[winner])
        assert torch.equal(pathnet.paths[loser], before[winner])
        assert pathnet.fitness[winner] == score(sets[winner])
        assert np.isnan(pathnet.fitness[loser])
        seen |= {one, other}
    assert len(seen) == 8  # nobody fights twice in a round
    for member in set(range(12)) - seen:
        assert torch.equal(pathnet.paths[member], before[member])


def test_in_a_tie_the_second_path_becomes_a_child_of_the_first(monkeypatch) -> None:
    scripted = Scripted(lambda path: 0.5)
    monkeypatch.setattr(module, "train", scripted)
    pathnet = learner([Stage(tasks(1)[0], 100)], tournament=Tournament(population=2, genes=2, steps=1, rate=0.0))
    pathnet.paths = torch.stack([torch.zeros(2, 2), torch.ones(2, 2)]).long()
    before = pathnet.paths.clone()
    pathnet.step()
    first = scripted.rounds[0][0][0]
    winner = next(member for member in range(2) if torch.equal(active(before[member], NETWORK.modules), first))
    assert torch.equal(pathnet.paths, before[winner].expand(2, -1, -1))
    assert pathnet.fitness[winner] == 0.5
    assert np.isnan(pathnet.fitness[1 - winner])


def test_what_failed_loses(monkeypatch) -> None:
    def score(path: Tensor) -> float:
        return float("nan") if path[0, 0] else -1.0

    monkeypatch.setattr(module, "train", Scripted(score))
    tournament = Tournament(population=12, genes=2, steps=1, pairs=6, rate=0.0)
    pathnet = learner([Stage(tasks(1)[0], 100)], tournament=tournament)
    pathnet.paths[:, 0] = 0  # all fail, but one
    pathnet.paths[4, 0] = 1
    good = pathnet.paths[4].clone()
    pathnet.step()
    assert (pathnet.paths == good).all((1, 2)).sum() >= 2
    assert np.nanmax(pathnet.fitness) == -1.0


def test_a_mutation_changes_one_gene_on_average_and_offsets_are_even() -> None:
    """χ² of five offsets, and a count of hits, each beyond chance in 1 of 10^6 seeds; the seed is fixed."""
    layers, genes, modules, children = 3, 4, 11, 20_000
    paths = torch.randint(modules, (children, layers, genes), generator=torch.Generator().manual_seed(1))
    rate = 1 / (layers * genes)
    moved = mutate(paths, modules, rate, 2, 7)
    assert ((moved >= 0) & (moved < modules)).all()
    offsets = (moved - paths + modules // 2) % modules - modules // 2
    assert offsets.abs().max() == 2
    hits = torch.stack([(offsets == offset).sum() for offset in (-2, -1, 1, 2)]).double()
    expected = children * rate * layers * genes / 5  # of each offset; those of 0 are not seen
    assert float(((hits - expected) ** 2 / expected).sum()) < 34  # χ² of 4 degrees of freedom
    each = (offsets != 0).double().mean(0)
    assert (each - 0.8 * rate).abs().max() < 5 * (rate / children) ** 0.5
    assert torch.equal(mutate(paths, modules, 0.0, 2, 7), paths)
    whole = (mutate(paths, modules, 1.0, 2, 7) - paths) % modules
    counts = torch.stack([(whole == offset % modules).sum() for offset in range(-2, 3)]).double()
    assert counts.sum() == paths.numel()
    expected = paths.numel() / 5
    assert float(((counts - expected) ** 2 / expected).sum()) < 34


@pytest.mark.parametrize("descent", [Descent("sgd", 0.05, momentum=0.5), Descent("adam", 0.01)], ids=["sgd", "adam"])
@pytest.mark.parametrize("rounds", [1, 4, 9])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_2n_is_n_and_resumed_n(descent: Descent, rounds: int, exchange: str) -> None:
    seed = int(torch.randint(2**31, ()))
    stages = [Stage(task, 4) for task in tasks()]
    pairs = Tournament(population=6, genes=2, steps=3, pairs=2, exchange=exchange)
    whole, half, rest = (learner(stages, seed, descent=descent, tournament=pairs) for _ in range(3))
    for _ in range(rounds):
        half.step()
    rest.load_state_dict({name: _copied(value) for name, value in half.state_dict().items()})
    logs: tuple[list, list] = [], []
    for _ in range(12):
        logs[0].append(whole.step())
    while not rest.stopped:
        logs[1].append(rest.step())
    same(whole.state_dict(), rest.state_dict())
    assert len(rest.history) == 12
    same(whole.history.tensors(), rest.history.tensors())
    for one, other in zip(logs[0][rounds:], logs[1], strict=True):
        np.testing.assert_equal(one | {"seconds": 0}, other | {"seconds": 0})


def _copied(value):
    return value.clone() if isinstance(value, Tensor) else value


@pytest.mark.parametrize("always_active", [False, True])
def test_the_history_is_what_was_seen_round_by_round(always_active: bool) -> None:
    first, *others = tasks(3)
    source = learner([Stage(first, 2)])
    while not source.stopped:
        source.step()
    stages = [Stage(task, 5, 0.0 if number else 2.0) for number, task in enumerate(others)]  # five rounds, then one
    pathnet = learner(stages, source=source, always_active=always_active)
    assert len(pathnet.history) == 0
    frozen, seen = [], []
    while not pathnet.stopped:
        frozen.append(pathnet.frozen.clone())
        stage, before = pathnet.stage, len(pathnet.learned)
        metrics = pathnet.step()
        learned = len(pathnet.learned) > before
        path = pathnet.learned[others[stage].name].path if learned else pathnet.paths[pathnet.best()]
        seen.append((stage, metrics["center"], active(path, NETWORK.modules)))
    history = pathnet.history
    assert history.tasks == ("teacher1", "teacher2")
    assert history.stage.tolist() == [stage for stage, _, _ in seen] == [0] * 5 + [1]
    assert history.fitness.tolist() == [fitness for _, fitness, _ in seen]
    assert torch.equal(history.active, torch.stack([own for _, _, own in seen]))
    assert torch.equal(history.frozen, torch.stack(frozen))
    assert torch.equal(history.inherited, source.frozen)
    assert history.always_active == always_active


def test_progress_is_told_every_step_and_what_it_raises_ends_the_round() -> None:
    pathnet, told = learner([Stage(tasks(1)[0], 10)]), []
    pathnet.progress = lambda done, total: told.append((done, total))
    pathnet.step()
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    before = {name: _copied(value) for name, value in pathnet.state_dict().items()}

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    pathnet.progress = stop
    with pytest.raises(KeyboardInterrupt):
        pathnet.step()
    same(before, pathnet.state_dict())


def test_a_step_that_is_interrupted_or_diverges_leaves_the_learner_as_it_was(monkeypatch) -> None:
    pathnet = learner([Stage(tasks(1)[0], 10)])
    pathnet.step()
    before = {name: _copied(value) for name, value in pathnet.state_dict().items()}
    right, calls = SupervisedTrial.gradients, []

    def interrupted(trial, network):
        calls.append(trial)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return right(trial, network)

    def infinite(trial, network):
        return {name: tensor * torch.inf for name, tensor in right(trial, network).items()}

    monkeypatch.setattr(SupervisedTrial, "gradients", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pathnet.step()
    same(before, pathnet.state_dict())
    monkeypatch.setattr(SupervisedTrial, "gradients", infinite)
    with pytest.raises(DivergenceError, match="teacher0: .* is not finite after 4 steps"):
        pathnet.step()
    same(before, pathnet.state_dict())


def test_a_task_is_over_when_its_threshold_is_reached_and_its_best_path_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(module, "train", Scripted(lambda path: float(path[0, 3]) + 0.1 * float(path[1, 2])))
    evolve = Tournament(population=30, genes=2, steps=1, pairs=15)
    pathnet = learner([Stage(task, 50, 1.1) for task in tasks(2)], seed=1, tournament=evolve)
    while not pathnet.stopped:
        pathnet.step()
    for learned in pathnet.learned.values():
        assert learned.active[0, 3]
        assert learned.active[1, 2]
    with pytest.raises(OrderError, match="all tasks are learned"):
        pathnet.step()
    assert torch.equal(pathnet.found()["best"].genome, pathnet.learned["teacher1"].path.flatten().float())


def test_frozen_modules_are_on_every_path_if_they_are_always_active() -> None:
    pathnet = learner([Stage(task, 2) for task in tasks(2)], seed=1, always_active=True)
    while pathnet.stage == 0:
        pathnet.step()
    assert (pathnet.active(pathnet.paths) & pathnet.frozen == pathnet.frozen).all()
    pathnet.always_active = False
    assert not (pathnet.active(pathnet.paths) & pathnet.frozen == pathnet.frozen).all()


def test_a_learner_that_transfers_keeps_what_its_source_froze() -> None:
    first, second = tasks(2)
    source = learner([Stage(first, 3)])
    with pytest.raises(ArgumentError, match="source: expected a frozen path to transfer from"):
        learner([Stage(second, 3)], source=source)
    while not source.stopped:
        source.step()
    x = torch.randn(9, 6)
    predicted = source.predict("teacher0", x)
    after = learner([Stage(second, 3)], source=source)
    while not after.stopped:
        after.step()
    assert torch.equal(after.predict("teacher0", x), predicted)
    assert list(after.learned) == ["teacher0", "teacher1"]
    with pytest.raises(ArgumentError, match="got 'teacher0' twice"):
        learner([Stage(first, 3)], source=source)
    other = SuperNetwork.alike(6, [Linear(5)] * 2, 6)
    with pytest.raises(ArgumentError, match="source: expected a learner of the same network"):
        PathNet(other, [Stage(second, 3)], tournament=SMALL, source=source)


def test_bad_input_is_named() -> None:
    one, two = tasks(2)
    with pytest.raises(ArgumentError, match=r"tournament.genes \(N, of M modules a layer\): expected.* <= 6; got 7"):
        learner([Stage(one, 3)], tournament=Tournament(genes=7))
    with pytest.raises(ArgumentError, match="stages: expected tasks of distinct names; got 'teacher0' twice"):
        learner([Stage(one, 3), Stage(two, 3), Stage(one, 3)])
    wide = teacher_tasks(1, 1, inputs=7)[0]
    with pytest.raises(ArgumentError, match=r"task 'teacher0': expected observations of shape \[6\].*got \[7\]"):
        learner([Stage(wide, 3)])
    with pytest.raises(ArgumentError, match="stages: expected one task or more"):
        learner([])
    with pytest.raises(ArgumentError, match="rounds"):
        Stage(one, 0)
    with pytest.raises(ArgumentError, match="tournament.pairs: expected a number >= 1 and <= 2; got 3"):
        Tournament(population=5, pairs=3)
    with pytest.raises(UnknownNameError, match="tournament.exchange: expected one of .*; got 'epoch'"):
        Tournament(exchange="epoch")
    with pytest.raises(UnknownNameError, match="task: expected one of"):
        learner([Stage(one, 3)]).predict("teacher0", torch.zeros(1, 6))
