"""Ants side by side: from actions to torques, from states to observations and rewards, and damage in mid-life."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import stock
from .damage import Damage, changes, in_force
from .simulation import Simulation


class Ants:
    """Ants [N], each in a world of its own. What happens to one does not depend on which others move with it.

    Attributes:
        simulations: [N] their worlds.
        ages: [N] steps since the reset.
        observations: [N, 28] the last ones.
    """

    def __init__(self, damages: Sequence[tuple[Damage, ...]], *, window: bool = False) -> None:
        """Opens a world, with Bullet's window or without, for each of the damages [N]."""
        self.simulations = [Simulation(in_force(some, step=0), window=window) for some in damages]
        number = len(self.simulations)
        self.ages = np.zeros(number, np.int64)
        self.observations = np.zeros((number, stock.OBSERVATIONS), np.float32)
        self._damages = list(damages)
        self._changes = [changes(some) for some in damages]
        self._gains = np.zeros((number, stock.ACTIONS))
        self._shapes = np.zeros((number, stock.SHAPE, 3))
        self._memory = np.zeros((number, stock.MEMORY))
        self._states = np.zeros((number, stock.STATE))
        first = self.simulations[0]
        self._limits = np.array([first.lower, first.upper])  # damage does not change them

    def reset(self, row: int, angles: Sequence[float], damages: tuple[Damage, ...] = ()) -> None:
        """Starts an episode of one ant with these joint angles [8] (radians)."""
        simulation = self.simulations[row]
        state = simulation.reset(angles, in_force(damages, step=0))
        self.ages[row], self._damages[row], self._changes[row] = 0, damages, changes(damages)
        self._gains[row], self._shapes[row] = simulation.gains, simulation.shape
        stock.begin(row, np.array(state), simulation.shape, self._limits, self._memory, self.observations)

    def step(self, rows: NDArray[np.intp], actions: NDArray[Any]) -> NDArray[np.float64]:
        """One step of the ants ``rows`` [n] with theirs of the actions [N, 8]: torque as a fraction of the largest.

        Torques are clipped to [-1, 1]; as in the stock environment, the electricity is billed for what was asked.

        Returns:
            What is told of it [stock.TOLD, N], zero for the other ants.
        """
        if any(self._changes):
            for row in rows.tolist():
                if int(self.ages[row]) in self._changes[row]:
                    self._change(row)
        asked = np.ascontiguousarray(actions, np.float32 if actions.dtype == np.float32 else np.float64)
        torques = stock.ask(rows, asked, self._gains, self.ages)
        for row, own in zip(rows.tolist(), torques.tolist(), strict=True):
            self._states[row] = self.simulations[row].step(own)
        told = np.zeros((stock.TOLD, len(self.simulations)))
        stock.step(rows, self._states, asked, self._shapes, self._limits, self._memory, self.observations, told)
        return told

    def close(self) -> None:
        """Closes all worlds."""
        for simulation in self.simulations:
            simulation.close()

    def _change(self, row: int) -> None:
        """Damage strikes or is healed. It is no progress that another shape has its center elsewhere."""
        simulation = self.simulations[row]
        state, before = np.array(simulation.read()), self._shapes[row].copy()
        simulation.change(in_force(self._damages[row], int(self.ages[row])))
        self._gains[row], self._shapes[row] = simulation.gains, simulation.shape
        moved = np.subtract(stock.center(state, simulation.shape), stock.center(state, before))
        self._memory[row, [stock.CENTER_X, stock.CENTER_Y]] += moved
