"""Noise against Random123's known answers, integers of any size, float64 and closed forms."""

import hashlib
import math
import os
import platform
import secrets
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic import noise
from neuroplastic.errors import ArgumentError, ShapeError, UnknownNameError

words64 = st.integers(0, 2**64 - 1)
word = st.integers(0, 2**32 - 1)


@pytest.fixture
def fresh() -> int:
    seed = secrets.randbits(63)
    print(f"seed: {seed}")
    return seed


def philox_reference(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 as Salmon et al. 2011 write it, in integers of any size."""
    c0, c1, c2, c3 = counter
    for number in range(10):
        k0, k1 = ((k + number * weyl) % 2**32 for k, weyl in zip(key, (0x9E3779B9, 0xBB67AE85), strict=True))
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
    return [c0, c1, c2, c3]


def words_reference(source: int, start: int, count: int) -> np.ndarray:
    """Random words start..start+count of a stream, in float64."""
    key = [source % 2**32, source >> 32]
    blocks = range(start // 4, (start + count + 3) // 4)
    words = [word for block in blocks for word in philox_reference([block % 2**32, block >> 32, 0, 0], key)]
    return np.array(words[start % 4 : start % 4 + count], np.float64)


def normals_reference(source: int, start: int, count: int) -> np.ndarray:
    """Box–Muller in float64; start and count even."""
    a, b = words_reference(source, start, count).reshape(-1, 2).T
    radius, angle = np.sqrt(-2 * np.log((a + 0.5) / 2**32)), 2 * np.pi * (b + 0.5) / 2**32
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()


@pytest.mark.parametrize(
    ("counter", "key", "expected"),  # kat_vectors of Random123
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers(counter, key, expected):
    assert noise.philox([counter], key).tolist() == [expected]
    assert philox_reference(counter, key) == expected


@settings(deadline=None)
@given(
    st.lists(st.lists(word, min_size=4, max_size=4), min_size=1, max_size=40), st.lists(word, min_size=2, max_size=2)
)
def test_philox_is_its_definition(counters, key):
    assert noise.philox(counters, key).tolist() == [philox_reference(counter, key) for counter in counters]


starts = st.one_of(st.integers(0, 5000), st.integers(2**34 - 3000, 2**34 + 10), st.integers(0, 2**62)).map(
    lambda n: n & ~1
)


@settings(deadline=None, max_examples=60)
@given(words64, starts, st.integers(0, 700).map(lambda n: 2 * n))
def test_normals_are_box_muller_to_the_last_bits(source, start, count):
    drawn = noise.normal(source, count, start)
    assert drawn.dtype == torch.float32
    # 8 units in the last place, however near 0 they are.
    np.testing.assert_allclose(drawn.double().numpy(), normals_reference(source, start, count), rtol=5e-7, atol=0)


@settings(deadline=None, max_examples=60)
@given(words64, starts, st.integers(0, 1400))
def test_uniforms_are_the_upper_23_bits(source, start, count):
    drawn = noise.uniform(source, count, start)
    assert drawn.dtype == torch.float32
    expected = (words_reference(source, start, count) // 2**9 + 0.5) / 2**23
    np.testing.assert_array_equal(drawn.double().numpy(), expected)
    assert ((drawn > 0) & (drawn < 1)).all()


@settings(deadline=None)
@given(words64, st.integers(0, 2100), st.integers(0, 2100), st.sampled_from([noise.normal, noise.uniform]))
def test_any_range_is_the_same_numbers(source, start, count, draw):
    assert torch.equal(draw(source, count, start), draw(source, start + count)[start:])


def test_the_bits_are_those_of_every_machine():
    streams, signs, center = [1, 1, 2**64 - 1], [1, -1, 1], noise.normal(4, 5_003)
    drawn = [
        noise.normal(noise.stream(1, "every machine"), 100_003, 5).numpy(),
        noise.uniform(3, 5_003, 1).numpy(),
        noise.perturbed(center, 0.1, streams, signs).numpy(),
        noise.weighted_sum(streams, [0.1, 0.2, 0.3], 5_003).numpy(),
        noise.squared_norms(center, 0.1, streams, signs),
    ]
    assert hashlib.sha256(b"".join(numbers.tobytes() for numbers in drawn)).hexdigest() == (
        "26f765c8de370a6969759a3a4b2b521cda82bc168b7802662adc0c84a27f68ee"
    )
    weights, deviations = [0.1, 0.2, 0.3], noise.uniform(5, 5_003)
    drawn = [
        noise.perturbed(center.double(), 0.1, streams, signs).numpy(),
        noise.perturbed(center, deviations, streams, signs).numpy(),
        noise.perturbed(center.double(), deviations.double(), streams, signs).numpy(),
        noise.weighted_sum(streams, weights, 5_003, torch.float64).numpy(),
        *(moment.numpy() for moment in noise.weighted_moments(streams, weights, weights, 5_003)),
        *(moment.numpy() for moment in noise.weighted_moments(streams, weights, weights, 5_003, torch.float64)),
    ]
    assert hashlib.sha256(b"".join(numbers.tobytes() for numbers in drawn)).hexdigest() == (
        "47da4bcb9cffed1f3a1d442eff8375bc83ca03eddd2e09104dfc862f61f4d84c"
    )


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of that kind")
@pytest.mark.parametrize("processor", ["generic", "haswell"])  # SSE2; AVX2 with fused multiply-add
def test_the_bits_do_not_depend_on_the_instructions_of_the_cpu(processor, tmp_path):
    program = f"import runpy; runpy.run_path({__file__!r})['{test_the_bits_are_those_of_every_machine.__name__}']()"
    choices = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=os.environ | choices, check=True)


def normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def test_normals_are_normal(fresh):
    count = 1_000_000
    z = noise.normal(fresh, count).double().numpy()
    # Each statistic over its standard deviation; 5 happens once in 2 million.
    moments = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96), 5: (0, 945), 6: (15, 10170)}
    for power, (mean, variance) in moments.items():
        assert abs((z**power).mean() - mean) < 5 * math.sqrt(variance / count), f"moment {power}"
    for lag in (1, 2, 3, 4, 5, 8, 1024):
        for p, q in ((1, 1), (2, 2), (1, 2)):
            x, y = z[lag:] ** p, z[:-lag] ** q
            assert abs(np.corrcoef(x, y)[0, 1]) < 5 / math.sqrt(count), f"lag {lag}, powers {p} and {q}"
    for edge in (0.01, 0.1, 1, 2, 3, 4, 4.5):
        for tail in ((z > edge).sum(), (z < -edge).sum()):
            p = normal_cdf(-edge)
            assert abs(tail - count * p) < 5 * math.sqrt(count * p * (1 - p)) + 1, f"tail beyond {edge}"
    # Kolmogorov–Smirnov: √n sup|F_n - F| exceeds 2.5 once in 100,000.
    ordered = np.sort(z)
    F = np.array([normal_cdf(x) for x in ordered])
    steps = np.arange(count + 1) / count
    assert max((steps[1:] - F).max(), (F - steps[:-1]).max()) * math.sqrt(count) < 2.5


def test_neighbouring_streams_are_independent(fresh):
    count = 200_000
    streams = [0, 1, 2, 2**32, 2**63, fresh, fresh ^ 1, fresh ^ 2**40]
    for draw in (noise.normal, noise.uniform):
        correlations = np.corrcoef(np.stack([draw(source, count).numpy() for source in streams]))
        assert np.abs(correlations - np.eye(len(streams))).max() < 5.5 / math.sqrt(count)


def test_uniforms_are_uniform(fresh):
    count = 1_000_000
    ordered = np.sort(noise.uniform(fresh, count).double().numpy())
    steps = np.arange(count + 1) / count
    assert max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()) * math.sqrt(count) < 2.5


# ------------------------------------------------------------------------------------------- streams and seeds


def test_streams_are_the_same_for_ever():
    assert noise.stream(0) == 11243728523470438572
    assert noise.stream(2**80, "births", -3, "é") == 13711452706794818936


paths = st.lists(st.one_of(st.integers(), st.text(), st.sampled_from(["1", 1, "1, 2", ", "])), max_size=4).map(tuple)


@given(st.integers(), paths, st.integers(), paths)
def test_other_paths_are_other_streams(seed, path, other_seed, other_path):
    assert 0 <= noise.stream(seed, *path) < 2**64
    same = (seed, path) == (other_seed, other_path)
    assert (noise.stream(seed, *path) == noise.stream(other_seed, *other_path)) == same


@pytest.mark.parametrize("words", [(1.0,), ("1",), (None,), (1, 2.5), (1, None), (1, b"x")])
def test_what_is_no_path_is_refused(words):
    with pytest.raises(ArgumentError, match="stream: expected"):
        noise.stream(*words)


def test_numpy_integers_name_the_same_stream():
    assert noise.stream(np.int64(3), np.uint8(4), np.str_("x")) == noise.stream(3, 4, "x")


@given(st.integers(0, 2**40), st.integers(0, 2**20), st.integers(0, 30))
def test_episode_seeds(seed, generation, count):
    by_purpose = {
        purpose: noise.episode_seeds(seed, purpose, generation, count) for purpose in ("train", "selection", "test")
    }
    for purpose, seeds in by_purpose.items():
        assert seeds.dtype == np.int64
        assert seeds.shape == (count,)
        assert ((seeds >= 0) & (seeds < 2**31)).all()
        np.testing.assert_array_equal(seeds, noise.episode_seeds(seed, purpose, generation, count + 5)[:count])
    low_bits = [set((seeds & 3).tolist()) for seeds in by_purpose.values()]
    assert sum(map(len, low_bits)) == len(set.union(*low_bits)) == (3 if count else 0)


def test_episode_seeds_are_fresh_each_generation_and_spread_evenly(fresh):
    seeds = np.concatenate([noise.episode_seeds(fresh, "train", generation, 20) for generation in range(500)])
    assert len(np.unique(seeds)) > 9_990  # of 2²⁹: 0.1 repetitions are expected
    assert abs((seeds / 2**31).mean() - 0.5) < 5 * math.sqrt(1 / 12 / len(seeds))


def test_other_purposes_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        noise.episode_seeds(1, "training", 0, 3)
    with pytest.raises(ArgumentError, match="count"):
        noise.episode_seeds(1, "train", 0, -1)


# ------------------------------------------------------------------------------------------- populations

populations = st.tuples(st.lists(st.tuples(words64, st.integers(-1, 1)), max_size=9), st.integers(1, 2500), words64)


def materialised(streams: list[int], size: int) -> np.ndarray:
    return np.array([noise.normal(source, size).numpy() for source in streams], np.float64).reshape(-1, size)


@settings(deadline=None)
@given(populations, st.floats(0.001, 10))
def test_perturbed_and_its_norms(population, sigma):
    members, size, source = population
    members = [member for member in members for _ in range(2)]  # neighbours of one stream
    streams, signs = [s for s, _ in members], [sign for _, sign in members]
    center = noise.normal(source, size)
    expected = center.double().numpy() + sigma * np.array(signs).reshape(-1, 1) * materialised(streams, size)
    rows = noise.perturbed(center, sigma, streams, signs)
    assert rows.dtype == torch.float32
    np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-6, atol=1e-6 * (1 + sigma))
    norms = noise.squared_norms(center, sigma, streams, signs)
    np.testing.assert_allclose(norms, (expected**2).sum(axis=1), rtol=1e-5, atol=1e-9)


@settings(deadline=None)
@given(populations, st.integers(0, 2**32 - 1))
def test_weighted_sum(population, seed):
    members, size, _ = population
    streams = [source for source, _ in members]
    weights = np.random.default_rng(seed).standard_normal(len(streams))
    total = noise.weighted_sum(streams, weights, size)
    assert total.dtype == torch.float32
    np.testing.assert_allclose(total.numpy(), weights @ materialised(streams, size), rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(populations, st.floats(0.001, 10), st.sampled_from([torch.float32, torch.float64]))
def test_perturbed_in_the_precision_of_the_center_with_one_deviation_or_one_for_each_number(population, sigma, dtype):
    members, size, source = population
    members = [member for member in members for _ in range(2)]  # neighbours of one stream
    streams, signs = [s for s, _ in members], np.array([sign for _, sign in members]).reshape(-1, 1)
    center = noise.normal(source, size).to(dtype) / 3
    deviations = sigma * (0.5 + noise.uniform(source, size).to(dtype))
    units, rounding = materialised(streams, size), torch.finfo(dtype).eps
    for width in (sigma, deviations):
        expected = center.double().numpy() + np.asarray(width, np.float64) * signs * units
        rows = noise.perturbed(center, width, streams, signs[:, 0])
        assert rows.dtype == dtype
        np.testing.assert_allclose(rows.numpy(), expected, rtol=8 * rounding, atol=40 * rounding * (1 + sigma))
    equal = torch.full([size], sigma, dtype=dtype)
    assert torch.equal(
        noise.perturbed(center, equal, streams, signs[:, 0]), noise.perturbed(center, sigma, streams, signs[:, 0])
    )


@settings(deadline=None)
@given(populations, st.integers(0, 2**32 - 1), st.sampled_from([torch.float32, torch.float64]))
def test_weighted_moments(population, seed, dtype):
    members, size, _ = population
    streams = [source for source, _ in members]
    weights, square_weights = np.random.default_rng(seed).standard_normal((2, len(streams)))
    first, second = noise.weighted_moments(streams, weights, square_weights, size, dtype)
    assert first.dtype == second.dtype == dtype
    assert torch.equal(first, noise.weighted_sum(streams, weights, size, dtype))
    units, rounding = materialised(streams, size), torch.finfo(dtype).eps
    np.testing.assert_allclose(first.numpy(), weights @ units, rtol=2 * rounding, atol=1e-13)
    np.testing.assert_allclose(second.numpy(), square_weights @ units**2, rtol=2 * rounding, atol=1e-12)


@settings(deadline=None)
@given(populations, st.integers(1, 2500))
def test_numbers_do_not_depend_on_how_many_are_made(population, shorter):
    members, size, source = population
    streams, signs, center = [s for s, _ in members], [sign for _, sign in members], noise.normal(source, size)
    cut = min(size, shorter)
    deviations = noise.uniform(source, size)
    assert torch.equal(
        noise.perturbed(center, deviations, streams, signs)[:, :cut],
        noise.perturbed(center[:cut], deviations[:cut], streams, signs),
    )
    whole, part = (noise.weighted_moments(streams, signs, signs, count) for count in (size, cut))
    assert all(torch.equal(long[:cut], short) for long, short in zip(whole, part, strict=True))
    assert torch.equal(
        noise.perturbed(center, 0.3, streams, signs)[:, :cut], noise.perturbed(center[:cut], 0.3, streams, signs)
    )
    assert torch.equal(noise.weighted_sum(streams, signs, size)[:cut], noise.weighted_sum(streams, signs, cut))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ArgumentError, match="count"):
        noise.normal(1, -1)
    with pytest.raises(ArgumentError, match="start"):
        noise.uniform(1, 4, -4)
    with pytest.raises(ArgumentError, match="stream"):
        noise.normal(2**64, 1)
    with pytest.raises(ShapeError, match="counter"):
        noise.philox([1, 2, 3, 4], [1, 2])
    with pytest.raises(ShapeError, match="center"):
        noise.perturbed(torch.zeros(2, 2), 1.0, [1], [1])
    with pytest.raises(ShapeError, match="signs"):
        noise.perturbed(torch.zeros(2), 1.0, [1, 2], [1])
    with pytest.raises(ShapeError, match="signs"):
        noise.perturbed(torch.zeros(2), torch.ones(2), [1, 2], [1])
    with pytest.raises(ShapeError, match="sigma"):
        noise.perturbed(torch.zeros(2), torch.ones(3), [1], [1])
    with pytest.raises(ShapeError, match="signs"):
        noise.squared_norms(torch.zeros(2), 1.0, [1, 2], [1])
    with pytest.raises(ShapeError, match="weights"):
        noise.weighted_sum([1, 2], [1.0], 3)
    with pytest.raises(ShapeError, match="weights"):
        noise.weighted_moments([1, 2], [1.0], [1.0, 2.0], 3)
    with pytest.raises(ShapeError, match="square_weights"):
        noise.weighted_moments([1, 2], [1.0, 2.0], [1.0], 3)
    with pytest.raises(ArgumentError, match="count"):
        noise.weighted_moments([1], [1.0], [1.0], -3)
    with pytest.raises(ShapeError, match="streams"):
        noise.weighted_sum(np.zeros((2, 2), np.uint64), [1.0, 2.0], 3)
