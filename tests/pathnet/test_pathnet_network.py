"""The super-network: against networks built by hand, path by path."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.pathnet import Block, Convolution, Descent, Identity, Linear, Subnetwork, SuperNetwork, active
from neuroplastic.pathnet.path import overlap, random_paths

MIXED = SuperNetwork(
    (2, 7, 6),
    (
        (Block(Convolution(3, 3, stride=2, padding=1), 4), Block(Convolution(3, 1, stride=2, activation="tanh"), 2)),
        (Block(Linear(5), 6),),
        (Block(Linear(5, "tanh"), 3), Block(Identity(), 3)),
    ),
)
FLAT = SuperNetwork.alike(8, [Linear(6), Linear(4), Linear(6)], 5)
OUTPUTS = 3
NETWORKS = pytest.mark.parametrize("network", [MIXED, FLAT], ids=["mixed", "flat"])


def born(network: SuperNetwork, outputs: int = OUTPUTS, seed: int | None = None) -> dict[str, Tensor]:
    """Newborn tensors in float64, biases too."""
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    tensors = network.birth(seed) | network.readout_birth(outputs, seed)
    return {
        name: (torch.randn_like(tensor) if name.endswith("bias") else tensor).double()
        for name, tensor in tensors.items()
    }


def some_paths(network: SuperNetwork, count: int, genes: int = 3) -> Tensor:
    return random_paths(count, len(network.layers), genes, network.modules, int(torch.randint(2**31, ())))


def by_hand(network: SuperNetwork, tensors: dict[str, Tensor], genes: Tensor, x: Tensor) -> Tensor:
    """One path [L, N] as an ordinary network: x [B, *inputs] -> [B, outputs]. Of torch's own layers."""
    for layer, blocks in enumerate(network.layers):
        modules = [(place, number, block.module) for place, block in enumerate(blocks) for number in range(block.count)]
        total = 0.0
        for module in sorted(set(genes[layer].tolist())):
            place, number, kind = modules[module]
            if isinstance(kind, Identity):
                total = total + x
                continue
            weight, bias = (tensors[f"layer{layer}.{place}.{array}"][number] for array in ("weight", "bias"))
            if isinstance(kind, Convolution):
                y = nn.functional.conv2d(x, weight, bias, stride=kind.stride, padding=kind.padding)
            else:
                y = x.reshape(len(x), -1) @ weight.T + bias
            total = total + (y.clamp(min=0) if kind.activation == "relu" else y.tanh())
        x = total
    return x.reshape(len(x), -1) @ tensors["readout.weight"][0].T + tensors["readout.bias"][0]


@NETWORKS
@pytest.mark.parametrize("paths", [1, 2, 7])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_paths_trained_together_are_the_networks_built_by_hand(network: SuperNetwork, paths: int, shared: bool) -> None:
    tensors, genes = born(network), some_paths(network, paths)
    x = torch.randn(1 if shared else paths, 5, *network.inputs, dtype=torch.float64)
    y = torch.randint(OUTPUTS, (paths, 5))
    whole = Subnetwork(network, tensors, active(genes, network.modules), OUTPUTS)
    outputs = whole.forward(x)
    losses = torch.stack([nn.functional.cross_entropy(own, labels) for own, labels in zip(outputs, y, strict=True)])
    found = whole.gradients(losses)
    whole.tensors = found
    gradients = whole.put({name: torch.zeros_like(tensor) for name, tensor in tensors.items()})

    expected = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    for path in range(paths):
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
        own = by_hand(network, leaves, genes[path], x[0 if shared else path])
        torch.testing.assert_close(outputs[path], own, rtol=1e-12, atol=1e-12)
        loss = nn.functional.cross_entropy(own, y[path])
        grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        for name, gradient in zip(leaves, grads, strict=True):  # summed in the order of the paths
            if gradient is not None:
                expected[name] += gradient
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-10, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")


