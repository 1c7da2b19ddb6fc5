"""The front's specification against torch's own convolutions; the fused front against the specification."""

import math
import os
import pickle
import subprocess
import sys

import pytest
import torch
from by_hand import HERE, any_floats, check_tanh
from hypothesis import given, settings
from hypothesis import strategies as st
from some_fronts import PAPER, PICTURE, SMALL, SMALL_PICTURE, fronts, random_filters
from torch.nn.functional import conv2d, max_pool2d

from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError
from neuroplastic.plastic import ConvolutionalFront, HebbianRule, PlasticNetwork, rules
from neuroplastic.plastic.front import convolve

ANY = fronts(most=(9, 5, 3, 3), beyond=20)


def by_torch(front, filters, pictures):
    """Features of each row [b, F], by torch's convolutions."""
    features = []
    for row, picture in enumerate(pictures):
        activity = picture.permute(2, 0, 1)[None]
        for n, (stride, pool) in enumerate(zip(front.strides, front.pools, strict=True)):
            activity = max_pool2d(torch.tanh(conv2d(activity, filters[f"conv{n}"][row], stride=stride)), pool)
        features.append(activity.flatten())
    return torch.stack(features)


def test_the_papers_front_and_genome():
    assert [stage.outputs for stage in PAPER.stages(PICTURE)] == [(6, 41, 41), (8, 9, 9)]
    assert PAPER.outputs(PICTURE) == 648
    assert dict(PAPER.layout(PICTURE).shapes) == {"conv0": (6, 3, 3, 3), "conv1": (8, 6, 5, 5)}
    assert PAPER.layout(PICTURE).size == 162 + 1200
    network = PlasticNetwork(PICTURE, 3, [128, 64], rule=HebbianRule(normaliser="max"), front=PAPER)
    assert network.layout.size == 458_002
    assert list(network.layout)[:3] == ["front.conv0", "front.conv1", "layer0.A"]


