"""The GPU's plastic layers against their specification; by Triton's interpreter, if there is no GPU."""

import itertools
import math
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from neuroplastic.genome import Layout, Sample  # noqa: E402
from neuroplastic.plastic.kernels import ACTIVATIONS, NORMALISERS, reference  # noqa: E402
from neuroplastic.plastic.kernels.gpu import HebbianLayer  # noqa: E402
from neuroplastic.plastic.kernels.gpu.kernel import tile_of  # noqa: E402

LIMIT = 0.3
TERMS = ("A", "B", "C", "D", "decay")
TWO_BLOCKS = (13, 130)  # inputs and outputs of a layer whose lives take two programs, the second of them two units
OPTIONS = [
    {"modulated": modulated, "trace": trace, "every": every}
    for modulated, trace, every in itertools.product([False, True], [0.0, 0.7], [1, 2])
]
SETTINGS = [*itertools.product(OPTIONS, [False, True])]  # and whether there is a fixed part


@pytest.fixture(autouse=True, scope="module")
def poisoned():
    """What is not written is NaN."""
    torch.use_deterministic_algorithms(True)
    assert torch.zeros(1).new_empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


def random_layer(names, rows, inputs, outputs, generator, fixed=False):
    """Weights and coefficients in float64 that float32 holds exactly."""

    def draw(scale):
        return (scale * torch.randn(rows, outputs, inputs, generator=generator)).double()

    weights, coefficients = draw(0.3), {name: draw(0.1) for name in names}
    if "decay" in coefficients:
        coefficients["decay"].abs_()  # a decay below 0 is growth
    return weights, coefficients | ({"fixed": draw(0.3), "gain": draw(1.0)} if fixed else {})


def on_device(weights, coefficients, *switches, **options):
    """A layer of the device; coefficients that are 1 at every synapse are so by name."""
    ones = {name for name, array in coefficients.items() if name in (*TERMS, "lr") and bool((array == 1).all())}
    arrays = {name: 1.0 if name in ones else array.float().to(DEVICE) for name, array in coefficients.items()}
    return HebbianLayer(weights.float().to(DEVICE), arrays, *switches, **options)


