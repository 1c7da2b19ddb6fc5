"""The GPU's front against its specification, and bit for bit against the CPU's."""

import math
import re

import pytest
import torch
from by_hand import any_floats, check_tanh
from device_lives import CUDA, DEVICE, needs_a_gpu
from hypothesis import given, settings
from hypothesis import strategies as st
from some_fronts import PAPER, PICTURE, SMALL, SMALL_PICTURE, fronts, random_filters
from triton._C.libtriton import interpreter

from neuroplastic.plastic import ConvolutionalFront
from neuroplastic.plastic.kernels.gpu.front import DeviceFront

FUSED = CUDA or hasattr(interpreter, "fma_fp32")  # early interpreters round a product and its sum


def born(front, picture, filters):
    return DeviceFront(front.stages(picture), [filters[name].to(DEVICE) for name in front.layout(picture)])


def step(living, pictures, rows):
    return living.step(pictures.to(DEVICE), rows.to(DEVICE)).cpu()


def compare(front, picture, generator):
    """Within rounding of the specification in float64, and what the fused front makes, some rows in some order."""
    filters = random_filters(front, picture, 3, generator)
    some, pictures = torch.randperm(3, generator=generator)[:2], torch.rand(2, *picture, generator=generator)
    features = step(born(front, picture, filters), pictures, some)
    exact = front.birth(picture, {name: bank.double() for name, bank in filters.items()}, "reference")
    expected = exact.step(pictures.double(), some)
    assert features.dtype == torch.float32
    assert features.shape == expected.shape
    assert (features - expected).abs().max() <= 1e-5, (front, picture)
    assert not FUSED or torch.equal(features, front.birth(picture, filters).step(pictures, some)), (front, picture)


@pytest.mark.parametrize(
    ("front", "picture"),
    [
        (SMALL, SMALL_PICTURE),
        (ConvolutionalFront([7], [2], [1], [3]), (8, 11, 2)),  # filters in three blocks, of which two overlap
        (ConvolutionalFront([3], [1], [1], [4]), (17, 8, 1)),
        (ConvolutionalFront([1], [1], [1], [1]), (16, 17, 3)),  # 272 windows in 3 x 128 lanes
        (ConvolutionalFront([1], [2], [1], [1]), (9, 9, 1)),  # 64 in 64
        (ConvolutionalFront([1], [16], [3], [2]), (19, 20, 1)),
        pytest.param(PAPER, PICTURE, marks=pytest.mark.slow),
    ],
)
def test_the_front_of_a_device_is_the_reference(front, picture, generator):
    compare(front, picture, generator)


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(fronts(most=(5, 4, 3, 4), beyond=7), st.integers(0, 2**32 - 1))
def test_the_front_of_a_device_is_the_reference_at_any_size(made, seed):
    compare(*made, generator=torch.Generator().manual_seed(seed))


def test_a_row_of_a_device_does_not_depend_on_the_others(generator):
    """Bit for bit: in any order and number, alone, and between others whose numbers are lost."""
    filters, pictures = (
        random_filters(SMALL, SMALL_PICTURE, 5, generator),
        torch.rand(5, *SMALL_PICTURE, generator=generator),
    )
    together = born(SMALL, SMALL_PICTURE, filters)
    features = step(together, pictures, torch.arange(5))
    order = torch.randperm(5, generator=generator)[:4]
    assert torch.equal(step(together, pictures[order], order), features[order])
    for row in range(5):
        alone = born(SMALL, SMALL_PICTURE, {name: bank[[row]] for name, bank in filters.items()})
        assert torch.equal(step(alone, pictures[[row]], torch.tensor([0]))[0], features[row])
    lost = [0, 2, 4]
    for numbers in (pictures, *filters.values()):
        numbers[lost] = math.nan
    features[lost] = math.nan
    among = step(born(SMALL, SMALL_PICTURE, filters), pictures, torch.arange(5))
    assert torch.equal(among.nan_to_num(7.0), features.nan_to_num(7.0))