@NETWORKS
@pytest.mark.parametrize(
    "descent",
    [
        Descent("sgd", 0.1),
        Descent("sgd", 0.1, momentum=0.9, decay=0.01),
        Descent("adam", 0.01),
        Descent("adam", 0.01, decay=0.01),
    ],
    ids=str,
)
def test_what_is_off_the_paths_or_frozen_gets_no_update_at_all(network: SuperNetwork, descent: Descent) -> None:
    parameters = born(network)
    remembered = {name: torch.rand_like(tensor) for name, tensor in descent.begin(parameters).items()}
    tensors = parameters | remembered
    genes = some_paths(network, 3, genes=2)
    on, frozen = active(genes, network.modules), torch.rand(len(network.layers), network.modules) < 0.4
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    part = Subnetwork(network, tensors, on, OUTPUTS, frozen)
    for _ in range(3):
        losses = part.forward(torch.randn(3, 4, *network.inputs)).square().mean((1, 2))
        descent.step(part, part.gradients(losses))
    after = part.put(tensors)
    learns = on.any(0) & ~frozen
    for name, tensor in tensors.items():
        assert torch.equal(tensor, before[name]), f"{name}: what was given was changed"
    for name, layer, first, block in network.blocks:
        may = learns[layer, first : first + block.count]
        for array in (array for array in after if array.startswith(f"{name}.")):
            same = (after[array] == before[array]).reshape(len(may), -1).all(1) if after[array].numel() else ~may
            assert same[~may].all(), array
            if descent.decay and after[array].numel():  # without it, a module whose units are all silent rests as well
                assert not same[may].any(), array
    assert not torch.equal(after["readout.weight"], before["readout.weight"])


@pytest.mark.parametrize(
    ("descent", "theirs"),
    [
        (Descent("sgd", 0.07), lambda p: torch.optim.SGD(p, 0.07)),
        (
            Descent("sgd", 0.07, momentum=0.8, decay=0.02),
            lambda p: torch.optim.SGD(p, 0.07, momentum=0.8, weight_decay=0.02),
        ),
        (
            Descent("adam", 0.01, decay=0.02, beta1=0.8, beta2=0.95),
            lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.95), weight_decay=0.02),
        ),
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_descents_are_those_of_torch(descent: Descent, theirs) -> None:
    tensors = born(FLAT)
    genes = some_paths(FLAT, 1)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
    optimizer = theirs(list(leaves.values()))
    part = Subnetwork(FLAT, tensors | descent.begin(tensors), active(genes, FLAT.modules), OUTPUTS)
    on = active(genes[0], FLAT.modules)
    for _ in range(5):
        x = torch.randn(6, 8, dtype=torch.float64)
        descent.step(part, part.gradients(part.forward(x[None]).square().mean((1, 2))))
        optimizer.zero_grad()
        by_hand(FLAT, leaves, genes[0], x).square().mean().backward()
        optimizer.step()
    after = part.put(tensors | descent.begin(tensors))
    for name, leaf in leaves.items():
        rows = on[int(name[5])] if name.startswith("layer") else torch.tensor([True])
        torch.testing.assert_close(after[name][rows], leaf.detach()[rows], rtol=1e-9, atol=1e-12)


def test_adam_counts_the_steps_of_each_module_by_itself() -> None:
    descent, tensors = Descent("adam", 0.01), born(FLAT)
    whole = tensors | descent.begin(tensors)
    genes = torch.zeros(1, 3, 1, dtype=torch.int64)
    for module, steps in ((0, 2), (1, 3), (0, 1)):
        part = Subnetwork(FLAT, whole, active(genes + module, FLAT.modules), OUTPUTS)
        for _ in range(steps):
            descent.step(part, part.gradients(part.forward(torch.randn(1, 2, 8)).square().mean((1, 2))))
        whole = part.put(whole)
    assert whole["layer1.0.weight.count"].tolist() == [3, 3, 0, 0, 0]
    assert whole["readout.weight.count"].tolist() == [6]


