"""The specification against loops written by hand; the fused kernel against the specification."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from by_hand import any_floats, check_normalisers, check_tanh
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroplastic.plastic.kernels import ACTIVATIONS, NORMALISERS, cpu, reference

TERMS = ["".join(letter for n, letter in enumerate("ABCD") if bits >> n & 1) for bits in range(16)]
ALL_TERMS = [letters + rate for letters in TERMS for rate in ("", "+lr")]
SIGNAL, LIMIT = torch.zeros(0), 0.3


def names(terms):
    return [*terms.partition("+")[0], *(["lr"] if "+lr" in terms else [])]


def random_layer(terms, rows, inputs, outputs, generator, scale=0.1):
    """Weights and coefficients in float64 that float32 holds exactly."""

    def draw(*shape):
        return torch.randn(*shape, generator=generator).double()

    weights = 0.3 * draw(rows, outputs, inputs).float().double()
    return weights, {name: (scale * draw(rows, outputs, inputs)).float().double() for name in names(terms)}


def by_hand(w, coefficients, o, activation, normaliser, limit):
    """One step of one row with scalar loops: w is a list [O][I] and is changed; returns post."""
    f = {
        "tanh": math.tanh,
        "relu": lambda x: max(x, 0.0),
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "linear": lambda x: x,
    }[activation]
    post = [f(sum(w[j][i] * o[i] for i in range(len(o)))) for j in range(len(w))]
    if not set("ABCD") & set(coefficients):
        return post

    def c(name, j, i):
        return float(coefficients[name][j, i]) if name in coefficients else {"lr": 1.0}.get(name, 0.0)

    for j in range(len(w)):
        for i in range(len(o)):
            change = c("A", j, i) * o[i] * post[j] + c("B", j, i) * o[i] + c("C", j, i) * post[j] + c("D", j, i)
            w[j][i] += c("lr", j, i) * change
    largest = max(abs(x) for row in w for x in row)
    flat = [x for row in w for x in row]
    mean = sum(flat) / len(flat)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat))
    for j in range(len(w)):
        norm = math.sqrt(sum(x * x for x in w[j]))
        for i in range(len(o)):
            if normaliser == "max" and largest > 0:
                w[j][i] /= largest
            if normaliser == "row" and norm > 0:
                w[j][i] /= norm
            if normaliser == "clip":
                w[j][i] = min(max(w[j][i], -limit), limit)
            if normaliser == "standardise":
                w[j][i] = (w[j][i] - mean) / (deviation if deviation > 1e-6 * abs(mean) else 1)
    return post


@settings(deadline=None, max_examples=200)
@given(
    terms=st.sampled_from(ALL_TERMS),
    normaliser=st.sampled_from(NORMALISERS),
    activation=st.sampled_from(ACTIVATIONS),
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_reference_is_what_loops_by_hand_give(terms, normaliser, activation, inputs, outputs, seed):
    generator = torch.Generator().manual_seed(seed)
    weights, coefficients = random_layer(terms, 2, inputs, outputs, generator)
    layer = reference.HebbianLayer(weights, coefficients, activation, normaliser, LIMIT)
    w = weights.tolist()
    for _ in range(3):
        pre = torch.randn(2, inputs, generator=generator).double()
        post = layer.step(pre, SIGNAL, torch.arange(2))
        for row in range(2):
            own = {name: coefficient[row] for name, coefficient in coefficients.items()}
            expected = by_hand(w[row], own, pre[row].tolist(), activation, normaliser, LIMIT)
            np.testing.assert_allclose(post[row], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(layer.weights(), w, rtol=1e-10, atol=1e-12)


def compare(terms, activation, normaliser, inputs, outputs, generator, steps=4):
    """The fused kernel in float32 stays within rounding of the specification in float64."""
    rows = 3
    weights, coefficients = random_layer(terms, rows, inputs, outputs, generator)
    exact = reference.HebbianLayer(weights, coefficients, activation, normaliser, LIMIT)
    single = {name: coefficient.float() for name, coefficient in coefficients.items()}
    fused = cpu.HebbianLayer(weights.float(), single, activation, normaliser, LIMIT)
    for _ in range(steps):
        some = torch.randperm(rows, generator=generator)[:2]
        pre = torch.randn(2, inputs, generator=generator)
        post, expected = fused.step(pre, SIGNAL, some), exact.step(pre.double(), SIGNAL, some)
        for found, wanted in ((post, expected), (fused.weights(), exact.weights())):
            scale = max(1.0, float(wanted.abs().max()))
            assert (found - wanted).abs().max() <= 2e-5 * scale, (activation, inputs, outputs)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("terms", ALL_TERMS)
def test_the_kernel_is_the_reference(terms, normaliser, generator):
    for activation in ACTIVATIONS:
        compare(terms, activation, normaliser, 9, 20, generator)


@settings(deadline=None, max_examples=200)
@given(
    terms=st.sampled_from(ALL_TERMS),
    normaliser=st.sampled_from(NORMALISERS),
    inputs=st.sampled_from([1, 2, 3, 16, 17, 33, 100]),
    outputs=st.sampled_from([1, 2, 3, 8, 15, 16, 17, 33, 128]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_kernel_is_the_reference_at_any_size(terms, normaliser, inputs, outputs, seed):
    compare(terms, "tanh", normaliser, inputs, outputs, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel", [cpu, reference])
def test_normalisers_by_hand(kernel):
    check_normalisers(kernel.HebbianLayer)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("poison", [math.inf, -math.inf, math.nan, 3e38])
def test_a_life_that_diverges_is_alone(poison, normaliser, generator):
    weights, coefficients = random_layer("ABCD+lr", 3, 5, 18, generator)
    single = {name: coefficient.float() for name, coefficient in coefficients.items()}
    layers = {
        (kernel, sick): kernel.HebbianLayer(weights.float(), single, "linear", normaliser, LIMIT)
        for kernel in (cpu, reference)
        for sick in (False, True)
    }
    well = [0, 2]
    for step in range(4):
        pre = torch.randn(3, 5, generator=generator)
        posts = {}
        for (kernel, sick), layer in layers.items():
            fed = pre.clone()
            if sick and step == 1:
                fed[1, 2] = poison
            posts[kernel, sick] = layer.step(fed, SIGNAL, torch.arange(3))
        for kernel in (cpu, reference):
            assert torch.equal(posts[kernel, False][well], posts[kernel, True][well])
            assert torch.equal(layers[kernel, False].weights()[well], layers[kernel, True].weights()[well])
        if step == 1 and not math.isfinite(poison):  # the kernel and the specification agree about what is lost
            finite = [layers[kernel, True].weights()[1].isfinite() for kernel in (cpu, reference)]
            assert torch.equal(*finite)


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_how_far_one_lost_weight_spreads(normaliser, generator):
    """Through a largest weight to the whole layer, through a norm to its unit, else nowhere."""
    weights, coefficients = random_layer("D", 2, 5, 4, generator)
    coefficients["D"][0, 2, 3] = math.nan
    lost = torch.zeros(2, 4, 5, dtype=torch.bool)
    lost[{"max": (0,), "standardise": (0,), "row": (0, 2)}.get(normaliser, (0, 2, 3))] = True
    for kernel in (cpu, reference):
        layer = kernel.HebbianLayer(weights.float(), {"D": coefficients["D"].float()}, "tanh", normaliser, LIMIT)
        layer.step(torch.ones(2, 5), SIGNAL, torch.arange(2))
        assert torch.equal(layer.weights().isnan(), lost)


def activations_of(x, activation):
    """f(x) by the fused kernel: weights 1, never changed."""
    one = cpu.HebbianLayer(torch.ones(1, 1, 1), {}, activation, "none", 1.0)
    return torch.cat(
        [one.step(part[:, None], SIGNAL, torch.zeros(len(part), dtype=torch.int64)) for part in x.split(4096)]
    )


def test_activations_are_accurate(generator):
    """Fresh floats of all sizes, from their bits."""
    x = any_floats(200_000, generator)
    tanh = activations_of(x, "tanh")[:, 0]
    assert tanh.abs().max() <= 1
    check_tanh(tanh, x)
    assert (activations_of(x, "sigmoid")[:, 0] - x.double().sigmoid()).abs().max() < 3e-7
    assert torch.equal(activations_of(x, "relu")[:, 0], x.relu())
    assert torch.equal(activations_of(x, "linear")[:, 0], x)


DIGEST = """
import hashlib, torch
from neuroplastic.plastic.kernels import ACTIVATIONS, NORMALISERS, cpu
digest = hashlib.sha256()
generator = torch.Generator().manual_seed({seed})
for activation in ACTIVATIONS:
    for normaliser in NORMALISERS:
        weights, *terms = 0.2 * torch.randn(6, 2, 37, 29, generator=generator)
        coefficients = dict(zip(["A", "B", "C", "D", "lr"], terms))
        layer = cpu.HebbianLayer(weights, coefficients, activation, normaliser, 0.3)
        for _ in range(5):
            post = layer.step(torch.randn(2, 29, generator=generator), torch.zeros(0), torch.arange(2))
            digest.update(post.numpy().tobytes())
        digest.update(layer.weights().numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_vector_width(generator, tmp_path):
    """Compiled for this CPU and for the plainest one of its kind, the kernel gives the same bits."""
    program = DIGEST.format(seed=int(torch.randint(2**31, (), generator=generator)))
    digests = set()
    for target in ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}):
        run = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **target, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout)
    assert len(digests) == 1
