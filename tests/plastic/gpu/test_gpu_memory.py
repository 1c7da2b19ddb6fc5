"""The devices that networks live on, and how much of their memory lives take."""

import gc
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from device_lives import CUDA, FRONT, PICTURE, needs_a_gpu, rows_of, sampled
from hypothesis import given
from hypothesis import strategies as st

from neuroplastic.errors import ArgumentError, DeviceError, UnknownNameError
from neuroplastic.plastic import HebbianRule, PlasticNetwork, rules
from neuroplastic.plastic.device import device_of, named_device, refuse_too_many
from neuroplastic.plastic.kernels import STORAGES


def held(network):
    """Bytes of what lives."""
    tensors = [array for layer in network._living.values() for array in layer._state.values()]
    tensors += [*network._memory, network._ones, *(network._living_front._filters if network._living_front else [])]
    return sum(tensor.nbytes for tensor in tensors)


@pytest.mark.parametrize(
    "options",
    [
        {"inputs": 28, "outputs": 8, "hidden": [128, 64], "rule": HebbianRule()},
        {"inputs": 28, "outputs": 8, "hidden": [32], "rule": rules["static"]()},
        {
            "inputs": 28,
            "outputs": 8,
            "hidden": [16],
            "rule": HebbianRule("ABCD+lr+decay", "standardise"),
            "kind": "gru",
        },
        {
            "inputs": 1,
            "outputs": 1,
            "rule": HebbianRule("A", "standardise", trace=0.5, every=2, fixed=True),
            "bias": True,
        },
        {"inputs": PICTURE, "outputs": 3, "hidden": [64], "rule": HebbianRule("A", "max", fixed=True), "front": FRONT},
    ],
    ids=["quadruped", "static", "gru", "smallest", "pictures"],
)
def test_how_much_memory_a_life_takes(options, generator):
    """At most what is said of it, however coefficients are kept; and far less if they are not."""
    bytes_ = {}
    for storage in STORAGES:
        network = PlasticNetwork(**options, backend="gpu", coefficients=storage)
        sample, lives = sampled(network, [4, 9], generator), 2
        network.birth(sample if storage == "made" else rows_of(sample), range(lives))
        assert held(network) <= lives * network.life_bytes
        assert network.life_bytes <= 8 * held(network) / lives + 4096  # nor is it out of all proportion
        bytes_[storage] = network.life_bytes
    if len(options["rule"].terms) > 4:
        assert bytes_["made"] < bytes_["bfloat16"] < bytes_["float32"]
        assert bytes_["made"] < 0.5 * bytes_["float32"]


@given(
    free=st.integers(0, 2**40),
    life_bytes=st.integers(1, 2**32),
    fixed_bytes=st.integers(0, 2**36),
    processes=st.integers(1, 16),
    more=st.integers(1, 9),
)
def test_the_batch_that_is_named_fits(free, life_bytes, fixed_bytes, processes, more):
    """In each process; and one life more in each does not."""

    def check(lives):
        refuse_too_many("cuda:3", free, lives, life_bytes, fixed_bytes, processes)

    with pytest.raises(DeviceError, match="batch: expected at most .* lives.*, for which cuda:3 has room") as refused:
        check(2**50)
    assert ("processes" in str(refused.value)) == (processes > 1)
    fits = int(re.findall(r"at most ([\d,]+) lives", str(refused.value))[0].replace(",", ""))
    check(fits)
    assert processes * (fits * life_bytes + fixed_bytes) <= free or fits == 0
    assert processes * ((fits + 1) * life_bytes + fixed_bytes) > 0.9 * free
    with pytest.raises(DeviceError, match=rf"got {fits + more:,}$"):
        check(fits + more)


@pytest.mark.parametrize(
    ("storage", "generations"), [("made", 5), pytest.param("float32", 100, marks=pytest.mark.slow)]
)
def test_generations_leave_nothing_behind(storage, generations, generator):
    """After a hundred births, lives and replacements there are as many numbers as after the first few."""
    rule = HebbianRule("D", "row", trace=0.5)
    network = PlasticNetwork(2, 2, rule=rule, backend="gpu", coefficients=storage)

    def generation(number):
        sample = sampled(network, [number, number], generator)
        one = replace(sample, streams=sample.streams[:1], signs=sample.signs[:1])
        drawn = storage == "made"
        network.birth(sample if drawn else rows_of(sample), [1, 2])
        network.birth(one if drawn else rows_of(one), [3], [1])
        network.start(np.ones((1, 2), np.float32), np.zeros(1, np.float32), [1])()
        if number % 20 == 0:
            network.act(torch.ones(2, 2), torch.zeros(2), [1, 0])

    def there():
        gc.collect()
        tensors = [found for found in gc.get_objects() if issubclass(type(found), torch.Tensor)]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
        return len(tensors), sum(storages.values()), torch.cuda.memory_allocated() if CUDA else 0

    for number in range(2):
        generation(number)
    before = there()
    for number in range(100 if CUDA else generations):
        generation(number)
    assert there() == before
    network.close()
    assert there()[1] < before[1]
    with pytest.raises(ArgumentError, match="rows: expected distinct numbers below 0"):
        network.act(torch.ones(1, 2), torch.zeros(1), [0])


