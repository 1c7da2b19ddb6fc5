"""What programs of a GPU's layers touch: their own life and arrays, in whatever order they run."""

import math

import numpy as np
import pytest
import torch
from device_lives import CUDA, DEVICE, LIMIT, OPTIONS, TWO_BLOCKS, lay, on_device, random_layer

from neuroplastic.genome import Layout, Sample
from neuroplastic.plastic.kernels import NORMALISERS, reference
from neuroplastic.plastic.kernels.gpu import HebbianLayer


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_a_life_on_a_device_does_not_depend_on_the_others(normaliser, generator):
    """Bit for bit: lives in any order and number, and each of them alone."""
    options = OPTIONS[torch.randint(len(OPTIONS), (), generator=generator)]
    inputs, outputs = (5, 6) if normaliser == "max" and not CUDA else TWO_BLOCKS  # its interpreter is slow
    switches = "tanh", normaliser, LIMIT
    weights, coefficients = random_layer("ACD", 3, inputs, outputs, generator)
    together = on_device(weights, coefficients, *switches, **options)
    alone = [
        on_device(weights[[row]], {name: array[[row]] for name, array in coefficients.items()}, *switches, **options)
        for row in range(3)
    ]
    for number in (2, 1, 2):
        some = torch.randperm(3, generator=generator)[:number]
        pre, signal, rows = lay(
            torch.randn(number, inputs, generator=generator), torch.randn(number, generator=generator), some
        )
        posts = together.step(pre, signal, rows)
        for n, row in enumerate(some.tolist()):
            own = alone[row].step(pre[[n]], signal[[n]], torch.zeros_like(rows[:1]))
            assert torch.equal(own[0], posts[n])
    for row, layer in enumerate(alone):
        assert torch.equal(layer.weights()[0], together.weights()[row])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the interpreter
@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_a_life_on_a_device_that_diverges_is_alone(normaliser, generator):
    """The others keep the bits that they have without it; and the specification agrees about what is lost."""
    poisons, well = [math.inf, -math.inf, math.nan, 3e38], [1, 4]
    weights, coefficients = random_layer(["A", "B", "C", "D", "lr"], 6, 5, 6, generator)
    own = {name: coefficient[well] for name, coefficient in coefficients.items()}
    among = on_device(weights, coefficients, "linear", normaliser, LIMIT)
    alone = on_device(weights[well], own, "linear", normaliser, LIMIT)
    single = {name: coefficient.float() for name, coefficient in coefficients.items()}
    exact = reference.HebbianLayer(weights.float(), single, "linear", normaliser, LIMIT)
    for step in range(2):
        pre, signal = torch.randn(6, 5, generator=generator), torch.zeros(6)
        if step == 0:
            pre[[0, 2, 3, 5], 2] = torch.tensor(poisons)
        exact.step(pre, signal, torch.arange(6))
        posts = among.step(*lay(pre, signal, torch.arange(6)))
        assert torch.equal(alone.step(*lay(pre[well], signal[well], torch.arange(2))), posts[well])
        assert torch.equal(alone.weights(), among.weights()[well])
        if step == 0:
            lost = slice(0, 5)  # whether a sum of large numbers overflows depends on its order
            assert torch.equal(among.weights()[lost].isfinite().cpu(), exact.weights()[lost].isfinite())
            assert torch.equal(among.weights()[lost].isnan().cpu(), exact.weights()[lost].isnan())


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_how_far_one_lost_weight_spreads_on_a_device(normaliser, generator):
    """Through a largest weight to the whole layer, other programs' units too; through a norm to its unit, else nowhere.

    The next step's activity is lost in the units that it has reached, and in no others.
    """
    inputs, outputs = TWO_BLOCKS
    weights, coefficients = random_layer("D", 2, inputs, outputs, generator)
    coefficients["D"][0, 129, 3] = math.nan
    lost = torch.zeros(2, outputs, inputs, dtype=torch.bool)
    lost[{"max": (0,), "standardise": (0,), "row": (0, 129)}.get(normaliser, (0, 129, 3))] = True
    layer = on_device(weights, coefficients, "tanh", normaliser, LIMIT)
    layer.step(*lay(torch.ones(2, inputs), torch.zeros(2), torch.arange(2)))
    assert torch.equal(layer.weights().isnan().cpu(), lost)
    post = layer.forward(*lay(torch.ones(2, inputs), torch.arange(2)))
    assert torch.equal(post.isnan().cpu(), lost.any(2))


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_programs_keep_to_their_arrays_and_wait_for_no_other(normaliser, audited, generator):
    """A GPU runs programs in any order and at once, and says nothing of an address that is wrong but there."""
    inputs, outputs = TWO_BLOCKS
    weights, coefficients = random_layer(["A", "D", "lr", "decay"], 3, inputs, outputs, generator, fixed=True)
    layers = [
        on_device(weights, coefficients, "tanh", normaliser, LIMIT, modulated=True, trace=0.5, every=2)
        for _ in range(2)
    ]
    steps = [
        lay(torch.randn(n, inputs, generator=generator), torch.randn(n, generator=generator), rows)
        for n, rows in ((2, torch.tensor([0, 2])), (1, torch.tensor([2])), (1, torch.tensor([2])))
    ]
    posts = [layers[0].step(*numbers) for numbers in steps]
    audited()
    for numbers, post in zip(steps, posts, strict=True):
        assert torch.equal(layers[1].step(*numbers), post)
    assert torch.equal(layers[1].weights(), layers[0].weights())


def test_programs_of_shared_streams_keep_to_their_arrays(audited, generator):
    """Lives of two, of one and of no place in a group; the last groups of a launch may have none at all."""
    layout = Layout((("A", (2, 3)),))
    center = torch.randn(6, generator=generator)
    sample = Sample(center, 0.1, np.array([5, 9, 5, 5], np.uint64), np.array([1, 1, -1, 1], np.int8))
    weights = torch.randn(4, 2, 3, generator=generator).to(DEVICE)
    layers = [HebbianLayer(weights, sample.split(layout), "tanh", storage="made") for _ in range(2)]
    pre, signal = lay(torch.randn(3, 3, generator=generator), torch.zeros(3))
    rows = torch.tensor([3, 1, 0])
    post = layers[0].step(pre, signal, rows.clone())
    audited()
    assert torch.equal(layers[1].step(pre, signal, rows), post)
