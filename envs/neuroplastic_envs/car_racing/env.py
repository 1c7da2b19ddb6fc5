"""The car race as a Gymnasium environment."""

import time
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .. import checks
from . import interface
from .cars import DISCRETE
from .race import Race
from .window import Window

ONLY = np.zeros(1, np.intp)
Action = NDArray[np.float32] | int


class CarRacingEnv(gymnasium.Env[NDArray[Any], Action]):
    """Gymnasium's CarRacing-v3, some hundred times faster: the same tracks, physics and rewards, the same picture.

    A car drives on a winding road that it sees from above. Neither Box2D nor pygame is needed: track, physics and
    picture are compiled code of this package, bit for bit those of ``CarRacing-v3`` (Gymnasium 1.4 with Box2D 2.3.10)
    but for the picture, which differs by rounding (see the tests).

    **Observation**: ``"rgb"`` as in the stock environment, [96, 96, 3] uint8; ``"grey"`` [96, 96, 1]; or ``"paper"``,
    [84, 84, 3] float32 in [0, 1], the same picture resized by area (Najarro & Risi 2020).

    **Action** [3]: steering, -1 left to 1 right; gas and brake in [0, 1]. Discrete: nothing, right, left, gas, brake.

    **Reward**: -0.1 a frame, and 1000 / tiles for every tile of the road that is visited first. Leaving the field costs
    100 and ends the episode; so does a lap.

    **Info**: ``tiles``, the part of the road visited; at the end ``lap_finished``, False where the field was left.

    Args:
        observation: ``"rgb"``, ``"grey"`` or ``"paper"``.
        continuous: False for the five discrete actions.
        domain_randomize: every episode draws its colors; ``reset(options={"randomize": False})`` keeps the last ones.
        lap_complete_percent: part of the tiles that must be visited before the lap counts.
        frame_skip: frames of 1/50 s for which an action holds; rewards are summed, the picture is of the last.
        render_mode: ``"rgb_array"`` for pictures, ``"human"`` for a window (which needs pygame).
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.

    Raises:
        ValueError: an argument, an action or an option has a value that cannot be used; nothing has moved then.
        gymnasium.error.DependencyNotInstalled: the window needs pygame.
    """

    metadata = interface.METADATA | {"render_modes": ["human", "rgb_array"]}

    def __init__(
        self,
        observation: Literal["rgb", "grey", "paper"] = "rgb",
        continuous: bool = True,
        domain_randomize: bool = False,
        lap_complete_percent: float = 0.95,
        frame_skip: int = 1,
        render_mode: Literal["human", "rgb_array"] | None = None,
        width: int = 600,
        height: int = 400,
    ) -> None:
        interface.check_rules(lap_complete_percent, frame_skip)
        checks.check_count("width", width, "pixels")
        checks.check_count("height", height, "pixels")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode: expected None, 'human' or 'rgb_array'; got {render_mode!r}")
        self.observation_space = interface.observation_space(observation)
        self.action_space = interface.action_space(continuous)
        self.continuous, self.domain_randomize = continuous, domain_randomize
        self.render_mode, self.width, self.height = render_mode, width, height
        self._race = Race(1, observation, lap_complete_percent, domain_randomize, frame_skip)
        self._window = Window(width, height) if render_mode == "human" else None
        self._seconds, self._next_frame = frame_skip / self.metadata["render_fps"], 0.0
        self._ready = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        options = options or {}
        checks.check_options(options, ("randomize",))
        super().reset(seed=seed)
        self._race.reset(0, self.np_random, options.get("randomize", True))
        self._ready = True
        self._show()
        return self._race.observations[0].copy(), {"tiles": float(self._race.cars.tiles(0))}

    def step(self, action: Action) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before step")
        rewards, ended, finished = self._race.step(ONLY, self._asked(action)[None])
        self._show()
        info: dict[str, Any] = {"tiles": float(self._race.cars.tiles(0))}
        if ended[0]:
            info["lap_finished"] = bool(finished[0])
        return self._race.observations[0].copy(), float(rewards[0]), bool(ended[0]), False, info

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The picture [height, width, 3] of ``"rgb_array"``; ``"human"`` draws by itself at every step."""
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before render")
        if self.render_mode == "rgb_array":
            return self._race.picture(0, self.height, self.width)
        if self.render_mode is None:
            gymnasium.logger.warn("render: this environment was made without a render_mode")
        return None

    def close(self) -> None:
        if self._window is not None:
            self._window.close()

    def _asked(self, action: Any) -> NDArray[Any]:
        if not self.continuous:
            if isinstance(action, bool) or not self.action_space.contains(action):
                raise ValueError(f"action: expected a whole number from 0 to {len(DISCRETE) - 1}; got {action!r}")
            return DISCRETE[action]
        asked = checks.finite("action", action, (3,))
        if not interface.in_range(asked):
            raise ValueError(f"action: expected {interface.STEERING}; got {asked.tolist()}")
        return asked

    def _show(self) -> None:
        """Shows the window's picture, and waits until this step's time has come."""
        if self._window is None:
            return
        self._window.show(self._race.picture(0, self.height, self.width))
        now = time.perf_counter()
        time.sleep(max(0.0, self._next_frame - now))
        self._next_frame = max(self._next_frame, now) + self._seconds