@needs_a_gpu
@pytest.mark.parametrize("storage", STORAGES)
def test_a_gpu_never_holds_more_than_lives_were_said_to_take(storage, generator):
    """Births and steps, with what passes; and with as many lives as there is no room for, nothing is born."""
    lives = 2048
    network = PlasticNetwork(28, 8, [128, 64], rule=HebbianRule(normaliser="max"), backend="gpu", coefficients=storage)
    sample = sampled(network, range(lives), generator)
    network.birth(replace(sample, streams=sample.streams[:2], signs=sample.signs[:2]), [1, 2])  # kernels are loaded
    network.close()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    network.birth(sample, range(lives))
    for _ in range(6):
        network.act(np.ones((lives, 28), np.float32), np.zeros(lives, np.float32), range(lives))
    taken = torch.cuda.max_memory_allocated() - before
    assert taken <= lives * network.life_bytes + 8 * network.layout.size
    network.close()
    gc.collect()
    many = 2 * torch.cuda.mem_get_info()[1] // network.life_bytes
    with pytest.raises(DeviceError, match="batch: expected at most"):
        network.check_room(many)


@needs_a_gpu
def test_the_reference_computes_on_a_gpu(generator):
    here, there = (
        PlasticNetwork(5, 3, rule=HebbianRule(), backend="reference", device=name) for name in ("cpu", "cuda")
    )
    genomes, seen = torch.randn(3, here.layout.size, generator=generator), torch.randn(3, 5, generator=generator)
    for network in (here, there):
        network.birth(genomes, range(3))
    for _ in range(6):
        outputs = [network.act(seen, torch.zeros(3), range(3)) for network in (here, there)]
        torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-6)


def test_names_of_devices():
    assert named_device("cpu") == torch.device("cpu")
    assert named_device("cuda") == torch.device("cuda")
    assert named_device("cuda:7") == torch.device("cuda", 7)
    assert named_device("auto").type == ("cuda" if CUDA else "cpu")
    for name in ("gpu", "cuda:x", "cuda:-1", "cuda:", "cpu:", "cpu:0", "cuda:01", ""):
        with pytest.raises(ArgumentError, match=f"device: expected 'cpu', 'cuda', 'cuda:N' or 'auto'; got '{name}'"):
            named_device(name)


def test_where_backends_compute(monkeypatch):
    assert device_of("cpu", None) == device_of("reference", None) == device_of("cpu", "cpu") == torch.device("cpu")
    assert device_of("reference", "cuda:1") == torch.device("cuda", 1)
    with pytest.raises(ArgumentError, match="device: expected 'cpu' for backend 'cpu'; got 'cuda'"):
        device_of("cpu", "cuda")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert device_of("gpu", None) == device_of("gpu", "cuda") == torch.device("cpu")
    monkeypatch.delenv("TRITON_INTERPRET")
    assert device_of("gpu", None) == torch.device("cuda")
    assert device_of("gpu", "cuda:2") == torch.device("cuda", 2)
    with pytest.raises(ArgumentError, match="device: expected 'cuda' for backend 'gpu'; got 'cpu'"):
        device_of("gpu", "cpu")


def test_a_gpu_that_is_not_here_is_missed_at_birth(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    count = torch.cuda.device_count()
    network = PlasticNetwork(3, 2, rule=HebbianRule(), backend="gpu", device=f"cuda:{count}")
    with pytest.raises(
        DeviceError, match=f"device: expected one of the {count} GPUs that torch sees; got 'cuda:{count}'"
    ):
        network.birth(torch.zeros(1, network.layout.size), [0])


def test_networks_that_no_device_can_be():
    with pytest.raises(UnknownNameError, match="coefficients: expected one of"):
        PlasticNetwork(3, 2, rule=HebbianRule(), backend="gpu", coefficients="float16")
    with pytest.raises(ArgumentError, match="dtype: expected one of"):
        PlasticNetwork(3, 2, rule=HebbianRule(), backend="gpu", dtype=torch.float64)
