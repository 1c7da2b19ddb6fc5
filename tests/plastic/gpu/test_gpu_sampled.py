"""Coefficients that a GPU makes of streams, bit for bit those that are stored."""

# pyright: reportGeneralTypeIssues=false

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from device_lives import CUDA, DEVICE, LIMIT, rows_of

from neuroplastic import noise
from neuroplastic.errors import ArgumentError
from neuroplastic.genome import Layout, Sample, SampledArray
from neuroplastic.plastic.kernels import NORMALISERS
from neuroplastic.plastic.kernels.gpu import HebbianLayer, made
from neuroplastic.plastic.kernels.gpu.functions import box_muller, launch, philox
from neuroplastic.plastic.kernels.gpu.sampled import together


@triton.jit
def words_of(blocks, keys, words, N: tl.constexpr):
    at = tl.arange(0, N)
    a, b, c, d = philox(tl.load(blocks + at).to(tl.uint32, bitcast=True), tl.load(keys + tl.program_id(0)))
    out = words + (tl.program_id(0) * N + at) * 4
    tl.store(out, a.to(tl.int32, bitcast=True))
    tl.store(out + 1, b.to(tl.int32, bitcast=True))
    tl.store(out + 2, c.to(tl.int32, bitcast=True))
    tl.store(out + 3, d.to(tl.int32, bitcast=True))