@pytest.mark.parametrize("backend", HERE)
def test_a_front_by_hand(backend):
    """Two filters of 1 x 2 pixels' weights over a picture of 3 x 4; the last column is left over by the pool."""
    picture = torch.tensor([[1.0, 2, 4, 0], [0, 1, 1, 3], [5, 0, 2, 2]])
    filters = torch.tensor([[[1.0, -1], [0, 0]], [[0, 0.5], [0.25, 0]]])[None, :, None]
    # first: x[y, x] - x[y, x+1]: -1 -2 | -1 0; second: x[y, x+1]/2 + x[y+1, x]/4: 1 2.25 | 1.75 0.5
    front = ConvolutionalFront([2], [2], [1], [2])
    living = front.birth((3, 4, 1), {"conv0": filters}, backend)
    features = living.step(picture[None, :, :, None], torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(features, torch.tensor([[0.0, 2.25]]).tanh())


@settings(deadline=None, max_examples=60)
@given(ANY, st.integers(0, 2**32 - 1))
def test_the_reference_is_torchs_convolution(made, seed):
    (front, picture), generator = made, torch.Generator().manual_seed(seed)
    filters = random_filters(front, picture, 2, generator, torch.float64)
    pictures = torch.rand(2, *picture, generator=generator).double()
    features = front.birth(picture, filters, "reference").step(pictures, torch.arange(2))
    assert features.shape == (2, front.outputs(picture))
    torch.testing.assert_close(features, by_torch(front, filters, pictures), rtol=1e-10, atol=1e-12)


def compare(front, picture, generator):
    """The fused front in float32 stays within rounding of the specification in float64, some rows at a time."""
    filters = random_filters(front, picture, 3, generator)
    fused = front.birth(picture, filters)
    exact = front.birth(picture, {name: bank.double() for name, bank in filters.items()}, "reference")
    for _ in range(2):
        some = torch.randperm(3, generator=generator)[:2]
        pictures = torch.rand(2, *picture, generator=generator)
        features, expected = fused.step(pictures, some), exact.step(pictures.double(), some)
        assert features.dtype == torch.float32
        assert features.shape == expected.shape
        assert (features - expected).abs().max() <= 1e-5, (front, picture)


@pytest.mark.parametrize(
    ("front", "picture"),
    [
        (PAPER, PICTURE),
        (PAPER, (96, 96, 3)),
        (SMALL, SMALL_PICTURE),
        (ConvolutionalFront([16, 32], [8, 4], [4, 2], [1, 1]), (84, 84, 4)),  # Mnih et al. 2015, first two layers
        (ConvolutionalFront([7], [5], [3], [2]), (40, 23, 12)),  # 72 planes
    ],
)
def test_the_fused_front_is_the_reference(front, picture, generator):
    compare(front, picture, generator)


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(ANY, st.integers(0, 2**32 - 1))
def test_the_fused_front_is_the_reference_at_any_size(made, seed):
    compare(*made, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("front", "picture", "backend"),
    [(PAPER, PICTURE, "cpu"), (PAPER, PICTURE, "reference"), *((SMALL, SMALL_PICTURE, name) for name in HERE)],
)
def test_a_row_does_not_depend_on_the_others(front, picture, backend, generator):
    """Bit for bit: in any order and number, alone, and after others whose numbers are lost."""
    filters, pictures = random_filters(front, picture, 5, generator), torch.rand(5, *picture, generator=generator)
    together = front.birth(picture, filters, backend)
    features = together.step(pictures, torch.arange(5))
    order = torch.randperm(5, generator=generator)
    assert torch.equal(together.step(pictures[order], order), features[order])
    together.step(torch.full((1, *picture), math.nan), torch.tensor([3]))
    assert torch.equal(together.step(pictures[:3], torch.arange(3)), features[:3])
    for row in range(5):
        alone = front.birth(picture, {name: bank[[row]] for name, bank in filters.items()}, backend)
        assert torch.equal(alone.step(pictures[[row]], torch.tensor([0]))[0], features[row])


@pytest.mark.parametrize("backend", HERE)
def test_fronts_that_take_the_place_of_others(backend, generator):
    first, second = (random_filters(SMALL, SMALL_PICTURE, rows, generator) for rows in (4, 2))
    rows, pictures = torch.tensor([3, 1]), torch.rand(4, *SMALL_PICTURE, generator=generator)
    living = SMALL.birth(SMALL_PICTURE, first, backend)
    undisturbed = living.step(pictures, torch.arange(4))
    newborn = SMALL.birth(SMALL_PICTURE, second, backend)
    living.replace(rows, newborn)
    for bank in (*first.values(), *second.values()):  # a front keeps its own
        bank.zero_()
    features = living.step(pictures, torch.arange(4))
    assert torch.equal(features[[0, 2]], undisturbed[[0, 2]])
    assert torch.equal(features[rows], newborn.step(pictures[rows], torch.arange(2)))
    assert not torch.equal(features[rows], undisturbed[rows])


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_what_is_lost_is_lost_in_both(poison, generator):
    filters, picture = random_filters(SMALL, SMALL_PICTURE, 1, generator), torch.rand(1, *SMALL_PICTURE)
    picture[0, 0, 0, 1] = poison  # one window of the first stage sees it
    lost = [SMALL.birth(SMALL_PICTURE, filters, b).step(picture, torch.tensor([0])).isnan() for b in HERE]
    assert all(torch.equal(lost[0], other) for other in lost)
    assert not lost[0].all()
    assert lost[0].any() == math.isnan(poison)


def test_tanh_is_accurate(generator):
    """Through filters of one weight 1."""
    x = any_floats(60_000, generator)
    front = ConvolutionalFront([1], [1], [1], [1])
    living = front.birth((1, len(x), 1), {"conv0": torch.ones(1, 1, 1, 1, 1)})
    check_tanh(living.step(x.view(1, 1, -1, 1), torch.tensor([0]))[0], x)


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("rule", [HebbianRule("ABCD+lr", "max"), rules["static"]()])
def test_a_network_behind_a_front_is_the_network_fed_with_its_features(backend, rule, generator):
    """Also after half of the lives were replaced; and the filters never change."""
    options = {"rule": rule, "backend": backend}
    whole = PlasticNetwork(SMALL_PICTURE, 3, [5], front=SMALL, **options)
    behind = PlasticNetwork(SMALL.outputs(SMALL_PICTURE), 3, [5], **options)
    cut = SMALL.layout(SMALL_PICTURE).size
    genomes = 0.3 * torch.randn(6, whole.layout.size, generator=generator)
    whole.birth(genomes[:4], range(4))
    behind.birth(genomes[:4, cut:], range(4))
    parts, living = whole.layout.split(genomes), [0, 1, 2, 3]
    for step in range(6):
        if step == 3:
            living = [4, 1, 2, 5]
            whole.birth(genomes[4:], [8, 9], [0, 3])
            behind.birth(genomes[4:, cut:], [8, 9], [0, 3])
        rows = torch.randperm(4, generator=generator)[:3].tolist()
        filters = {name: parts[f"front.{name}"][[living[row] for row in rows]] for name in ("conv0", "conv1")}
        pictures = torch.rand(3, *SMALL_PICTURE, generator=generator)
        features = SMALL.birth(SMALL_PICTURE, filters, backend).step(pictures, torch.arange(3))
        outputs = whole.act(pictures.flatten(1), torch.zeros(3), rows)
        assert torch.equal(outputs, behind.act(features, torch.zeros(3), rows))
    assert whole.weights().keys() == {"layer0", "layer1"}
    for name, weights in behind.weights().items():
        assert torch.equal(whole.weights()[name], weights)


def test_a_network_of_float64_behind_a_front(generator):
    front, dtype = ConvolutionalFront([2], [3], [1], [2]), torch.float64
    network = PlasticNetwork(
        (9, 8, 3), 2, rule=rules["static"](), front=front, output_activation="linear", backend="reference", dtype=dtype
    )
    genomes = torch.randn(3, network.layout.size, generator=generator, dtype=dtype)
    network.birth(genomes, [0] * 3)
    parts, pictures = network.layout.split(genomes), torch.rand(3, 9, 8, 3, generator=generator, dtype=dtype)
    features = by_torch(front, {"conv0": parts["front.conv0"]}, pictures)
    expected = torch.einsum("bji,bi->bj", parts["layer0.W"], features)
    torch.testing.assert_close(network.act(pictures.flatten(1), torch.zeros(3), range(3)), expected)


def test_fronts_can_be_sent(generator):
    twin = pickle.loads(pickle.dumps(SMALL))
    assert twin == SMALL
    network = PlasticNetwork(SMALL_PICTURE, 2, rule=HebbianRule(), front=twin)
    network.birth(torch.randn(2, network.layout.size, generator=generator), [1, 2])
    pictures = torch.rand(1, math.prod(SMALL_PICTURE), generator=generator)
    again = pickle.loads(pickle.dumps(network))
    assert torch.equal(again.act(pictures, torch.zeros(1), [1]), network.act(pictures, torch.zeros(1), [1]))


@pytest.mark.parametrize("backend", HERE)
def test_no_rows_have_no_features(backend, generator):
    living = SMALL.birth(SMALL_PICTURE, random_filters(SMALL, SMALL_PICTURE, 2, generator), backend)
    none = living.step(torch.zeros(0, *SMALL_PICTURE), torch.zeros(0, dtype=torch.int64))
    assert none.shape == (0, SMALL.outputs(SMALL_PICTURE))


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"channels": [6]}, r"kernels: expected a number for each of channels.*got \[3, 5\]"),
        ({"pools": [2, 2, 2]}, r"pools: expected a number for each of channels"),
        ({"channels": [], "kernels": [], "strides": [], "pools": []}, r"channels: .*one at least; got \[\]"),
        ({"strides": [1, 0]}, "strides: expected a number >= 1; got 0"),
        ({"kernels": [3, 17]}, "kernels: expected a number >= 1 and <= 16; got 17"),
        ({"pools": [5, 1]}, "pools: expected a number >= 1 and <= 4; got 5"),
    ],
)
def test_fronts_that_cannot_be(lists, message):
    with pytest.raises(ArgumentError, match=message):
        ConvolutionalFront(**lists)


