"""CartPole that takes its time: lives that last on few cores. Its id is slow_cartpole:SlowCartPole-v0."""

import time
from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv


class SlowCartPole(CartPoleEnv):
    """CartPole whose every reset waits for ``delay`` seconds; nothing else differs."""

    def __init__(self, delay: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.delay = delay

    def reset(self, **options: Any) -> Any:
        time.sleep(self.delay)
        return super().reset(**options)


gymnasium.register("SlowCartPole-v0", entry_point=SlowCartPole, max_episode_steps=500)