@given(
    st.integers(1, 12).flatmap(lambda modules: st.tuples(st.just(modules), st.integers(1, modules))),
    st.integers(0, 2**63),
)
@settings(deadline=None, max_examples=50)
def test_a_path_has_at_most_n_distinct_modules_in_each_layer(sizes: tuple[int, int], seed: int) -> None:
    modules, genes = sizes
    paths = random_paths(6, 3, genes, modules, seed)
    assert paths.shape == (6, 3, genes)
    assert ((paths >= 0) & (paths < modules)).all()
    on = active(paths, modules)
    for path, row in zip(paths.view(-1, genes).tolist(), on.view(-1, modules), strict=True):
        assert set(row.nonzero()[:, 0].tolist()) == set(path)
    assert torch.equal(overlap(on, on), on.sum(-1))
    assert (on.sum(-1) <= genes).all()


def test_newborn_modules_do_not_depend_on_how_many_there_are_and_differ() -> None:
    few, many = (SuperNetwork.alike(8, [Linear(6)] * 2, count).birth(11) for count in (3, 5))
    for name, tensor in few.items():
        assert torch.equal(tensor, many[name][:3])
    weights = many["layer0.0.weight"]
    assert len({tuple(row.flatten().tolist()) for row in weights}) == 5
    wide = SuperNetwork.alike(200, [Linear(300)], 2).birth(3)["layer0.0.weight"]
    assert abs(float(wide.std()) / math.sqrt(2 / 200) - 1) < 0.02


def test_only_what_is_not_frozen_is_reborn() -> None:
    old = MIXED.birth(1) | {"layer1.0.weight.momentum": torch.ones(6, 5, 1)}
    frozen = torch.rand(3, 6) < 0.5
    new = MIXED.reborn(old, frozen, 2)
    fresh = MIXED.birth(2)
    assert new.keys() == fresh.keys()
    for name, layer, first, block in MIXED.blocks:
        kept = frozen[layer, first : first + block.count]
        for array in (array for array in new if array.startswith(f"{name}.")):
            assert torch.equal(new[array][kept], old[array][kept])
            assert torch.equal(new[array][~kept], fresh[array][~kept])


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: random_paths(2, 3, 6, 5, 0), ArgumentError, "genes: expected a number >= 1 and <= 5; got 6"),
        (lambda: SuperNetwork((4,), ()), ArgumentError, "layers: expected one or more"),
        (
            lambda: SuperNetwork((4,), ((Block(Linear(3), 2),), (Block(Linear(3), 3),))),
            ArgumentError,
            "equally many modules",
        ),
        (
            lambda: SuperNetwork((4,), ((Block(Linear(3), 2), Block(Identity(), 2)),)),
            ArgumentError,
            r"layers\[0\]: .*summed; got shapes \[\(3,\), \(4,\)\]",
        ),
        (lambda: SuperNetwork.alike(4, [Convolution(3, 3)], 2), ArgumentError, r"pictures \[C, H, W\]"),
        (lambda: SuperNetwork.alike((3, 2, 9), [Convolution(3, 3)], 2), ArgumentError, "3 x 3 pixels or more"),
        (lambda: Linear(0), ArgumentError, "size"),
        (lambda: Linear(3, "sigmoidal"), UnknownNameError, "activation"),
        (lambda: Block(Linear(3), 0), ArgumentError, "count"),
        (lambda: Descent("sdg"), UnknownNameError, "descent.name.*did you mean 'sgd'"),
        (lambda: Descent(learning_rate=0.0), ArgumentError, "descent.learning_rate"),
        (lambda: Descent(momentum=1.5), ArgumentError, "descent.momentum"),
    ],
)
def test_bad_input_is_named(wrong, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_minibatches_of_another_shape_are_refused() -> None:
    part = Subnetwork(FLAT, born(FLAT), active(some_paths(FLAT, 3), 5), OUTPUTS)
    for shape in ((3, 4, 7), (2, 4, 8), (3, 8)):
        with pytest.raises(ShapeError, match="x: expected shape"):
            part.forward(torch.zeros(shape))
