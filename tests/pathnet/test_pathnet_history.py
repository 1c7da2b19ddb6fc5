"""What a history says of its rounds, and that it survives being made of tensors."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from neuroplastic.errors import ShapeError
from neuroplastic.pathnet import PathHistory


def history(lasts: list[int], layers: int = 2, modules: int = 5, seed: int = 1, **options) -> PathHistory:
    """Random paths, so many rounds of each task."""
    random = torch.Generator().manual_seed(seed)
    stage = torch.repeat_interleave(torch.arange(len(lasts)), torch.tensor(lasts, dtype=torch.int64))
    active = torch.rand(len(stage), layers, modules, generator=random) < 0.4
    fitness = torch.rand(len(stage), generator=random).double()
    inherited = torch.rand(layers, modules, generator=random) < 0.2
    return PathHistory(tuple(f"task{number} é" for number in range(5)), stage, fitness, active, inherited, **options)


def same(one: PathHistory, other: PathHistory) -> None:
    assert (one.tasks, one.always_active) == (other.tasks, other.always_active)
    for name in ("stage", "fitness", "active", "inherited"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
        assert getattr(one, name).dtype == getattr(other, name).dtype


@given(st.lists(st.integers(1, 4), max_size=4), st.integers(0, 2**31), st.booleans())
def test_frozen_is_what_each_task_before_ended_with(lasts: list[int], seed: int, always: bool) -> None:
    past = history(lasts, seed=seed, always_active=always)
    now, at = past.inherited.clone(), 0
    assert past.frozen.shape == past.active.shape
    for rounds in lasts:
        for number in range(at, at + rounds):
            assert torch.equal(past.frozen[number], now)
        at += rounds
        now |= past.active[at - 1]
    same(past, PathHistory.of(past.tensors()))


@pytest.mark.parametrize("lasts", [[], [3, 2]])
def test_it_lies_in_a_safetensors_file(tmp_path: Path, lasts: list[int]) -> None:
    past = history(lasts)
    save_file(past.tensors(), tmp_path / "past.safetensors")
    same(past, PathHistory.of(load_file(tmp_path / "past.safetensors")))


def test_a_round_of_three_layers_of_ten_modules_is_46_bytes() -> None:
    sizes = [sum(each.nbytes for each in history([n], 3, 10).tensors().values()) for n in (100, 200)]
    assert (sizes[1] - sizes[0]) / 100 == 30 + 8 + 8


def test_arrays_that_do_not_fit_are_named() -> None:
    past = history([3, 2])
    with pytest.raises(ShapeError, match="fitness"):
        PathHistory(past.tasks, past.stage, past.fitness[1:], past.active, past.inherited)
    with pytest.raises(ShapeError, match="active"):
        PathHistory(past.tasks, past.stage, past.fitness, past.active[:, :, 1:], past.inherited)