def test_fronts_of_a_device_that_take_the_place_of_others(generator):
    first, second = (random_filters(SMALL, SMALL_PICTURE, rows, generator) for rows in (4, 2))
    rows, pictures = torch.tensor([3, 1]), torch.rand(4, *SMALL_PICTURE, generator=generator)
    living, newborn = (born(SMALL, SMALL_PICTURE, filters) for filters in (first, second))
    undisturbed = step(living, pictures, torch.arange(4))
    living.replace(rows.to(DEVICE), newborn)
    for bank in (*first.values(), *second.values()):  # a front keeps its own
        bank.zero_()
    features = step(living, pictures, torch.arange(4))
    assert torch.equal(features[[0, 2]], undisturbed[[0, 2]])
    assert torch.equal(features[rows], step(newborn, pictures[rows], torch.arange(2)))
    assert not torch.equal(features[rows], undisturbed[rows])


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_what_is_lost_is_lost_on_a_device_too(poison, generator):
    """A window with a lost number in any of its places; and infinities that meet in a sum."""
    front, picture = ConvolutionalFront([2], [2], [1], [2]), (9, 9, 1)
    filters, pictures = random_filters(front, picture, 1, generator), torch.rand(4, *picture, generator=generator)
    for n, (y, x) in enumerate([(0, 0), (2, 3), (3, 4), (4, 8)]):
        pictures[n, y, x] = poison
    pictures[3, 5, 7] = poison
    rows = torch.zeros(4, dtype=torch.int64)
    features = step(born(front, picture, filters), pictures, rows)
    expected = front.birth(picture, filters, "reference").step(pictures, rows)
    assert expected.isnan().any() or math.isinf(poison)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5, equal_nan=True)


def test_tanh_of_a_device_is_accurate(generator):
    """Through filters of one weight 1."""
    x = any_floats(4_000, generator)
    front, picture = ConvolutionalFront([1], [1], [1], [1]), (1, len(x), 1)
    living = born(front, picture, {"conv0": torch.ones(1, 1, 1, 1, 1)})
    check_tanh(step(living, x.view(1, 1, -1, 1), torch.tensor([0]))[0], x)


def test_pictures_of_bytes_are_read_as_they_are(generator):
    filters = random_filters(SMALL, SMALL_PICTURE, 2, generator)
    living = born(SMALL, SMALL_PICTURE, {name: bank / 255 for name, bank in filters.items()})
    pictures = torch.randint(256, (2, *SMALL_PICTURE), generator=generator, dtype=torch.uint8)
    features = step(living, pictures, torch.arange(2))
    assert torch.equal(features, step(living, pictures.float(), torch.arange(2)))
    assert features.abs().max() > 0


def test_no_rows_have_no_features_on_a_device(generator):
    living = born(SMALL, SMALL_PICTURE, random_filters(SMALL, SMALL_PICTURE, 2, generator))
    none = step(living, torch.zeros(0, *SMALL_PICTURE), torch.zeros(0, dtype=torch.int64))
    assert none.shape == (0, SMALL.outputs(SMALL_PICTURE))


@needs_a_gpu
def test_graphs_hold_steps(generator):
    """Replayed on other pictures and rows, and after a replacement."""
    first, second = (random_filters(PAPER, PICTURE, rows, generator) for rows in (4, 2))
    living = born(PAPER, PICTURE, first)
    pictures, rows = torch.rand(3, *PICTURE, device=DEVICE), torch.tensor([2, 0, 1], device=DEVICE)
    living.step(pictures, rows)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        features = living.step(pictures, rows)
    for _ in range(2):
        pictures.copy_(torch.rand(3, *PICTURE, generator=generator))
        rows.copy_(torch.randperm(4, generator=generator)[:3])
        graph.replay()
        assert torch.equal(features, living.step(pictures, rows))
        living.replace(torch.tensor([3, 0], device=DEVICE), born(PAPER, PICTURE, second))


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from neuroplastic.plastic import ConvolutionalFront
from neuroplastic.plastic.kernels.gpu import front

arrays = {"pictures": "*fp32", "rows": "*i64", "filters": "*fp32", "pooled": "*fp32"}
for n, stage in enumerate(ConvolutionalFront().stages((84, 84, 3))):
    _, warps, constants = front._launch(stage, n == 0)
    source = ASTSource(front._stage, arrays | dict.fromkeys(constants, "constexpr"), constants)
    options = {"num_warps": warps, "enable_fp_fusion": False}
    print(told(triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options), "-res-usage"))
"""


@pytest.mark.slow
def test_the_papers_front_compiles_without_spills(compiling):
    """For compute capability 9.0, which needs no GPU."""
    usage = compiling(COMPILED)
    assert re.findall(r"(STACK|LOCAL):(\d+)", usage) == [("STACK", "0"), ("LOCAL", "0")] * 2
