"""Gymnasium's classic bodies, and what of them changes."""

from typing import Any

import numpy as np
from gymnasium.envs.classic_control import AcrobotEnv, CartPoleEnv, PendulumEnv

from .env import ChangingEnv

BOUNDS = ("low", "high")  # between which a state is drawn at the reset


class ChangingCartPoleEnv(ChangingEnv, CartPoleEnv):
    """CartPole-v1 that changes as `ChangingEnv` tells.

    **Kinds**: ``mirrored``, its two actions exchanged; ``weak``, half of the force; ``long``, a pole of twice the
    length and the same mass.
    """

    metadata = CartPoleEnv.metadata | {"damages": ["mirrored", "weak", "long"]}
    reset_options = BOUNDS

    def attributes(self, kind: str) -> dict[str, Any]:
        if kind == "mirrored":
            return {"force_mag": -self.force_mag}
        if kind == "weak":
            return {"force_mag": self.force_mag / 2}
        return {"length": 2 * self.length, "polemass_length": self.masspole * (2 * self.length)}


class ChangingAcrobotEnv(ChangingEnv, AcrobotEnv):  # pyright: ignore[reportIncompatibleMethodOverride]  # its `a`
    """Acrobot-v1 that changes as `ChangingEnv` tells.

    **Kinds**: ``mirrored``, the torque's sign turned; ``heavy``, an outer link of twice the mass.
    """

    metadata = AcrobotEnv.metadata | {"damages": ["mirrored", "heavy"]}
    reset_options = BOUNDS

    def attributes(self, kind: str) -> dict[str, Any]:
        if kind == "mirrored":
            return {"AVAIL_TORQUE": [-torque for torque in self.AVAIL_TORQUE]}
        return {"LINK_MASS_2": 2 * self.LINK_MASS_2}


class ChangingPendulumEnv(ChangingEnv, PendulumEnv):
    """Pendulum-v1 that changes as `ChangingEnv` tells.

    **Kinds**: ``mirrored``, the torque's sign turned; ``heavy``, twice the mass; ``long``, twice the length.
    """

    metadata = PendulumEnv.metadata | {"damages": ["mirrored", "heavy", "long"]}
    reset_options = ("x_init", "y_init")
    mirrored = False

    def attributes(self, kind: str) -> dict[str, Any]:
        if kind == "mirrored":
            return {"mirrored": not self.mirrored}
        return {"m": 2 * self.m} if kind == "heavy" else {"l": 2 * self.l}

    def step(self, action: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # its `u`
        return super().step(np.negative(action) if self.mirrored else action)