def test_observations_that_are_no_pictures():
    for shape in (21168, (84, 84), (4, 84, 84, 3)):
        with pytest.raises(ArgumentError, match=r"front: expected observations that are pictures \[H, W, C\]; got"):
            PlasticNetwork(shape, 3, rule=HebbianRule(), front=PAPER)
    with pytest.raises(ArgumentError, match="front: expected at least 7 x 7 pixels before stage 1.*got 6 x 41"):
        PAPER.stages((14, 84, 3))
    assert PAPER.outputs((16, 16, 3)) == 8
    network = PlasticNetwork(PICTURE, 3, rule=HebbianRule(), front=PAPER)
    with pytest.raises(ShapeError, match=r"observations: expected shape \[1, 21168\]; got \[1, 648\]"):
        network.act(torch.zeros(1, 648), torch.zeros(1), [0])
    with pytest.raises(UnknownNameError, match="backend: expected one of"):
        PAPER.birth(PICTURE, {}, "tpu")


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("front", [SMALL, ConvolutionalFront([16], [1], [1], [1])])
def test_features_that_were_given_stay_as_they_are(backend, front, generator):
    picture = (16, 16, 2)
    living = front.birth(picture, random_filters(front, picture, 2, generator), backend)
    first, second = torch.rand(2, 2, *picture, generator=generator)
    features = living.step(first, torch.arange(2))
    before = features.clone()
    assert not torch.equal(living.step(second, torch.arange(2)), before)
    assert torch.equal(features, before)


def test_convolve_keeps_its_arguments(generator):
    pictures, filters = torch.rand(2, 1, 5, 5, generator=generator), torch.rand(2, 1, 1, 2, 2, generator=generator)
    before = pictures.clone(), filters.clone()
    convolve(pictures, filters, 1)
    assert torch.equal(pictures, before[0])
    assert torch.equal(filters, before[1])


DIGEST = """
import hashlib, torch
from neuroplastic.plastic import ConvolutionalFront
from neuroplastic.plastic.kernels import convolution
convolution._LANES, convolution._SUMS = {vectors}
front, digest = ConvolutionalFront(), hashlib.sha256()
generator = torch.Generator().manual_seed({seed})
for picture in ((84, 84, 3), (37, 52, 2)):
    filters = {{n: torch.randn(2, *s, generator=generator) for n, s in front.layout(picture).shapes}}
    pictures = torch.rand(2, *picture, generator=generator)
    digest.update(front.birth(picture, filters).step(pictures, torch.arange(2)).numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_vector_width(generator, tmp_path):
    """Compiled for this CPU and for the plainest one of its kind, with vectors of 4, 8 and 16: the same bits."""
    seed = int(torch.randint(2**31, (), generator=generator))
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    digests = set()
    for n, (target, vectors) in enumerate([({}, (16, 24)), ({}, (8, 12)), (plain, (16, 24)), (plain, (4, 8))]):
        run = subprocess.run(
            [sys.executable, "-c", DIGEST.format(seed=seed, vectors=vectors)],
            env={**os.environ, **target, "NUMBA_CACHE_DIR": str(tmp_path / str(n))},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout)
    assert len(digests) == 1
