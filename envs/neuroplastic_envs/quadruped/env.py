"""``neuroplastic/Quadruped-v0``: the PyBullet Ant, with legs that can be damaged."""

import math
import time
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from . import camera
from .ant import ACTIONS, CLIP, OBSERVATIONS, Ant
from .damage import PLACES, parse_damage
from .simulation import TIMESTEP, Simulation

START_NOISE = 0.1  # rad; joints start uniformly within it, either way


class QuadrupedEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """The stock PyBullet Ant (AntBulletEnv-v0), its legs damaged or not.

    Undamaged it has the stock environment's observations, rewards and termination, number for number; an episode is
    the same bit for bit whatever ran before it.

    **Observation** [28], clipped to ±5: height of the torso above its start (m), sine and cosine of the direction to
    the target at (1000 m, 0), velocity of the torso in its own frame (0.3 × m/s), roll, pitch (rad); angle (-1 to 1
    between its limits) and speed (0.1 × rad/s) of each joint; whether each foot touched the floor one step before.
    Legs come in the model's order, which is front left, back left, back right, front right in the direction of travel.

    **Action** [8]: torque of hip and ankle of each leg, in the same order, as a fraction of 250 N m. What lies outside
    of [-1, 1] is clipped (but billed as electricity, as in the stock environment).

    **Reward**: ``"progress"`` is the speed towards the target in m/s, as in Najarro & Risi, *Meta-Learning through
    Hebbian Plasticity in Random Networks* (2020); ``"full"`` adds the stock environment's bonus for being alive and
    its costs of electricity and of joints at their limits. All four are in ``info``, as ``reward_alive``,
    ``reward_progress``, ``reward_electricity`` and ``reward_joints_at_limit``.

    **info** also has ``distance``: metres along +x since the reset. A step lasts 0.0165 s.

    **The end**: the torso comes below 0.26 m (``terminated``). Registered episodes are cut after 1000 steps.

    Args:
        reward: ``"progress"`` or ``"full"``.
        damage: damage to legs, such as ``"front_right:shorten"``; see `damage.parse_damage`.
        terminate: ``False`` lets an ant that has fallen go on, for tasks with a stop rule of their own (the paper's is
            one); only a state that is not finite ends the episode then.
        render_mode: ``"rgb_array"`` for pictures from `render`, ``"human"`` for Bullet's window in real time.
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.

    `reset` takes these ``options``:

    * ``damage``: as above, in place of the constructor's, for this episode only;
    * ``joints``: [8] angles in radians at which the joints start, in place of random ones.

    Raises:
        DamageError: ``damage`` cannot be understood.
        ValueError: another argument, an action or an option has a value that cannot be used.
        RuntimeError: ``"human"`` without a display.
    """

    metadata = {  # noqa: RUF012
        "render_modes": ["human", "rgb_array"],
        "render_fps": 60,  # 1 / 0.0165 s
        "damages": [f"{place}:shorten" for place in PLACES],  # that an evaluation tries unless asked otherwise
    }

    def __init__(
        self,
        reward: Literal["progress", "full"] = "progress",
        damage: str | None = None,
        terminate: bool = True,
        render_mode: Literal["human", "rgb_array"] | None = None,
        width: int = 480,
        height: int = 360,
    ) -> None:
        if reward not in ("progress", "full"):
            raise ValueError(f"reward: expected 'progress' or 'full'; got {reward!r}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode: expected None, 'human' or 'rgb_array'; got {render_mode!r}")
        for side, pixels in (("width", width), ("height", height)):
            if not isinstance(pixels, int) or pixels < 1:
                raise ValueError(f"{side}: expected a whole number of pixels >= 1; got {pixels!r}")
        self.reward, self.terminate = reward, terminate
        self.render_mode, self.width, self.height = render_mode, width, height
        self.observation_space = Box(-CLIP, CLIP, (OBSERVATIONS,), np.float32)
        self.action_space = Box(-1.0, 1.0, (ACTIONS,), np.float32)
        self._damages = parse_damage(damage)
        self._ant = Ant(Simulation(self._damages, window=render_mode == "human"))
        if render_mode == "human":
            camera.open_window(self._ant.simulation)
        self._ready = False
        self._next_frame = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        options = options or {}
        if unknown := set(options) - {"damage", "joints"}:
            raise ValueError(f"options: expected 'damage' or 'joints'; got {', '.join(map(repr, sorted(unknown)))}")
        damages = parse_damage(options["damage"]) if "damage" in options else self._damages
        given = _finite_row("options['joints']", options["joints"]) if "joints" in options else None
        super().reset(seed=seed)
        angles = self.np_random.uniform(-START_NOISE, START_NOISE, ACTIONS) if given is None else given
        observation = self._ant.reset(angles.tolist(), damages)
        self._ready = True
        if self.render_mode == "human":
            self._show()
        return observation, {"distance": 0.0}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before step")
        observation, outcome = self._ant.step(_finite_row("action", action))
        parts = (outcome.alive, outcome.progress, outcome.electricity, outcome.joints_at_limit)
        info = {
            "distance": outcome.distance,
            "reward_alive": outcome.alive,
            "reward_progress": outcome.progress,
            "reward_electricity": outcome.electricity,
            "reward_joints_at_limit": outcome.joints_at_limit,
        }
        fallen = self.terminate and outcome.alive < 0
        if self.render_mode == "human":
            self._show()
        reward = outcome.progress if self.reward == "progress" else sum(parts)
        return observation, reward, fallen or not outcome.finite, False, info

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The picture [height, width, 3] of ``"rgb_array"``; ``"human"`` draws by itself at every step."""
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before render")
        if self.render_mode == "rgb_array":
            return camera.picture(self._ant.simulation, self.width, self.height)
        if self.render_mode is None:
            gymnasium.logger.warn("render: this environment was made without a render_mode")
        return None

    def close(self) -> None:
        self._ant.simulation.close()
        self._ready = False

    def _show(self) -> None:
        """Moves the window's camera, and waits until this step's time has come."""
        camera.follow(self._ant.simulation)
        now = time.perf_counter()
        time.sleep(max(0.0, self._next_frame - now))
        self._next_frame = max(self._next_frame, now) + TIMESTEP


def _finite_row(name: str, values: Any) -> NDArray[Any]:
    """``values`` as an array of 8 finite numbers, in the precision they came in."""
    try:
        row = np.asarray(values)
        fits = row.shape == (ACTIONS,) and all(map(math.isfinite, row.tolist()))
    except (TypeError, ValueError, OverflowError):  # ragged, or not numbers
        fits, row = False, np.empty(0)
    if not fits:
        raise ValueError(f"{name}: expected {ACTIONS} finite numbers; got {values!r}")
    return row
