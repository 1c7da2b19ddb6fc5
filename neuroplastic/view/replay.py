"""An agent's life to look at: its body, and beside it the weights as they change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from neuroplastic.errors import ArgumentError, SpaceError, TrialError, require
from neuroplastic.experiment.agent import Agent
from neuroplastic.noise import episode_seeds
from neuroplastic.plastic.network import Policy
from neuroplastic.tasks.bodies import SeparateBodies
from neuroplastic.tasks.lives import Lives
from neuroplastic.tasks.rollout import live_on
from neuroplastic.view.panel import Picture, WeightPanel

HEIGHT, PANEL = 480, 320
ENDINGS = (".mp4", ".gif")


def frames(
    agent: Agent, variation: Mapping[str, Any], episode: int = 0, steps: int = 0, fps: int = 30
) -> tuple[float, Iterator[Picture]]:
    """A life, drawn.

    Args:
        agent: who lives.
        variation: keyword arguments of its environment, such as a damage.
        episode: which test episode; the same numbers as in an evaluation.
        steps: at most so many; 0 = as long as its task lets it.
        fps: pictures a second at most; the life is shown in real time.

    Returns:
        (pictures a second, the pictures [H, W, 3] uint8).

    Raises:
        ArgumentError: the environment refuses the variation.
        SpaceError: the environment draws no pictures.
        TrialError: the life failed.
    """
    task = agent.task()
    task.close()
    if steps:
        task = replace(task, rules=replace(task.rules, horizon=task.rules.idle + steps))
    bodies = SeparateBodies(task.env, 1, {**task.env_options, **variation, "render_mode": "rgb_array"})
    env, lives = bodies.env(0), Lives(bodies, task.rules)
    rate = env.metadata.get("render_fps", 30)
    skip = max(1, round(rate / fps))
    seed = episode_seeds(0, "test", 0, episode + 1)[[episode]]

    def draw() -> Iterator[Picture]:
        with closing(bodies):
            policy = task.policy(inputs=bodies.inputs, outputs=bodies.outputs)
            policy.birth(agent.genome[None], seed)
            panel = WeightPanel(PANEL, HEIGHT, _weights(policy), task.steps_at_most or 1000)
            rows, count = lives.begin(seed), 0
            while len(rows):
                if count % skip == 0:
                    yield _compose(env, lives, panel, _weights(policy))
                rows, count = live_on(lives, policy, rows, agent.statistics), count + 1
            if lives.failures:
                raise TrialError(f"replay: {lives.failures[0]}")
            yield _compose(env, lives, panel, _weights(policy))

    return rate / skip, draw()


def _weights(policy: Policy) -> dict[str, np.ndarray]:
    return {name: weights[0].numpy().copy() for name, weights in policy.weights().items()}


def _compose(env: gymnasium.Env, lives: Lives, panel: WeightPanel, weights: Mapping[str, np.ndarray]) -> Picture:
    from PIL import Image

    body = env.render()
    if not isinstance(body, np.ndarray) or body.ndim != 3:
        raise SpaceError("replay: expected an environment that draws rgb_array pictures; it drew none")
    height, width = body.shape[:2]
    size = (2 * round(width * HEIGHT / height / 2), HEIGHT)  # even: video codecs ask for it
    body = np.asarray(Image.fromarray(body).resize(size, Image.Resampling.BILINEAR))
    step, distance = int(lives.steps[0]), lives.bodies.measure("distance", 0)
    text = f"step {step}   reward {lives.fitness[0]:.1f}" + (f"   {distance:.2f} m" if np.isfinite(distance) else "")
    return np.concatenate([body, panel.draw(step, weights, text)], axis=1)


def write_video(file: Path, rate: float, pictures: Iterator[Picture]) -> int:
    """Writes an MP4 or GIF and returns how many pictures it has.

    Raises:
        ArgumentError: another ending.
        MissingExtraError: imageio or pyav is not installed.
    """
    check_video(file)
    import imageio.v3 as iio

    count = 0
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
    if not file.parent.is_dir():
        raise ArgumentError(f"--video: expected a file in a folder that exists; got {file}")
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
