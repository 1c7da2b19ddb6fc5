"""A round of paths that are trained each by itself: against training them one after the other by hand."""

import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, DivergenceError, ShapeError
from neuroplastic.pathnet import Block, Descent, Identity, Linear, SuperNetwork, Tensors, active, random_paths
from neuroplastic.search.base import DensePopulation
from neuroplastic.tasks.pathnet.teacher import teacher_tasks
from neuroplastic.tasks.pathnet.training import PathTrials, Round, merged, train

NETWORK = SuperNetwork((6,), ((Block(Linear(5), 6),), (Block(Linear(5, "tanh"), 4), Block(Identity(), 2))))
DESCENTS = {
    "sgd": Descent("sgd", 0.05),
    "momentum": Descent("sgd", 0.05, momentum=0.9, decay=0.01),
    "adam": Descent("adam", 0.01),
}


def begun(descent: Descent, paths: int = 4) -> tuple[PathTrials, Round, np.ndarray]:
    seed = int(torch.randint(2**31, ()))
    task = teacher_tasks(seed, 1, inputs=6, hidden=4, outputs=3, batch=5)[0]
    parameters = NETWORK.birth(seed) | NETWORK.readout_birth(3, seed)
    tensors = parameters | descent.begin(parameters)
    on = active(random_paths(paths, 2, 2, 6, seed), 6)
    frozen = torch.zeros(2, 6, dtype=torch.bool)
    frozen[0, 2] = frozen[1, 1] = True
    everybody = torch.ones(1, 2, 6, dtype=torch.bool)
    before = train(NETWORK, tensors, everybody, task, 3, descent, seed)  # so that something is remembered
    seeds = torch.randint(2**62, (paths, 1)).numpy()
    return PathTrials(NETWORK, (task,), descent, 6), Round(on, 0, before.tensors, frozen), seeds


def module_rows(name: str, path: Tensor) -> list[int]:
    """Which rows of a tensor a path [L, M] has, written out."""
    if name.startswith("readout"):
        return [0]
    layer, first, count = {"layer0.0": (0, 0, 6), "layer1.0": (1, 0, 4), "layer1.1": (1, 4, 2)}[name[:8]]
    return [row for row in range(count) if path[layer, first + row]]


@pytest.mark.parametrize("name", DESCENTS)
def test_changes_are_summed_and_what_is_remembered_is_the_mean_of_those_who_trained(name: str) -> None:
    trials, start, seeds = begun(DESCENTS[name])
    tried = trials.evaluate(start, range(4), seeds)
    after = merged(NETWORK, start, tried.outcomes)
    task, changed = trials.tasks[0], 0
    alone: list[Tensors] = []
    for number, path in enumerate(start.paths):
        own = train(NETWORK, start.tensors, path[None], task, 6, DESCENTS[name], int(seeds[number, 0]), start.frozen)
        assert tried.fitness[number, 0] == own.fitness[0]
        assert tried.steps[number, 0] == own.examples == 30
        alone.append(own.tensors)
    for tensor, before in start.tensors.items():
        for row in range(len(before)):
            who = [n for n, path in enumerate(start.paths & ~start.frozen) if row in module_rows(tensor, path)]
            values = [alone[n][tensor][row] for n in who]
            if not who:
                assert after[tensor][row].numpy().tobytes() == before[row].numpy().tobytes()
                continue
            if tensor.count(".") - tensor.startswith("layer") == 2:  # remembered
                expected = torch.stack(values).mean(0)
            else:
                expected = before[row] + sum(value - before[row] for value in values)
            torch.testing.assert_close(after[tensor][row], expected)
            changed += len(who) > 1
    assert changed


def test_a_trial_does_not_depend_on_what_else_is_tried() -> None:
    trials, start, seeds = begun(DESCENTS["adam"])
    whole = trials.evaluate(start, range(4), seeds)
    again = pickle.loads(pickle.dumps(trials))
    part = again.evaluate(pickle.loads(pickle.dumps(start)), [2], seeds[2:3])
    assert part.fitness.tobytes() == whole.fitness[2:3].tobytes()
    for name, tensor in part.outcomes[0].items():
        assert torch.equal(tensor, whole.outcomes[2][name])


def test_a_failed_trial_changes_nothing() -> None:
    trials, start, seeds = begun(DESCENTS["momentum"])
    tried = trials.evaluate(start, range(4), seeds)
    only = merged(NETWORK, start, [None, tried.outcomes[1], None, None])
    one = Round(start.paths[1:2], 0, start.tensors, start.frozen)
    for name, tensor in merged(NETWORK, one, tried.outcomes[1:2]).items():
        assert torch.equal(only[name], tensor)
    for name, tensor in merged(NETWORK, start, [None] * 4).items():
        assert torch.equal(tensor, start.tensors[name])


def test_bad_input_is_named() -> None:
    trials, start, seeds = begun(DESCENTS["sgd"])
    with pytest.raises(ArgumentError, match="population: expected a Round of paths; got DensePopulation"):
        trials.evaluate(DensePopulation(torch.zeros(2, 12)), range(2), seeds[:2])
    with pytest.raises(ShapeError, match="seeds"):
        trials.evaluate(start, range(4), seeds[:3])
    with pytest.raises(ArgumentError, match="trial_steps"):
        PathTrials(NETWORK, trials.tasks, trials.descent, 0)
    with pytest.raises(ShapeError, match="frozen"):
        Round(start.paths, 0, start.tensors, start.frozen[:1])
    tried = trials.evaluate(start, range(4), seeds)
    tried.outcomes[3]["readout.bias"][0, 0] = torch.inf
    with pytest.raises(DivergenceError, match="readout.bias is not finite after the changes of 4 paths"):
        merged(NETWORK, start, tried.outcomes)
