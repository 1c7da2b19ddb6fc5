"""Births, steps and replacements of networks that live on a GPU, bit for bit however they are asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from device_lives import CUDA, FRONT, PICTURE, rows_of, sampled

from neuroplastic.errors import ShapeError
from neuroplastic.plastic import HebbianRule, PlasticNetwork
from neuroplastic.plastic.kernels import STORAGES


@pytest.mark.parametrize("storage", STORAGES)
def test_births_of_samples_are_those_of_rows(storage, generator):
    """Bit for bit, filters, weights at birth and fixed parts as well; so do those of others in place of some."""
    rule = HebbianRule("A+lr", initial="evolved", fixed=True)
    options = {"rule": rule, "front": FRONT, "backend": "gpu"}
    of_sample = PlasticNetwork(PICTURE, 2, coefficients=storage, **options)
    of_rows = PlasticNetwork(PICTURE, 2, coefficients=storage if storage == "bfloat16" else "float32", **options)
    first = sampled(of_sample, [3, 3, 8], generator)
    second = replace(first, streams=np.array([8, 5], np.uint64), signs=np.array([-1, 1], np.int8))
    for step, sample in enumerate((first, second)):
        rows = None if step == 0 else [2, 0]
        of_sample.birth(sample, range(len(sample)), rows)
        of_rows.birth(rows_of(sample), range(len(sample)), rows)
        some = [0, 1, 2] if step else [1, 2]
        pictures = torch.rand(len(some), 54, generator=generator)
        outputs = [network.act(pictures, torch.zeros(len(some)), some) for network in (of_sample, of_rows)]
        assert torch.equal(*outputs)
        for name, weights in of_rows.weights().items():
            assert torch.equal(of_sample.weights()[name], weights)


def test_samples_of_another_number_than_their_rows(generator):
    network = PlasticNetwork(3, 2, rule=HebbianRule("A"), backend="gpu")
    network.birth(sampled(network, [1, 2, 3], generator), range(3))
    for number in (1, 3):
        with pytest.raises(ShapeError, match="genomes: expected"):
            network.birth(sampled(network, range(number), generator), range(number), [0, 1])


@pytest.mark.parametrize("storage", ["float32", "made"])
def test_samples_around_one_center_have_spreads_of_their_own(storage, generator):
    network = PlasticNetwork(3, 2, rule=HebbianRule("A+lr"), backend="gpu", coefficients=storage)
    narrow = sampled(network, [3, 4], generator, sigma=0.1)
    each = replace(narrow, sigma=torch.rand(network.layout.size, generator=generator))
    seen = torch.randn(2, 3, generator=generator)
    for sample in (narrow, replace(narrow, sigma=0.4), each):
        found = []
        for genomes in (sample, rows_of(sample)):
            network.birth(genomes, [1, 2])
            network.act(seen, torch.zeros(2), [0, 1])
            found.append(network.weights()["layer0"])
        assert torch.equal(*found)


def test_a_step_that_is_begun_is_a_step(generator):
    """Bit for bit `act`, whoever else computes meanwhile; as arrays."""
    made = [PlasticNetwork(3, 2, rule=HebbianRule("AD"), backend=name) for name in ("gpu", "gpu", "cpu", "reference")]
    beginning, acting, *others = made
    genomes = 0.3 * torch.randn(2, acting.layout.size, generator=generator)
    for network in made:
        network.birth(genomes, [1, 2])
    for rows in ([0, 1], [1], [1, 0]):
        seen = torch.randn(len(rows), 3, generator=generator).numpy()
        rewards = np.zeros(len(rows))
        finish = beginning.start(seen, rewards, rows)
        outputs = acting.act(seen, rewards, rows)
        assert np.array_equal(finish(), outputs)
        for network in others:
            np.testing.assert_allclose(network.start(seen, rewards, rows)(), outputs, rtol=1e-5, atol=1e-6)
    assert torch.equal(beginning.weights()["layer0"], acting.weights()["layer0"])


def test_networks_that_take_turns(generator):
    """Steps begun before the other's end, each on a stream of its own: bit for bit those of a network alone."""
    options = {"rule": HebbianRule("AB", "standardise"), "backend": "gpu"}
    first, second, alone = (PlasticNetwork(6, 2, **options) for _ in range(3))
    genomes = torch.randn(2, 2, alone.layout.size, generator=generator)
    seen, outputs = torch.randn(2, 10 if CUDA else 2, 2, 6, generator=generator).numpy(), []
    for network, own in zip((first, second), genomes, strict=True):
        network.birth(own, [1, 2])
    for one, other in zip(*seen, strict=True):
        begun = [first.start(one, np.zeros(2), range(2)), second.start(other, np.zeros(2), range(2))]
        outputs.append([finish() for finish in begun])
    for n, own in enumerate(genomes):
        alone.birth(own, [1, 2])
        for observations, found in zip(seen[n], outputs, strict=True):
            assert np.array_equal(alone.act(observations, np.zeros(2), range(2)), found[n])


def test_steps_of_all_lives_are_steps_of_each(generator):
    """Bit for bit; on a GPU those of all are replayed from a record, through replacements, freezing and assignment."""
    made = [PlasticNetwork(5, 2, [4], rule=HebbianRule(normaliser="row"), backend="gpu") for _ in range(2)]
    genomes = torch.randn(5, made[0].layout.size, generator=generator)
    for network in made:
        network.birth(genomes[:3], range(3))
    together, apart = made
    order, asked, there = [0, 1, 2], None, None
    for step in range(24 if CUDA else 5):
        if step % 6 == 3:
            for network in made:
                network.birth(genomes[3:], [7, 8], [2, 0])
        if step == 13:
            order = [1, 2, 0]
        if step == 20:
            for network in made:
                network.freeze([1])
                network.assign("layer0", [2], torch.ones(1, 4, 5))
        seen, rewards = torch.randn(3, 5, generator=generator), torch.zeros(3)
        before = there if order == asked else None
        asked, there = order, together._found(order)[1]
        assert before is None or there is before, "the record of a step reads these rows"
        outputs = together.act(seen, rewards, order)
        for n, row in enumerate(order):
            assert torch.equal(apart.act(seen[[n]], rewards[[n]], [row])[0], outputs[n])
    for name, weights in together.weights().items():
        assert torch.equal(apart.weights()[name], weights)
    assert not CUDA or vars(together._ferry)["_graph"] is not None
