"""Cars and what their drivers see."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import interface
from .cars import Cars
from .picture import SIZE, draw, grey, paper, scratch


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
        self._kind, self._repeat = observation, frame_skip
        self._scratch, self._picture = scratch(), np.zeros((SIZE, SIZE, 3), np.uint8)

    def reset(self, row: int, np_random: np.random.Generator, randomize: bool = True) -> None:
        """Starts an episode of one car; ``randomize`` False keeps its colors."""
        self.cars.reset(row, np_random, randomize)
        self._look(row)

    def step(
        self, rows: NDArray[np.intp], actions: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Moves the cars ``rows`` [n] by actions [n, 3].

        Returns:
            Rewards [n], whether the episodes have ended [n], and whether by a whole lap [n].
        """
        told = self.cars.step(rows, actions, self._repeat)
        for row in rows.tolist():
            self._look(row)
        return told

    def tiles(self, row: int) -> float:
        """The part of its track's tiles that a car has been paid for."""
        track = self.cars.tracks[row]
        return 0.0 if track is None else float(self.cars.earned[row, : len(track.points)].mean())

    def picture(self, row: int, height: int, width: int) -> NDArray[np.uint8]:
        """A picture [height, width, 3] for people to watch."""
        picture = np.zeros((height, width, 3), np.uint8)
        self._draw(row, scratch(height, width), picture)
        return picture

    def _look(self, row: int) -> None:
        seen = self.observations[row]
        self._draw(row, self._scratch, seen if self._kind == "rgb" else self._picture)
        if self._kind == "paper":
            paper(self._picture, seen)
        elif self._kind == "grey":
            grey(self._picture, seen[..., 0])

    def _draw(self, row: int, memory: Any, picture: NDArray[np.uint8]) -> None:
        cars, track = self.cars, self.cars.tracks[row]
        assert track is not None
        lap = track.points, track.tiles, track.borders, track.kerb, track.shade, cars.visited[row, : len(track.points)]
        draw(*lap, cars.views[row], cars.colors[row], memory, picture)
