"""An agent's life to look at: its body, and beside it the weights as they change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from neuroplastic.errors import ArgumentError, MissingExtraError, SpaceError, TrialError, check_output, require
from neuroplastic.experiment.agent import Agent
from neuroplastic.experiment.kinds.evolution import policy_of
from neuroplastic.experiment.kinds.pathnet import recalled
from neuroplastic.experiment.models import PathNetRecipe
from neuroplastic.noise import episode_seeds
from neuroplastic.plastic.controls import Controlled
from neuroplastic.plastic.network import Policy
from neuroplastic.tasks.bodies import SeparateBodies, step_limit
from neuroplastic.tasks.lives import Lives
from neuroplastic.tasks.rollout import live_on
from neuroplastic.view.paths import path_frames

Picture = NDArray[np.uint8]
HEIGHT, PANEL = 480, 320
ROUNDS = 10.0  # of a tournament, a second
VIEW, FRAME = 168, 2  # pixels of what the agent sees, which covers a corner, and of the line around it
ENDINGS = (".mp4", ".gif")


def frames(
    agent: Agent,
    variation: Mapping[str, Any],
    episode: int = 0,
    steps: int = 0,
    fps: int = 30,
    controls: Sequence[str] = (),
) -> tuple[float, Iterator[Picture]]:
    """A life, drawn.

    Args:
        agent: who lives.
        variation: keyword arguments of its environment, such as a damage.
        episode: which test episode; the same numbers as in an evaluation.
        steps: at most so many; 0 = as long as its task lets it.
        fps: pictures a second at most; the life is shown in real time.
        controls: what is done to it, as `Controls.parse` reads it; from its moment on each act is named on the picture.

    Returns:
        (pictures a second, the pictures [H, W, 3] uint8). Of a path through a super-network, the rounds in which it
        was found.

    Raises:
        ArgumentError: the environment refuses the variation, or the network a control.
        SpaceError: the environment draws no pictures.
        TrialError: the life failed.
        MissingExtraError: a library that draws is not installed.
    """
    require("PIL", "view")
    require("matplotlib", "view")
    if isinstance(agent.recipe, PathNetRecipe):
        for name, value in {"damage": variation, "--control": controls, "--episode": episode, "--steps": steps}.items():
            if value:
                raise ArgumentError(f"{name}: expected none for a path through a super-network; got {value}")
        return ROUNDS, path_frames(recalled(agent.recipe, agent.parts)[-1])
    from neuroplastic.view.panel import WeightPanel

    task = agent.task()
    task.close()
    limit = step_limit(task.env, {**task.env_options, **variation}, task.rules.horizon)
    if steps:
        limit = min(limit or task.rules.idle + steps, task.rules.idle + steps)
        task = replace(task, rules=replace(task.rules, horizon=limit))
    options = {**task.env_options, **variation, "render_mode": "rgb_array"}
    bodies = SeparateBodies(task.env, 1, options, squash=task.squash)
    env, lives = bodies.env(0), Lives(bodies, task.rules)
    policy = policy_of(agent.life, controls)(inputs=bodies.shape, outputs=bodies.outputs)
    acts = policy.controls.moments if isinstance(policy, Controlled) else ()
    rate = env.metadata.get("render_fps", 30)
    skip = max(1, round(rate / fps))
    seed = episode_seeds(0, "test", 0, episode + 1)[[episode]]

    def draw() -> Iterator[Picture]:
        with closing(bodies):
            policy.birth(agent.genome[None], seed)
            panel = WeightPanel(PANEL, HEIGHT, _weights(policy), limit or 1000)
            rows, count = lives.begin(np.zeros(1, np.intp), seed), 0
            while len(rows):
                if count % skip == 0:
                    yield _compose(env, lives, panel, _weights(policy), acts)
                rows, count = live_on(lives, policy, rows, agent.statistics), count + 1
            if lives.failures:
                raise TrialError(f"replay: {lives.failures[0]}")
            yield _compose(env, lives, panel, _weights(policy), acts)

    return rate / skip, draw()


class Panel(Protocol):
    def draw(self, step: int, weights: Mapping[str, np.ndarray], text: str) -> Picture: ...


def _weights(policy: Policy) -> dict[str, np.ndarray]:
    return {name: weights[0].numpy().copy() for name, weights in policy.weights().items()}


def _compose(
    env: gymnasium.Env,
    lives: Lives,
    panel: Panel,
    weights: Mapping[str, np.ndarray],
    acts: Sequence[tuple[str, int]],
) -> Picture:
    from PIL import Image, ImageDraw, ImageOps

    try:
        body = env.render()
    except DependencyNotInstalled as error:
        raise MissingExtraError(f"pictures of {env} need pip install 'neuroplastic[view]': {error}") from error
    if not isinstance(body, np.ndarray) or body.ndim != 3:
        raise SpaceError("replay: expected an environment that draws rgb_array pictures; it drew none")
    height, width = body.shape[:2]
    size = (2 * round(width * HEIGHT / height / 2), HEIGHT)  # even: video codecs ask for it
    image = Image.fromarray(body).resize(size, Image.Resampling.BILINEAR)
    seen = seen_picture(env.observation_space, lives.bodies.observations[0])
    if seen is not None:
        view = Image.fromarray(seen).resize((VIEW * seen.shape[1] // seen.shape[0], VIEW), Image.Resampling.NEAREST)
        image.paste(ImageOps.expand(view, FRAME, "white"), (8, 8))
    damage = env.spec.kwargs.get("damage") if env.spec is not None else None
    come = [word for word, moment in acts if lives.steps[0] > lives.rules.idle + moment or moment == 0]
    if lines := [*filter(None, [damage]), *come]:
        ImageDraw.Draw(image).text((12, 8), "\n".join(lines), fill=(160, 20, 20), font_size=16)
    step, distance = int(lives.steps[0]), lives.bodies.measure("distance", 0)
    text = f"step {step}   return {lives.fitness[0]:.1f}" + (f"   {distance:.2f} m" if np.isfinite(distance) else "")
    return np.concatenate([np.asarray(image), panel.draw(step, weights, text)], axis=1)


def seen_picture(space: spaces.Space, observation: NDArray[np.float32]) -> Picture | None:
    """What an agent sees, to look at: [H, W, 3] of an observation [I], or None if the space is not one of pictures.

    Pictures are bounded boxes [H, W], [H, W, 1] or [H, W, 3] of at least 8 × 8 pixels.
    """
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3) or not space.is_bounded():
        return None
    height, width, channels = (*space.shape, 1)[:3]
    if channels not in (1, 3) or min(height, width) < 8:
        return None
    low, high = float(space.low.min()), float(space.high.max())
    pixels = (255 * (observation.reshape(height, width, channels) - low) / (high - low)).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (height, width, 3)))


def write_video(file: Path, rate: float, pictures: Iterator[Picture]) -> int:
    """Writes an MP4 or GIF and returns how many pictures it has.

    Raises:
        ArgumentError: another ending.
        MissingExtraError: imageio or pyav is not installed.
    """
    check_video(file)
    import imageio.v3 as iio

    count = 0
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # environments that draw with pygame need no window for it
    if file.suffix == ".gif":
        stack = list(pictures)
        iio.imwrite(file, stack, duration=1000 / rate, loop=0)
        return len(stack)
    with iio.imopen(file, "w", plugin="pyav") as video:
        video.init_video_stream("libx264", fps=round(rate))
        for picture in pictures:
            video.write_frame(picture)
            count += 1
    return count


def check_video(file: Path) -> None:
    """Raises the errors of `write_video` before anything is drawn."""
    if file.suffix not in ENDINGS:
        raise ArgumentError(f"--video: expected a file that ends in {' or '.join(ENDINGS)}; got {file.name!r}")
    check_output("--video", file)
    require("imageio", "view")
    if file.suffix == ".mp4":
        require("av", "view")


def show_window(title: str, rate: float, pictures: Iterator[Picture]) -> None:
    """Shows the pictures in a window at their rate until the last, or until the window is closed.

    Raises:
        MissingExtraError: pygame is not installed.
        ArgumentError: there is no display.
    """
    pygame = require("pygame", "view")
    try:
        pygame.display.init()
        if pygame.display.get_driver() == "offscreen":  # what SDL falls back to where there is no display
            raise pygame.error("there is no display")
        clock, screen = pygame.time.Clock(), None
        for picture in pictures:
            if screen is None:
                screen = pygame.display.set_mode((picture.shape[1], picture.shape[0]))
                pygame.display.set_caption(title)
            screen.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
            pygame.display.flip()
            if any(event.type == pygame.QUIT for event in pygame.event.get()):
                break
            clock.tick(rate)
    except pygame.error as error:
        raise ArgumentError(
            f"replay: no window can be opened here ({error}); write a file by --video FILE.mp4"
        ) from error
    finally:
        pygame.quit()
