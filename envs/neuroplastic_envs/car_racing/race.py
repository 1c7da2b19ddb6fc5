"""Cars and what their drivers see."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import interface
from .cars import Cars
from .picture import look, look_all, scratch
from .resize import SIZE, grey_all, paper_all


class Race:
    """Cars [N], each on a track of its own. What happens to one, or is seen, does not depend on the others.

    Attributes:
        cars: [N].
        observations: [N, rows, columns, channels] the last ones.
    """

    def __init__(
        self, number: int, observation: str, lap_complete_percent: float, domain_randomize: bool, frame_skip: int
    ) -> None:
        self.cars = Cars(number, lap_complete_percent, domain_randomize)
        space = interface.observation_space(observation)
        self.observations = np.zeros((number, *space.shape), space.dtype)
        self._kind, self._repeat, self._scratch = observation, frame_skip, scratch()
        self._pictures = self.observations if observation == "rgb" else np.zeros((number, SIZE, SIZE, 3), np.uint8)

    def reset(self, row: int, np_random: np.random.Generator, randomize: bool = True) -> None:
        """Starts an episode of one car; ``randomize`` False keeps its colors."""
        self.cars.reset(row, np_random, randomize)
        self._look(np.array([row]))

    def step(
        self, rows: NDArray[np.intp], actions: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Moves the cars ``rows`` [n] by actions [n, 3].

        Returns:
            Rewards [n], whether the episodes have ended [n], and whether by a whole lap [n].
        """
        told = self.cars.step(rows, actions, self._repeat)
        self._look(rows)
        return told

    def picture(self, row: int, height: int, width: int) -> NDArray[np.uint8]:
        """A picture [height, width, 3] for people to watch."""
        cars, picture = self.cars, np.zeros((height, width, 3), np.uint8)
        look(row, cars.roads, cars.visited, cars.views, cars.colors, scratch(height, width), picture)
        return picture

    def _look(self, rows: NDArray[np.intp]) -> None:
        cars = self.cars
        look_all(rows, cars.roads, cars.visited, cars.views, cars.colors, self._scratch, self._pictures)
        if self._kind == "paper":
            paper_all(rows, self._pictures, self.observations)
        elif self._kind == "grey":
            grey_all(rows, self._pictures, self.observations)
