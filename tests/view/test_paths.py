"""Pictures of paths: what is drawn is what happened."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle, Patch, Rectangle

from neuroplastic.errors import ArgumentError
from neuroplastic.pathnet import PathHistory
from neuroplastic.view.paths import KINDS, draw_paths, on_path, path_frames
from neuroplastic.view.replay import write_video


def history(lasts: tuple[int, ...] = (3, 2), layers: int = 3, modules: int = 4, always: bool = False) -> PathHistory:
    stage = torch.repeat_interleave(torch.arange(len(lasts)), torch.tensor(lasts, dtype=torch.int64))
    active = torch.zeros(len(stage), layers, modules, dtype=torch.bool)
    active.scatter_(2, torch.randint(modules, (len(stage), layers, 2)), True)
    inherited = torch.rand(layers, modules) < 0.2
    return PathHistory(("first", "second", "third"), stage, torch.rand(len(stage)).double(), active, inherited, always)


def kind(past: PathHistory, number: int, layer: int, module: int) -> str:
    """In words, from the history itself."""
    frozen = bool(past.inherited[layer, module])
    for last in range(number):
        frozen |= bool(past.stage[last] < past.stage[last + 1]) and bool(past.active[last, layer, module])
    on = bool(past.active[number, layer, module])
    return {(0, 0): "not", (1, 0): "frozen", (0, 1): "on the path, learning", (1, 1): "on the path, frozen"}[frozen, on]


def colour(word: str) -> tuple[float, ...]:
    return next(to_rgb(tone) for text, tone, _ in KINDS.values() if text.startswith(word))


@pytest.mark.parametrize("always", [False, True])
def test_grids_show_the_end_of_each_task_and_the_map_shows_every_round(always: bool) -> None:
    past = history(always=always)
    figure = draw_paths(past)
    *grids, below = figure.axes
    assert [axes.get_title().split("\n")[0] for axes in grids] == ["first", "second"]
    for axes, last in zip(grids, (2, 4), strict=True):
        patches = [each for each in axes.patches if isinstance(each, Patch)]
        found = {}
        for patch in patches:
            assert isinstance(patch, Circle | Rectangle)
            x, y = patch.get_extents().get_points().mean(0)
            at = axes.transData.inverted().transform((x, y))
            place = round(at[0] / 2.5), round(at[1])
            shape = "circle" if isinstance(patch, Circle) else f"square {patch.angle:.0f}"
            found[place] = tuple(np.round(patch.get_facecolor()[:3], 6)), shape
        shapes = {"not": "circle", "frozen": "square 0", "on the path, learning": "circle"}
        for layer in range(3):
            for module in range(4):
                word = kind(past, last, layer, module)
                expected = tuple(np.round(colour(word), 6)), shapes.get(word, "square 45")
                assert found[layer, module] == expected
        joined = past.active[last] | (past.frozen[last] & always)
        assert len(axes.lines) == sum(int(joined[at].sum() * joined[at + 1].sum()) for at in range(2))
    (image,) = below.images
    painted = image.cmap(image.norm(image.get_array()))[..., :3]
    assert painted.shape == (12, 5, 3)
    for (row, number), _ in np.ndenumerate(painted[..., 0]):
        np.testing.assert_allclose(painted[row, number], colour(kind(past, number, row // 4, row % 4)))


def test_frames_are_one_a_round_and_show_it() -> None:
    past = history()
    frames = list(path_frames(past, 400, 300))
    assert len(frames) == 5
    for frame in frames:
        assert (frame.shape, frame.dtype) == ((300, 400, 3), np.uint8)
    for before, after in pairwise(frames):
        assert not np.array_equal(before, after)
    again = list(path_frames(past, 400, 300))
    np.testing.assert_array_equal(frames, again)
    # Of what nothing is on the path nothing has the colour of what learns, but for the legend and the curve.
    empty = PathHistory(past.tasks, past.stage, past.fitness, torch.zeros_like(past.active), past.inherited)
    learning = (255 * np.array(colour("on the path, learning"))).round()
    for frame, bare, number in zip(frames, path_frames(empty, 400, 300), range(5), strict=True):
        many, few = ((np.abs(each - learning).max(-1) < 3).sum() for each in (frame, bare))
        modules = int((past.active[number] & ~past.frozen[number]).sum())
        assert (many > few) == (modules > 0)


def test_frozen_modules_take_part_if_they_always_do() -> None:
    past = history(always=True)
    assert torch.equal(on_path(past), past.active | past.frozen)


def test_one_round_of_one_layer_and_a_fitness_that_is_none(tmp_path: Path) -> None:
    past = history((1,), 1, 1)
    past = PathHistory(past.tasks, past.stage, torch.tensor([torch.nan]).double(), past.active, past.inherited)
    draw_paths(past).savefig(tmp_path / "paths.png")
    assert (tmp_path / "paths.png").stat().st_size > 1000
    assert len(list(path_frames(past))) == 1


def test_an_animation_can_be_written(tmp_path: Path) -> None:
    assert write_video(tmp_path / "paths.gif", 5, path_frames(history(), 320, 240)) == 5


def test_bad_input_is_named() -> None:
    nothing = history((0,))
    with pytest.raises(ArgumentError, match="history: expected one round or more"):
        draw_paths(nothing)
    with pytest.raises(ArgumentError, match="history: expected one round or more"):
        path_frames(nothing)
    with pytest.raises(ArgumentError, match="width"):
        path_frames(history(), width=10)
