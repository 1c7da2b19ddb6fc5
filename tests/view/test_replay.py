"""Videos hold what happened: read back with another library and looked at."""

import os
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from gymnasium import spaces
from PIL import Image

from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds import resolved
from neuroplastic.experiment.kinds.evolution import build_task
from neuroplastic.experiment.recipe import parse_recipe
from neuroplastic.experiment.scores import score
from neuroplastic.view.panel import BACK, WeightPanel
from neuroplastic.view.replay import FRAME, HEIGHT, VIEW, frames, seen_picture, show_window, write_video


@pytest.fixture
def agent(tiny: dict[str, Any]) -> Agent:
    recipe = resolved(parse_recipe(tiny))
    layout = build_task(recipe).layout
    return Agent(torch.randn(layout.size), recipe, layout, 7)


def test_a_replay_is_the_life_that_is_scored(agent: Agent) -> None:
    (scored,), _ = score(agent, [{}], episodes=3)
    _, pictures = frames(agent, {}, episode=2, fps=1000)
    assert len(list(pictures)) == scored.returns[2] + 1  # CartPole pays 1 a step


def test_an_act_is_done_and_named_from_its_moment_on(agent: Agent) -> None:
    plain, controlled = (
        [np.array(picture).astype(int) for picture in frames(agent, {}, steps=8, fps=1000, controls=controls)[1]]
        for controls in ([], ["zero_layer=layer0@3", "zero_layer=layer1@3", "freeze=3"])
    )
    red = [((seen[:80, :300, 0] > 120) & (seen[:80, :300, 1:].max(axis=2) < 80)).sum() for seen in controlled]
    assert max(red[:4]) == 0, "three steps as if nothing were to come"
    assert min(red[4:]) > 100
    for before, after in zip(plain[:4], controlled[:4], strict=True):
        np.testing.assert_array_equal(before, after)
    maps = controlled[-1][40:340, -300:-20]
    grey = np.abs(maps - maps[..., :1]).max(axis=2) < 12
    assert grey.mean() > 0.8, "its weights are 0 and stay so"


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_videos_can_be_read_back(agent: Agent, tmp_path: Path, ending: str) -> None:
    rate, pictures = frames(agent, {}, steps=12)
    kept = list(pictures)
    file = tmp_path / f"life.{ending}"
    assert write_video(file, rate, iter(kept)) == len(kept)
    read = iio.imread(file, plugin="pyav" if ending == "mp4" else "pillow")
    assert read.shape[1:] == kept[0].shape
    assert abs(len(read) - len(kept)) <= 1
    assert np.abs(read[0].astype(float) - kept[0]).mean() < 8


def test_the_panel_shows_signs_and_change() -> None:
    rng = np.random.default_rng()
    birth = {"layer0": rng.normal(size=(6, 9)).astype(np.float32)}
    panel = WeightPanel(200, 300, birth, steps=10)
    first = panel.draw(0, birth, "text").copy()
    flipped = panel.draw(1, {"layer0": -birth["layer0"]}, "text")
    assert first.shape == (300, 200, 3)
    assert (first != BACK).any()
    strong = np.abs(birth["layer0"]) > 0.3 * panel.limit["layer0"]
    across = (12 + 176 * (np.arange(9) + 0.5) / 9).astype(int)  # the map is 176 wide and 114 high, from (12, 48)
    down = (48 + 114 * (np.arange(6) + 0.5) / 6).astype(int)
    for picture, weights in ((first, birth["layer0"]), (flipped, -birth["layer0"])):
        cells = picture[np.ix_(down, across)].astype(int)
        np.testing.assert_array_equal(np.sign(cells[..., 0] - cells[..., 2])[strong], np.sign(weights)[strong])


def test_a_diverged_network_can_still_be_drawn() -> None:
    birth = {"layer0": np.ones((2, 3), np.float32)}
    panel = WeightPanel(200, 300, birth, steps=10)
    panel.draw(0, birth, "")
    panel.draw(1, {"layer0": np.full((2, 3), np.nan, np.float32)}, "")
    panel.draw(2, {"layer0": np.full((2, 3), np.inf, np.float32)}, "")


def test_a_window_opens_and_closes(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SDL_VIDEODRIVER", "dummy")
    _, pictures = frames(agent, {}, steps=4)
    show_window("a life", 1000, pictures)
    assert next(pictures, None) is None


def test_damage_is_seen(tiny: dict[str, Any]) -> None:
    tiny["task"] = {"env": "neuroplastic_envs:neuroplastic/Quadruped-v0", "horizon": 30, "grace": 30, "batch": 2}
    recipe = resolved(parse_recipe(tiny))
    layout = build_task(recipe).layout
    agent = Agent(torch.zeros(layout.size), recipe, layout, 1)
    sound, hurt = (
        np.array(next(frames(agent, variation)[1])).astype(int) for variation in ({}, {"damage": "front_right:shorten"})
    )
    body = slice(0, 640)
    assert (np.abs(sound - hurt)[:, body].max(axis=2) > 40).mean() > 0.002
    red = (hurt[:30, :200, 0] > 120) & (hurt[:30, :200, 1:].max(axis=2) < 80)
    assert red.sum() > 100, "the caption names the damage"


@pytest.mark.parametrize(
    ("shape", "low", "high", "dtype"),
    [((84, 96, 3), 0, 255, np.uint8), ((9, 8, 1), -1, 3, np.float32), ((8, 8), 0, 1, float)],
)
def test_what_an_agent_sees_is_a_picture(shape: tuple, low: float, high: float, dtype: type) -> None:
    pixels = np.random.default_rng().integers(256, size=shape)
    observation = (low + pixels / 255 * (high - low)).astype(np.float32)
    seen = seen_picture(spaces.Box(low, high, shape, dtype), observation.ravel())
    np.testing.assert_array_equal(seen, np.broadcast_to(pixels.reshape(*shape[:2], -1), (*shape[:2], 3)))


@pytest.mark.parametrize(
    "space", [spaces.Box(-1, 1, (28,)), spaces.Box(-np.inf, np.inf, (9, 9, 3)), spaces.Box(0, 1, (4, 9, 9))]
)
def test_other_observations_are_none(space: spaces.Box) -> None:
    assert seen_picture(space, np.zeros(np.prod(space.shape), np.float32)) is None


def test_a_car_is_shown_with_what_its_driver_sees(tiny: dict[str, Any]) -> None:
    env_options = {"observation": "paper"}
    tiny["task"] = {"env": "neuroplastic_envs:neuroplastic/CarRacing-v0", "env_options": env_options, "horizon": 60}
    tiny["policy"] = {"hidden": [5], "front": {}}
    recipe = resolved(parse_recipe(tiny))
    layout = build_task(recipe).layout
    agent = Agent(torch.randn(layout.size), recipe, layout, 1)
    *_, last = frames(agent, {}, fps=1000)[1]
    assert last.shape == (HEIGHT, 720 + 320, 3)
    edge = 8 + FRAME
    seen = last[edge : edge + VIEW, edge : edge + VIEW].astype(int)
    np.testing.assert_array_equal(seen, np.repeat(np.repeat(seen[::2, ::2], 2, axis=0), 2, axis=1))  # 84 × 84, doubled
    assert (last[8:edge, 8 : 8 + VIEW] == 255).all(), "a white line around it"
    large = np.asarray(Image.fromarray(last[:, :720]).resize((84, 84), Image.Resampling.BOX)).astype(int)
    difference = np.abs(large - seen[::2, ::2])[:72]
    assert difference[32:].mean() < 8, "below the driver's view, the large picture shows the same"
