"""The GPU's plastic layers against their specification."""

import itertools
import math

import pytest
import torch
from by_hand import any_floats, check_normalisers, check_tanh
from device_lives import DEVICE, LIMIT, OPTIONS, TERMS, TWO_BLOCKS, lay, on_device, random_layer
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.plastic.kernels import ACTIVATIONS, NORMALISERS, reference
from neuroplastic.plastic.kernels.gpu import HebbianLayer
from neuroplastic.plastic.kernels.gpu.kernel import tile_of

SETTINGS = [*itertools.product(OPTIONS, [False, True])]  # and whether there is a fixed part


def compare(inputs, outputs, names, activation, normaliser, generator, *, fixed=False, constant=(), steps=5, **options):
    """Steps of some rows in some order, whole and in halves, and every act: the device against the specification.

    Where numbers nearly cancel, rounding grows: how much, the specification in float32 tells.
    """

    def born(rows):
        at_birth, coefficients = random_layer(names, rows, inputs, outputs, generator, fixed)
        coefficients |= {name: torch.ones_like(at_birth) for name in constant}
        single = {name: array.float() for name, array in coefficients.items()}
        return [
            reference.HebbianLayer(at_birth, coefficients, activation, normaliser, LIMIT, **options),
            reference.HebbianLayer(at_birth.float(), single, activation, normaliser, LIMIT, **options),
            on_device(at_birth, coefficients, activation, normaliser, LIMIT, **options),
        ]

    def every(act, *numbers):
        """What an act gives of each layer, which takes numbers as it likes them: as they are, in float32, there."""
        own = numbers, [number.float() if number.is_floating_point() else number for number in numbers], lay(*numbers)
        return [act(layer, *given) for layer, given in zip(layers, own, strict=True)]

    def check(exact, single, found):
        assert found.dtype == torch.float32
        assert found.isfinite().all()
        rounding = 2e-5 * max(1.0, float(exact.abs().max())) + 30 * (single - exact).abs().max()
        assert (found.cpu() - exact).abs().max() <= rounding, setting

    def whole(layer, pre, signal, rows):
        return layer.step(pre, signal, rows)

    def halves(layer, pre, signal, rows):
        post = layer.forward(pre, rows)
        layer.learn(pre, post, signal, rows)
        return post

    def weights(layer):
        return layer.weights()

    setting = inputs, outputs, names, activation, normaliser, fixed, constant, options
    lives, some = 3, torch.arange(3)
    layers = born(lives)
    for step in range(steps):
        some = some[:1] if step % 2 else torch.randperm(lives, generator=generator)[:2]  # one of them once more
        pre = (torch.randn(len(some), inputs, generator=generator) / math.sqrt(inputs)).double()
        signal = torch.randn(len(some), generator=generator).double()
        check(*every(halves if step % 2 else whole, pre, signal, some))
        check(*every(weights))
        at = torch.randperm(lives, generator=generator)[:2]
        if step == 1:
            every(lambda layer, rows: layer.freeze(rows), at[:1])
        elif step == 2:
            assigned = 0.3 * torch.randn(2, outputs, inputs, generator=generator)
            every(lambda layer, rows, given: layer.assign(rows, given), at, assigned.double())
        elif step == 3:
            for layer, newborn in zip(layers, born(2), strict=True):
                layer.replace(at.to(newborn.weights().device), newborn)
        check(*every(weights))


def some_names(generator):
    """A few of the terms, with or without a learning rate: those that are drawn, one at least, and those that are 1."""
    first, *others = torch.randperm(len(TERMS), generator=generator)[: torch.randint(1, 6, (), generator=generator)]
    names, constant = [TERMS[first]], []
    for name in [*(TERMS[n] for n in others), *["lr"] * int(torch.randint(2, (), generator=generator))]:
        (constant if torch.rand((), generator=generator) < 0.2 else names).append(name)
    return names, constant


def compare_some(normaliser, some, generator):
    """Some combinations of switches, with fresh terms, until a weight that changed is read and changed."""
    for (options, fixed), activation in zip(some, itertools.cycle(ACTIVATIONS)):
        names, constant = some_names(generator)
        compare(
            3, 2, names, activation, normaliser, generator,
            fixed=fixed, constant=constant, steps=options["every"] + 1, **options,
        )  # fmt: skip


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_the_layer_of_a_device_is_the_reference(normaliser, generator):
    some = torch.randperm(len(SETTINGS), generator=generator)[:5]
    compare_some(normaliser, [SETTINGS[n] for n in some], generator)


@pytest.mark.slow
@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_the_layer_of_a_device_is_the_reference_in_every_setting(normaliser, generator):
    """All combinations of the other switches; activations are dealt out to them anew each time."""
    order = torch.randperm(len(SETTINGS), generator=generator)
    compare_some(normaliser, [SETTINGS[n] for n in order], generator)


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_acts_on_the_layer_of_a_device(normaliser, generator):
    """Lives that are frozen, assigned weights and replaced, and go on."""
    activation = ACTIVATIONS[torch.randint(len(ACTIVATIONS), (), generator=generator)]
    options = OPTIONS[torch.randint(len(OPTIONS), (), generator=generator)]
    names, constant = some_names(generator)
    fixed = bool(torch.randint(2, (), generator=generator))
    compare(4, 3, names, activation, normaliser, generator, constant=constant, fixed=fixed, steps=6, **options)


