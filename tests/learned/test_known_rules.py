"""Back-propagation, SGD, Adam and Hebb against torch and finite differences."""

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, soft_margin_loss

from neuroplastic.errors import ArgumentError
from neuroplastic.learned.activations import ACTIVATIONS
from neuroplastic.learned.base import State
from neuroplastic.learned.descent import SGD, Adam, Descent
from neuroplastic.learned.known import back_propagation, hebb

TORCH = {
    "linear": lambda z: z,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
    "relu-tanh": lambda z: torch.tanh(torch.relu(z)),
}


def plain_network(synapses: State, x: Tensor, activation: str, output: str) -> Tensor:
    """The same network [E, B, O] in plain torch, of synapses [1, E, 1, I, O]."""
    layers = sum(name.startswith("forward") for name in synapses)
    for n in range(layers):
        z = x @ synapses[f"forward{n}"][0, :, 0] + synapses[f"bias{n}"][0, :, 0]
        x = TORCH[output if n == layers - 1 else activation](z)
    return x


def plain_loss(outputs: Tensor, targets: Tensor, loss: str) -> Tensor:
    """Summed over samples and networks."""
    if loss == "squared-error":
        return 0.5 * (outputs - targets).square().sum()
    if outputs.shape[-1] == 1:
        return soft_margin_loss(outputs, targets, reduction="sum")
    return cross_entropy(outputs.flatten(0, 1), targets.argmax(-1).flatten(), reduction="sum")


def network(draw_seed: int, sizes: list[int], output: str, activation: str, loss: str):
    rule, genome = back_propagation(1.0, activation=activation, output=output, loss=loss)
    genomes = genome[None]
    source = torch.Generator().manual_seed(draw_seed)
    state = rule.birth(genomes, sizes, np.array([draw_seed, draw_seed + 1]))
    x = torch.randn(1, 2, 5, sizes[0], generator=source, dtype=torch.float64)
    label = torch.randint(sizes[-1] if sizes[-1] > 1 else 2, (1, 2, 5), generator=source)
    targets = 2.0 * torch.nn.functional.one_hot(label, max(2, sizes[-1])).double() - 1
    return rule, genomes, state, x, targets[..., -sizes[-1] :]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    output=st.sampled_from(["linear", "tanh", "sigmoid", "cross-entropy"]),
)
def test_back_propagation_is_the_gradient(seed: int, sizes: list[int], activation: str, output: str) -> None:
    loss = "cross-entropy" if output == "cross-entropy" else "squared-error"
    output = "linear" if output == "cross-entropy" else output
    rule, genomes, state, x, targets = network(seed, sizes, output, activation, loss)
    after = rule.learn(genomes, state, x, targets)
    synapses = {name: array.clone().requires_grad_() for name, array in state.items()}
    plain = plain_network(synapses, x[0], activation, output)
    torch.testing.assert_close(rule.predict(genomes, state, x)[0], plain.detach(), rtol=1e-12, atol=1e-12)
    plain_loss(plain, targets[0], loss).backward()
    for name, array in synapses.items():
        torch.testing.assert_close(state[name] - after[name], array.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "linear"])
def test_back_propagation_agrees_with_finite_differences(activation: str) -> None:
    seed = int(np.random.default_rng().integers(10**6))
    rule, genomes, state, x, targets = network(seed, [3, 4, 4, 2], "tanh", activation, "squared-error")
    after, step = rule.learn(genomes, state, x, targets), 3e-4
    for name, array in state.items():
        slopes = torch.zeros_like(array)
        for index in np.ndindex(*array.shape):
            # Four points: the error is of the order of step⁴.
            for times, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
                moved = array.clone()
                moved[index] += times * step
                plain = plain_network(state | {name: moved}, x[0], activation, "tanh")
                slopes[index] += weight * plain_loss(plain, targets[0], "squared-error") / (12 * step)
        torch.testing.assert_close(state[name] - after[name], slopes, rtol=0, atol=1e-9, msg=f"seed {seed}")


@pytest.mark.parametrize(
    ("rule", "numbers", "optimizer"),
    [
        (SGD(), [0.0], lambda w: torch.optim.SGD(w, lr=0.07)),
        (SGD(activation="relu"), [0.8], lambda w: torch.optim.SGD(w, lr=0.07, momentum=0.8)),
        (Adam(output="linear", loss="cross-entropy"), [0.8, 0.99], lambda w: torch.optim.Adam(w, 0.07, (0.8, 0.99))),
        (Adam(), [0.9, 0.999], lambda w: torch.optim.Adam(w, 0.07)),
    ],
    ids=["sgd", "momentum", "adam cross-entropy", "adam"],
)
def test_descent_is_torchs(rule: Descent, numbers: list[float], optimizer) -> None:
    seed, updates = int(np.random.default_rng().integers(10**6)), 7
    genomes = torch.tensor([[log(0.07), *numbers]], dtype=torch.float64)
    state = rule.birth(genomes, [3, 6, 4], np.array([seed]))
    synapses = {name: array.clone().requires_grad_() for name, array in state.items() if "." not in name}
    descends = optimizer(list(synapses.values()))
    for update in range(updates):
        _, _, _, x, targets = network(seed + update, [3, 6, 4], "linear", "tanh", "squared-error")
        x, targets = x[:, :1], targets[:, :1]
        state = rule.learn(genomes, state, x, targets)
        descends.zero_grad()
        plain = plain_network(synapses, x[0], rule.activation, rule.output)
        (plain_loss(plain, targets[0], rule.loss) / x.shape[2]).backward()
        descends.step()
    for name, array in synapses.items():
        torch.testing.assert_close(state[name], array.detach(), rtol=1e-9, atol=1e-11, msg=f"seed {seed}, {name}")


def test_hebb_is_pre_times_post_with_a_teacher() -> None:
    seed = int(np.random.default_rng().integers(10**6))
    rule, genome = hebb(0.03)
    source = torch.Generator().manual_seed(seed)
    state = rule.birth(genome[None], [3, 5, 2], np.array([seed]))
    x = torch.randn(1, 1, 6, 3, generator=source, dtype=torch.float64)
    targets = torch.randn(1, 1, 6, 2, generator=source, dtype=torch.float64).sign()
    hidden = torch.tanh(torch.relu(x[0, 0] @ state["forward0"][0, 0, 0] + state["bias0"][0, 0, 0]))
    after = rule.learn(genome[None], state, x, targets)
    expected = {
        "forward0": x[0, 0].T @ hidden,
        "bias0": hidden.sum(0, keepdim=True),
        "forward1": hidden.T @ targets[0, 0],
        "bias1": targets[0, 0].sum(0, keepdim=True),
    }
    for name, change in expected.items():
        torch.testing.assert_close((after[name] - state[name])[0, 0, 0], 0.03 * change, msg=f"seed {seed}, {name}")
    with pytest.raises(ArgumentError, match="rate: expected a number >= 0; got -1"):
        hebb(-1)