def lay(*numbers):
    """Numbers as a layer of the device takes them."""
    return [number.to(DEVICE, torch.float32 if number.is_floating_point() else number.dtype) for number in numbers]


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
    """D alone adds to the weights; the numbers are exact in binary."""
    weights = torch.tensor([[[1.0, -1.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    change = torch.tensor([[[2.0, 5.0], [-10.0, 6.0]], [[0.0, 0.0], [0.0, 0.0]]])  # -> [3, 4], [-8, 6] and nothing
    expected = {
        "none": [[3, 4], [-8, 6]],
        "max": [[0.375, 0.5], [-1, 0.75]],
        "row": [[0.6, 0.8], [-0.8, 0.6]],
        "clip": [[3, 3.5], [-3.5, 3.5]],
        "standardise": [[1.75, 2.75], [-9.25, 4.75]],  # before the division by sqrt(118.75 / 4)
    }
    for normaliser, wanted in expected.items():
        layer = on_device(weights, {"D": change}, "tanh", normaliser, 3.5)
        assert torch.equal(layer.weights().cpu(), weights)  # birth is not normalised
        layer.step(*lay(torch.ones(2, 2), torch.zeros(2), torch.arange(2)))
        divisor = math.sqrt(29.6875) if normaliser == "standardise" else 1
        torch.testing.assert_close(layer.weights()[0].cpu(), torch.tensor(wanted, dtype=torch.float32) / divisor)
        assert torch.equal(layer.weights()[1].cpu(), torch.zeros(2, 2))  # a largest weight of 0 divides nothing


def test_weights_of_a_device_that_differ_by_rounding_are_only_centred(generator):
    """In all programs of a life, at the next read of the weights too."""
    inputs, outputs = TWO_BLOCKS
    weights = 1 + torch.randint(3, (1, outputs, inputs), generator=generator) * 2.0**-23
    layer = on_device(weights, {"D": torch.zeros_like(weights)}, "linear", "standardise")
    pre, signal, rows = lay(torch.ones(1, inputs), torch.zeros(1), torch.arange(1))
    layer.step(pre, signal, rows)
    assert layer.weights().abs().max() < 1e-6
    assert layer.forward(pre, rows).abs().max() < 1e-5


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_a_life_on_a_device_does_not_depend_on_the_others(normaliser, generator):
    """Bit for bit: lives in any order and number, and each of them alone."""
    options = OPTIONS[torch.randint(len(OPTIONS), (), generator=generator)]
    inputs, outputs = (5, 6) if normaliser == "max" and DEVICE == "cpu" else TWO_BLOCKS  # its interpreter is slow
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


def test_activations_of_a_device_are_accurate(generator):
    """Fresh floats of all sizes, from their bits, as the weights of one synapse each."""
    bits = torch.randint(0, 0x7F800000, (2_000,), generator=generator, dtype=torch.int32)
    x = torch.cat([bits.view(torch.float32), torch.linspace(0, 12, 2_001), torch.tensor([math.inf])])
    x = torch.cat([x, -x, torch.tensor([math.nan])])

    def f(activation):
        layer = on_device(x[None, :, None], {}, activation)
        return layer.forward(*lay(torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)))[0].cpu()

    found = {activation: f(activation) for activation in ACTIVATIONS}
    assert all(outputs[-1].isnan() for outputs in found.values())
    x, found = x[:-1], {activation: outputs[:-1] for activation, outputs in found.items()}
    tanh, exact = found["tanh"].double(), x.double().tanh()
    assert tanh.abs().max() <= 1
    normal = x.abs() > 1e-37  # below, floats are denormal and have fewer digits
    assert ((tanh - exact).abs() <= 1e-6 * exact.abs())[normal].all()
    assert (tanh - exact).abs().max() < 3e-7
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


@pytest.fixture
def audited(monkeypatch):
    """From its call on, programs run in a fresh order, and what they touch must lie in the arrays of the launch."""
    if DEVICE == "cuda":
        pytest.skip("looks into Triton's interpreter")
    from triton.runtime import interpreter

    builder, executor = interpreter.InterpreterBuilder, interpreter.GridExecutor
    random, spans, order = np.random.default_rng(), [], []
    begin, load, store = executor._init_args_hst, builder.create_masked_load, builder.create_masked_store
    grid, place = builder.set_grid_dim, builder.set_grid_idx

    def beginning(self, arguments, options):
        arrays = [argument for argument in arguments if isinstance(argument, torch.Tensor)]
        spans[:] = [(array.data_ptr(), array.data_ptr() + array.nbytes) for array in arrays]
        return begin(self, arguments, options)

    def check(pointers, mask, size):
        touched = np.broadcast_to(pointers.data, np.shape(mask.data))[mask.data]
        inside = [(first <= touched) & (touched + np.uint64(size) <= last) for first, last in spans]
        assert np.all(np.any(inside, axis=0)), "an address beyond the arrays of the launch"

    def loading(self, pointers, mask, *others):
        check(pointers, mask, interpreter._get_np_dtype(pointers.get_element_ty()).itemsize)
        return load(self, pointers, mask, *others)

    def storing(self, pointers, value, mask, *others):
        check(pointers, mask, value.data.itemsize)
        return store(self, pointers, value, mask, *others)

    def sized(self, x, y, z):
        order[:] = random.permutation(x).tolist()
        grid(self, x, y, z)

    def begin_audit():
        monkeypatch.setattr(executor, "_init_args_hst", beginning)
        monkeypatch.setattr(builder, "create_masked_load", loading)
        monkeypatch.setattr(builder, "create_masked_store", storing)
        monkeypatch.setattr(builder, "set_grid_dim", sized)
        monkeypatch.setattr(builder, "set_grid_idx", lambda self, x, y, z: place(self, order[x], y, z))

    return begin_audit


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