@pytest.mark.parametrize(
    ("inputs", "outputs", "normaliser"),
    [
        (1, 1, "none"),
        (1, 5, "row"),
        (7, 1, "max"),
        (*TWO_BLOCKS, "standardise"),
        (130, 20, "standardise"),
        (700, 3, "row"),
        pytest.param(*TWO_BLOCKS, "max", marks=pytest.mark.slow),
        pytest.param(28, 128, "standardise", marks=pytest.mark.slow),
        pytest.param(648, 128, "standardise", marks=pytest.mark.slow),  # 64 programs a life, three chunks of synapses
    ],
)
def test_the_layer_of_a_device_is_the_reference_at_any_size(inputs, outputs, normaliser, generator):
    """Several programs a life, several chunks of synapses, and units and synapses that fill no block."""
    compare(inputs, outputs, [*TERMS, "lr"], "tanh", normaliser, generator, steps=2 if inputs * outputs < 10_000 else 1)


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    inputs=st.sampled_from([1, 2, 8, 17, 31, 33, 129, 257]),
    outputs=st.sampled_from([1, 3, 8, 16, 33]),
    normaliser=st.sampled_from(NORMALISERS),
    activation=st.sampled_from(ACTIVATIONS),
    options=st.sampled_from(OPTIONS),
    fixed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layer_of_a_device_is_the_reference(inputs, outputs, normaliser, activation, options, fixed, seed):
    generator = torch.Generator().manual_seed(seed)
    names, constant = some_names(generator)
    compare(
        inputs, outputs, names, activation, normaliser, generator,
        fixed=fixed, constant=constant, steps=3, **options,
    )  # fmt: skip


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_tiles_cover_a_layer(inputs, outputs):
    """Every synapse, with less than a chunk of idle lanes; blocks and chunks are powers of two."""
    block, chunk, chunks, warps = tile_of(inputs, outputs)
    assert all(size & (size - 1) == 0 for size in (block, chunk, warps))
    assert chunk * (chunks - 1) < inputs <= chunk * chunks
    assert chunk % 8 == 0  # what four numbers of a stream are made for lies in one chunk
    assert 1 <= block < 2 * outputs
    assert block * chunk * chunks <= max(2048, chunk * chunks)
    assert 1 <= warps <= 16


def test_all_terms_constant(generator):
    """Nothing of the rule evolves, so nothing is stored: it is that of Hebb with η = 1, or of Oja."""
    for constant in (["A"], ["A", "decay"], ["B", "lr"], ["C", "D"]):
        compare(3, 2, [], "tanh", "row", generator, constant=constant, steps=2)


def test_weights_without_terms_stay(generator):
    weights, _ = random_layer("", 2, 5, 4, generator)
    layer, at_birth = on_device(weights, {}, "tanh", "standardise"), weights.float()
    pre, signal, rows = lay(torch.randn(2, 5, generator=generator), torch.ones(2), torch.tensor([1, 0]))
    post = layer.step(pre, signal, rows)
    layer.learn(pre, post, signal, rows)
    assert torch.equal(layer.weights().cpu(), at_birth)
    expected = torch.einsum("boi,bi->bo", weights[[1, 0]], pre.double().cpu()).tanh()
    torch.testing.assert_close(post.cpu().double(), expected, rtol=1e-6, atol=1e-6)


def test_normalisers_of_a_device_by_hand():
    check_normalisers(HebbianLayer, DEVICE)


def test_weights_of_a_device_that_differ_by_rounding_are_only_centred(generator):
    """In all programs of a life, at the next read of the weights too."""
    inputs, outputs = TWO_BLOCKS
    weights = 1 + torch.randint(3, (1, outputs, inputs), generator=generator) * 2.0**-23
    layer = on_device(weights, {"D": torch.zeros_like(weights)}, "linear", "standardise")
    pre, signal, rows = lay(torch.ones(1, inputs), torch.zeros(1), torch.arange(1))
    layer.step(pre, signal, rows)
    assert layer.weights().abs().max() < 1e-6
    assert layer.forward(pre, rows).abs().max() < 1e-5


def test_activations_of_a_device_are_accurate(generator):
    """Of the weights of one synapse each."""
    x = torch.cat([any_floats(2_000, generator), torch.tensor([math.nan])])

    def f(activation):
        layer = on_device(x[None, :, None], {}, activation)
        return layer.forward(*lay(torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)))[0].cpu()

    found = {activation: f(activation) for activation in ACTIVATIONS}
    assert all(outputs[-1].isnan() for outputs in found.values())
    x, found = x[:-1], {activation: outputs[:-1] for activation, outputs in found.items()}
    assert found["tanh"].abs().max() <= 1
    check_tanh(found["tanh"], x)
    assert (found["sigmoid"] - x.double().sigmoid()).abs().max() < 3e-7
    assert torch.equal(found["relu"], x.relu())
    assert torch.equal(found["linear"], x)


def test_no_rows_do_nothing_on_a_device(generator):
    weights, coefficients = random_layer("AD", 2, 3, 4, generator)
    layer = on_device(weights, coefficients, "tanh", "max", every=2)
    before = layer.weights()
    none, signal, rows = lay(torch.zeros(0, 3), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    post = layer.step(none, signal, rows)
    layer.learn(none, post, signal, rows)
    assert post.shape == (0, 4)
    assert torch.equal(layer.weights(), before)