@triton.jit
def pairs_of(words, pairs, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    a, b = tl.load(words + 2 * at), tl.load(words + 2 * at + 1)
    x, y = box_muller(a.to(tl.uint32, bitcast=True), b.to(tl.uint32, bitcast=True))
    tl.store(pairs + 2 * at, x)
    tl.store(pairs + 2 * at + 1, y)


def numbers(dtype, *edges, shape, random):
    """Fresh words, of which the first are these."""
    drawn = random.integers(np.iinfo(dtype).max, size=shape, dtype=dtype, endpoint=True)
    drawn.reshape(-1)[: len(edges)] = edges
    return drawn


def test_words_of_streams_on_a_device(random):
    keys = numbers(np.uint64, 0, 2**64 - 1, 2**32, shape=5, random=random)
    blocks = numbers(np.uint32, 0, 2**31 - 1, 2**31, 2**32 - 1, shape=256, random=random)
    words = torch.empty(5, 256, 4, dtype=torch.int32, device=DEVICE)
    own_blocks, own_keys = (torch.from_numpy(a).to(DEVICE) for a in (blocks.view(np.int32), keys.view(np.int64)))
    launch(words_of, 5, own_blocks, own_keys, words, 256)
    counters = np.stack([blocks, 0 * blocks, 0 * blocks, 0 * blocks], axis=1)
    for key, found in zip(keys.tolist(), words.cpu().numpy().view(np.uint32), strict=True):
        assert np.array_equal(found, noise.philox(counters, [key % 2**32, key >> 32]))


def test_normals_of_words_on_a_device(random):
    """Of any two words, those included that normals of float64 are far from: next to 0, to 1 and to whole angles."""
    edges = [0, 1, 2**32 - 1, 2**32 - 2, 2**32 - 256, *(n * 2**29 + k for n in range(1, 8) for k in (-1, 0, 1))]
    edges += [round(2**32 / 2**0.5) + k for k in (-1, 0, 1)]
    meeting = np.array([*itertools.product(edges, edges)], np.uint32)
    words = numbers(np.uint32, *meeting.ravel(), shape=(1024, 2), random=random)
    pairs = torch.empty(1024, 2, device=DEVICE)
    launch(pairs_of, 1, torch.from_numpy(words.view(np.int32)).to(DEVICE), pairs, 1024)
    expected = np.array([noise._box_muller(a, b) for a, b in words], np.float32)
    assert np.array_equal(pairs.cpu().numpy(), expected)
    exact = np.sqrt(-2 * np.log((words[:, 0] + 0.5) / 2**32))
    assert np.abs(np.hypot(*expected.T.astype(float)) - exact).max() < 1e-5


def random_sample(size, streams, random, each=False):
    """Genomes around a fresh center, with one deviation or one for each number, and signs of any kind."""
    sigma = torch.from_numpy(random.uniform(0.01, 0.2, size)).float() if each else float(random.uniform(0.01, 0.2))
    center = torch.from_numpy(random.normal(0, 0.1, size)).float()
    signs = random.choice(np.array([1, -1, 0], np.int8), len(streams))
    return Sample(center, sigma, np.asarray(streams, np.uint64), signs)


def others(sample, streams, **changes):
    """Members of the same population, an antithetic pair or one of it."""
    return replace(
        sample, streams=np.array(streams, np.uint64), signs=np.array([1, -1], np.int8)[: len(streams)], **changes
    )


@pytest.mark.parametrize("each", [False, True])
def test_numbers_of_samples_are_made_on_a_device(each, random):
    """Bit for bit those of `noise`, from any number on, more of them than a program makes."""
    sample = random_sample(1500, [0, 2**64 - 1, int(random.integers(2**63))], random, each)
    expected = rows_of(sample)
    for start, shape in ((0, (1500,)), (4, (3, 7)), (6, (2,)), (1, (1030,)), (1499, ())):
        found = made(SampledArray(sample, start, shape), DEVICE).cpu()
        assert torch.equal(found, expected[:, start : start + found[0].numel()].view(3, *shape))
    assert made(SampledArray(sample, 3, (0, 5)), DEVICE).shape == (3, 0, 5)
    none = replace(sample, streams=sample.streams[:0], signs=sample.signs[:0])
    assert made(SampledArray(none, 3, (2,)), DEVICE).shape == (0, 2)


class Storages:
    """Layers alike in all but how they keep coefficients: rows made by `noise`, the same of a sample, and not at all.

    Args:
        offset: numbers of the genome that stand before them.
        streams: of each life.
    """

    def __init__(self, names, inputs, outputs, offset, streams, random, each=False, constant=(), **options):
        self.shape, self.constant, self.options = (outputs, inputs), constant, options
        self.layout = Layout((("others", (offset,)), *((name, self.shape) for name in names)))
        self.random, self.sample = random, random_sample(self.layout.size, streams, random, each)
        self.layers, self.known = self.born(self.sample), {}

    def born(self, sample):
        weights = torch.from_numpy(self.random.normal(0, 0.3, (len(sample), *self.shape))).float().to(DEVICE)
        drawn, dense = sample.split(self.layout), self.layout.split(rows_of(sample).to(DEVICE))
        ones = dict.fromkeys(self.constant, 1.0)
        layers = []
        for arrays, storage in ((dense, "float32"), (drawn, "float32"), (drawn, "made")):
            own = {name: array for name, array in arrays.items() if name != "others"} | ones
            layers.append(HebbianLayer(weights, own, "tanh", limit=LIMIT, storage=storage, **self.options))
        return layers

    def step(self, rows):
        """Some of the lives go on, all alike."""
        pre = torch.from_numpy(self.random.normal(0, 1, (len(rows), self.shape[1]))).float().to(DEVICE)
        signal = torch.from_numpy(self.random.normal(0, 1, len(rows))).float().to(DEVICE)
        index = self.known.setdefault(tuple(rows), torch.tensor(rows, device=DEVICE))  # as a network keeps it
        posts = [layer.step(pre, signal, index) for layer in self.layers]
        self.check(posts)
        self.check([layer.weights() for layer in self.layers])

    def replace(self, rows, sample):
        for layer, newborn in zip(self.layers, self.born(sample), strict=True):
            layer.replace(torch.tensor(rows, device=DEVICE), newborn)

    @staticmethod
    def check(found):
        assert found[0].isfinite().all()
        assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize(("number", "each"), [(4, True), (2, False), (1, True), (1, False)])
def test_layers_of_made_coefficients_are_those_of_stored_ones(number, each, random):
    """Wherever Philox's fours lie among the synapses, with one deviation or many; fresh ones in the place of some."""
    inputs, offset = {4: (12, 8), 2: (10, 4), 1: (12, 3)}[number]
    assert together(inputs, offset) == number
    normaliser = random.choice([name for name in NORMALISERS if name != "max"])
    lives = Storages(["B", "lr"], inputs, 5, offset, [3, 7, 3], random, each, normaliser=normaliser)
    lives.step([2, 0, 1])
    lives.step([0, 2])
    lives.replace([1, 0], others(lives.sample, [9, 7]))
    lives.step([0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_layers_of_made_coefficients_in_every_setting(normaliser, random):
    """Those that a GPU has time for: of the others, some that are fresh each time."""
    options = [*enumerate(itertools.product([False, True], [0.0, 0.6], [1, 2]))]
    random.shuffle(options)
    for n, (modulated, trace, every) in options if CUDA else options[:4]:
        names = ["A", "B", "C", "D", "lr", "decay"]
        random.shuffle(names)
        names, constant = names[: 1 + n % 4], names[5:]
        lives = Storages(
            names, 7, 6, 1 + n, [5, 5, 6], random, bool(n % 2), constant,
            normaliser=normaliser, modulated=modulated, trace=trace, every=every,
        )  # fmt: skip
        lives.step([1, 0])
        lives.step([2, 1])


@pytest.mark.slow
@pytest.mark.parametrize(("inputs", "outputs"), [(28, 128), (648, 3), (300, 5)])
def test_wide_layers_of_made_coefficients(inputs, outputs, random):
    """Several programs a life, several chunks of synapses."""
    lives = Storages(["A", "lr"], inputs, outputs, 2, [1, 2, 1], random, normaliser="standardise")
    lives.step([0, 2])
    lives.step([1, 0])


@pytest.mark.parametrize("repeats", [[2, 2], [6, 1], [3, 1]], ids=str)
def test_lives_of_one_stream_share_it_and_nothing_else(repeats, random):
    """Pairs and episodes, in any order, some of them paused; others in the place of some, so that streams part."""
    streams = random.permutation(np.repeat(random.integers(2**63, size=len(repeats)), repeats))
    lives = Storages(["D"], 3, 2, 4, streams, random, normaliser="row")
    everyone = random.permutation(len(streams)).tolist()
    lives.step(everyone)
    lives.step(everyone[1:3])
    at = random.permutation(len(streams))[:2].tolist()
    lives.replace(at, others(lives.sample, streams[[at[1], at[1]]]))
    lives.step(everyone)


def test_newborn_lives_of_another_spread(random):
    """One deviation for all numbers is each life's own; deviations of the numbers are the layer's."""
    lives = Storages(["A"], 3, 2, 1, [4, 5, 6], random)
    lives.step([0, 1, 2])
    lives.replace([2], others(lives.sample, [4], sigma=0.7))
    lives.step([2, 1])


@pytest.mark.parametrize("each", [False, True])
def test_newborn_lives_that_cannot_be_made(each, random):
    """Kernels know one center, and one deviation of each number."""
    lives = Storages(["A"], 3, 2, 1, [4, 5], random, each)
    sample, rows, living = lives.sample, torch.tensor([1, 0], device=DEVICE), lives.layers[2]
    copied = sample.sigma.clone() if isinstance(sample.sigma, torch.Tensor) else sample.sigma
    living.replace(rows, lives.born(replace(sample, center=sample.center.clone(), sigma=copied))[2])
    elsewhere = replace(sample, center=sample.center + 1)
    wider = replace(sample, sigma=torch.full_like(sample.center, 0.3))
    for newborn in (lives.born(elsewhere)[2], lives.born(wider)[2], lives.born(sample)[0]):
        before = living.weights()
        with pytest.raises(ArgumentError, match="genomes: expected a sample"):
            living.replace(rows, newborn)
        assert torch.equal(living.weights(), before)


def test_what_was_not_drawn_is_stored(random):
    weights, term = (torch.from_numpy(random.normal(0, 0.3, (2, 4, 3))).float().to(DEVICE) for _ in range(2))
    stored, made_ = (HebbianLayer(weights, {"B": term}, "tanh", storage=name) for name in ("float32", "made"))
    pre, signal, rows = torch.ones(2, 3, device=DEVICE), torch.zeros(2, device=DEVICE), torch.arange(2, device=DEVICE)
    assert torch.equal(stored.step(pre, signal, rows), made_.step(pre, signal, rows))
    assert torch.equal(stored.weights(), made_.weights())


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_coefficients_in_bfloat16_are_rounded_and_nothing_else(normaliser, random):
    """Bit for bit the layer of float32 whose coefficients, η multiplied in, were rounded first."""

    def draw(scale):
        return torch.from_numpy(random.normal(0, scale, (2, 5, 6))).float().to(DEVICE)

    names = random.permutation(["A", "B", "C", "D", "decay"])[: random.integers(1, 6)].tolist()
    weights, lr = draw(0.3), draw(0.5)
    terms: dict[str, Any] = {name: draw(0.1) for name in names}
    fixed = {"fixed": draw(0.3), "gain": draw(1.0)}
    rounded = {name: (term * lr).bfloat16().float() for name, term in terms.items()}
    if "A" not in names:  # 1 at every synapse
        rounded["A"], terms["A"] = lr.bfloat16().float(), 1.0
    switches = {"normaliser": normaliser, "limit": LIMIT, "trace": 0.5}
    half = HebbianLayer(weights, terms | {"lr": lr} | fixed, "tanh", storage="bfloat16", **switches)
    single = HebbianLayer(weights, rounded | fixed, "tanh", **switches)
    for rows in (torch.tensor([1, 0]), torch.tensor([1])):
        pre = torch.from_numpy(random.normal(0, 1, (len(rows), 6))).float().to(DEVICE)
        signal = torch.zeros(len(rows), device=DEVICE)
        assert torch.equal(half.step(pre, signal, rows.to(DEVICE)), single.step(pre, signal, rows.to(DEVICE)))
        assert torch.equal(half.weights(), single.weights())
    assert not torch.equal(half.weights(), weights)
