"""``neuroplastic/Quadruped-v0``: the PyBullet Ant, with legs that can be damaged."""

import time
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .. import checks
from . import camera, interface
from .ant import Ants
from .damage import parse_damage
from .stock import ACTIONS, ALIVE, FULL, LOST, PROGRESS, TIMESTEP

ONLY = np.zeros(1, np.intp)  # the only row


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
        damage: damage to legs, such as ``"front_right:shorten"``, or ``"front_right:shorten@300-600"`` to strike after
            300 steps and heal after 600; see `damage`.
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

    metadata = interface.METADATA | {"render_modes": ["human", "rgb_array"]}

    def __init__(
        self,
        reward: Literal["progress", "full"] = "progress",
        damage: str | None = None,
        terminate: bool = True,
        render_mode: Literal["human", "rgb_array"] | None = None,
        width: int = 480,
        height: int = 360,
    ) -> None:
        interface.check_reward(reward)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode: expected None, 'human' or 'rgb_array'; got {render_mode!r}")
        checks.check_count("width", width, "pixels")
        checks.check_count("height", height, "pixels")
        self.reward, self.terminate = reward, terminate
        self.render_mode, self.width, self.height = render_mode, width, height
        self.observation_space, self.action_space = interface.observation_space(), interface.action_space()
        self._damages = parse_damage(damage)
        self._ants = Ants([self._damages], window=render_mode == "human")
        if render_mode == "human":
            camera.open_window(self._ants.simulations[0])
        self._ready = False
        self._next_frame = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        options = options or {}
        checks.check_options(options, ("damage", "joints"))
        damages = parse_damage(options["damage"]) if "damage" in options else self._damages
        joints = checks.finite("options['joints']", options["joints"], (ACTIONS,)) if "joints" in options else None
        super().reset(seed=seed)
        angles = interface.random_angles(self.np_random) if joints is None else joints
        self._ants.reset(0, angles.tolist(), damages)
        self._ready = True
        if self.render_mode == "human":
            self._show()
        return self._ants.observations[0].copy(), {"distance": 0.0}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before step")
        told = self._ants.step(ONLY, checks.finite("action", action, (ACTIONS,))[None])[:, 0].tolist()
        if self.render_mode == "human":
            self._show()
        reward = told[PROGRESS] if self.reward == "progress" else told[FULL]
        ended = (self.terminate and told[ALIVE] < 0) or told[LOST] > 0
        info = dict(zip(interface.INFO, told, strict=False))
        return self._ants.observations[0].copy(), reward, ended, False, info

    def render(self) -> NDArray[np.uint8] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The picture [height, width, 3] of ``"rgb_array"``; ``"human"`` draws by itself at every step."""
        if not self._ready:
            raise gymnasium.error.ResetNeeded("call reset before render")
        if self.render_mode == "rgb_array":
            return camera.picture(self._ants.simulations[0], self.width, self.height)
        if self.render_mode is None:
            gymnasium.logger.warn("render: this environment was made without a render_mode")
        return None

    def close(self) -> None:
        self._ants.close()
        self._ready = False

    def _show(self) -> None:
        """Moves the window's camera, and waits until this step's time has come."""
        camera.follow(self._ants.simulations[0])
        now = time.perf_counter()
        time.sleep(max(0.0, self._next_frame - now))
        self._next_frame = max(self._next_frame, now) + TIMESTEP
