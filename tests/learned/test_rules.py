"""What every learned rule promises, whatever it is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.learned.base import State, UpdateRule
from neuroplastic.learned.blur import Blur
from neuroplastic.learned.known import back_propagation


def seed_of_today() -> int:
    return int(np.random.default_rng().integers(10**6))


def test_batched_is_one_at_a_time(rule: UpdateRule, some) -> None:
    seed = seed_of_today()
    genomes, state, x, targets = some(rule, seed)
    for _ in range(2):
        before, state = state, rule.learn(genomes, state, x, targets)
    outputs = rule.predict(genomes, state, x)
    for p in range(x.shape[0]):
        for e in range(x.shape[1]):
            own = {name: array[p : p + 1, e : e + 1] for name, array in before.items()}
            lesson = genomes[p : p + 1], own, x[p : p + 1, e : e + 1], targets[p : p + 1, e : e + 1]
            alone = rule.learn(*lesson)
            for name, array in alone.items():
                torch.testing.assert_close(array[0, 0], state[name][p, e], rtol=1e-10, atol=1e-10, msg=f"seed {seed}")
            predicted = rule.predict(lesson[0], alone, lesson[2])
            torch.testing.assert_close(predicted[0, 0], outputs[p, e], rtol=1e-10, atol=1e-10, msg=f"seed {seed}")


def test_lessons_may_be_shared_by_all_genomes(rule: UpdateRule, some) -> None:
    seed = seed_of_today()
    genomes, state, x, targets = some(rule, seed)
    shared = rule.learn(genomes, state, x[:1], targets[:1])
    repeated = rule.learn(genomes, state, x[:1].expand_as(x), targets[:1].expand_as(targets))
    for name, array in shared.items():
        torch.testing.assert_close(array, repeated[name], rtol=1e-12, atol=1e-12, msg=f"seed {seed}")


def permuted(state: State, layer: int, order: Tensor) -> State:
    """The networks with the units of a hidden layer in another order."""
    return {name: reordered(name.partition(".")[0], array, layer, order) for name, array in state.items()}


def reordered(name: str, array: Tensor, layer: int, order: Tensor) -> Tensor:
    into, out_of = f"forward{layer - 1}", f"forward{layer}"
    last = name in (into, f"bias{layer - 1}", f"backward{layer}")
    if last and array.shape[-1] > 1:
        return array[..., order]
    if name in (out_of, f"backward{layer - 1}") and array.shape[-2] > 1:
        return array[..., order, :]
    return array


def test_neurons_have_no_names(rule: UpdateRule, some) -> None:
    """Permuting the units of a hidden layer permutes what the networks become, and changes no output."""
    if isinstance(rule, Blur) and rule.layers:
        rule = Blur(**{**vars(rule), "layers": 3})
    seed = seed_of_today()
    genomes, state, x, targets = some(rule, seed, sizes=(3, 5, 6, 2))
    for layer, units in ((1, 5), (2, 6)):
        order = torch.randperm(units, generator=torch.Generator().manual_seed(seed))
        other = permuted(state, layer, order)
        after, after_other = (rule.learn(genomes, own, x, targets) for own in (state, other))
        for name, array in permuted(after, layer, order).items():
            torch.testing.assert_close(after_other[name], array, rtol=1e-10, atol=1e-10, msg=f"seed {seed}, {name}")
        torch.testing.assert_close(
            rule.predict(genomes, after_other, x), rule.predict(genomes, after, x), rtol=1e-10, atol=1e-10
        )


def test_gradient_through_the_unroll_is_that_of_finite_differences(some) -> None:
    seed, step = seed_of_today(), 1e-6
    for rule in (
        Blur(activation="tanh", backward_activation="tanh"),
        Blur(3, oja=True, synapse_norm=True, activation_norm=True, activation="tanh", backward_activation="tanh"),
        Blur(saturation=True, layers=2, symmetric=True, activation="tanh", backward_activation="tanh"),
    ):
        genomes, state, x, targets = some(rule, seed, genomes=2)

        def loss(genomes: Tensor, rule=rule, state=state, x=x, targets=targets) -> Tensor:
            for _ in range(5):
                state = rule.learn(genomes, state, x, targets)
            return (rule.predict(genomes, state, x) - targets).square().mean((1, 2, 3))

        genomes.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(genomes).sum(), genomes)
        slopes = torch.zeros_like(gradient)
        for d in range(genomes.shape[1]):
            moved = step * torch.nn.functional.one_hot(torch.tensor(d), genomes.shape[1])
            for times, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):  # an error of the order of step⁴
                slopes[:, d] += weight * loss(genomes.detach() + times * moved) / (12 * step)
        torch.testing.assert_close(gradient, slopes, rtol=1e-5, atol=1e-7, msg=f"seed {seed}, {rule}")


def curl(rule: UpdateRule, genome: Tensor, state: State, x: Tensor, targets: Tensor) -> float:
    """Largest |J - Jᵀ| over largest |J|, J = ∂Δw/∂w of the synapses that make the outputs: 0 for a gradient."""
    names = [name for name in state if name.startswith(("forward", "bias"))]
    shapes = [state[name].shape for name in names]

    def change(flat: Tensor) -> Tensor:
        parts = torch.split(flat, [int(np.prod(shape)) for shape in shapes])
        synapses = state | {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        after = rule.learn(genome, synapses, x, targets)
        return torch.cat([(after[name] - synapses[name]).flatten() for name in names])

    jacobian = torch.autograd.functional.jacobian(change, torch.cat([state[name].flatten() for name in names]))
    return float((jacobian - jacobian.T).abs().max() / jacobian.abs().max())


def test_back_propagation_has_no_curl_and_a_genome_of_blur_has(some) -> None:
    seed = seed_of_today()
    for activation in ("tanh", "sigmoid", "softplus"):
        rule, genome = back_propagation(0.1, activation=activation, output="tanh")
        _, state, x, targets = some(rule, seed, genomes=1, networks=1, sizes=(2, 5, 4, 1))
        assert curl(rule, genome[None], state, x, targets) < 1e-12, f"seed {seed}"
    rule = Blur(activation="tanh", backward_activation="tanh")
    genomes, state, x, targets = some(rule, seed, genomes=1, networks=1, sizes=(2, 5, 4, 1))
    assert curl(rule, genomes, state, x, targets) > 1e-3, f"seed {seed}"


def test_the_genome_that_evolved_is_not_a_gradient(some) -> None:
    """The one of benchmarks/results, in networks like those that it was found with."""
    seed = seed_of_today()
    file = Path(__file__).parents[2] / "benchmarks" / "results" / "update_rules.json"
    genome = torch.tensor([json.loads(file.read_text())["plain"]["genome"]], dtype=torch.float64)
    _, state, x, targets = some(Blur(), seed, genomes=1, networks=1, sizes=(2, 20, 1), samples=32)
    assert curl(Blur(), genome, state, x, targets) > 0.1, f"seed {seed}"


def test_births_depend_on_their_seed_alone(rule: UpdateRule, some) -> None:
    genomes, state, _, _ = some(rule, 5, networks=2)
    other = rule.birth(genomes[:1], (3, 5, 2), np.array([6, 9, 5]))
    each = rule.birth(genomes, (3, 5, 2), np.array([[5, 6]] * len(genomes)))
    for name, array in state.items():
        torch.testing.assert_close(other[name][0, 2], array[0, 0], rtol=0, atol=0)
        torch.testing.assert_close(other[name][0, 0], array[0, 1], rtol=0, atol=0)
        torch.testing.assert_close(each[name], array, rtol=0, atol=0)


def test_what_cannot_be_is_refused(some) -> None:
    rule = Blur()
    genomes, state, x, _ = some(rule, 1)
    with pytest.raises(ShapeError, match=r"genomes: expected shape \[P, 20\]; got \[3, 19\]"):
        rule.birth(genomes[:, 1:], (3, 5, 2), np.arange(2))
    with pytest.raises(ShapeError, match=r"x: expected shape"):
        rule.predict(genomes, state, x[..., 1:])
    with pytest.raises(ArgumentError, match="sizes: expected inputs and outputs at least"):
        rule.birth(genomes, (3,), np.arange(2))
    with pytest.raises(ArgumentError, match="sizes: expected a number >= 1; got 0"):
        rule.birth(genomes, (3, 0, 2), np.arange(2))
    with pytest.raises(ArgumentError, match="sizes: expected 3 for the genome's layers"):
        Blur(layers=2).birth(torch.zeros(1, 40), (3, 2), np.arange(2))
    with pytest.raises(UnknownNameError, match="did you mean 'additive'"):
        Blur(backward="aditive")
    with pytest.raises(UnknownNameError, match="activation"):
        Blur(activation="swish")
    with pytest.raises(ArgumentError, match="states: expected a number >= 2; got 1"):
        Blur(states=1)
