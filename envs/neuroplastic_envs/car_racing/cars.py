"""Cars side by side, each on a track of its own: from actions to rewards, ends, and what pictures show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import physics, solver
from .physics import State
from .picture import Roads
from .track import Track, make_track
from .view import VIEW

# What the five discrete actions do: steering to the right, gas, brake.
DISCRETE = np.array([(0, 0, 0), (0.6, 0, 0), (-0.6, 0, 0), (0, 0.2, 0), (0, 0, 0.8)], np.float64)
# Red, green and blue, 0 to 255, of the road, the ground, and the patches of grass on it.
COLORS = np.array([(102, 102, 102), (102, 204, 102), (102, 230, 102)], np.float64)
ROOM = 384  # tiles that there is room for at first
OF_TILES = {"shapes", "circles", "near", "visited", "earned", "points", "tiles", "borders", "kerb", "shade"}


class Cars:
    """Cars [N] that do not meet. What happens to one does not depend on which others move with it.

    Attributes:
        tracks: [N] theirs, None before the first reset. Cars may share one.
        roads: what pictures show of them. The first track that is too long makes them new arrays.
        colors: [N, 3, 3] of the road, the ground, and the patches on it.
        views: [N, VIEW] what pictures show of them.
        visited: [N, T] bool, tiles of their tracks, and room for more, that a wheel or the hull has touched. The first
            track that is too long makes it a new array.
        earned: [N, T] bool, those that a wheel has touched, which is rewarded.

    Args:
        number: of cars N.
        lap_complete_percent: part of the tiles beyond which the first one, when it is touched at last, completes the
            lap; all tiles do so in any case. As in the stock environment, where cars start on the first one, only
            values near 0 matter.
        domain_randomize: gives each car colors of its own.
    """

    def __init__(self, number: int, lap_complete_percent: float = 0.95, domain_randomize: bool = False) -> None:
        self.tracks: list[Track | None] = [None] * number
        self.colors = np.tile(COLORS, (number, 1, 1))
        self._lap, self._randomize = float(lap_complete_percent), domain_randomize
        self._state, self.roads = _state(number, ROOM), _roads(number, ROOM)

    @property
    def views(self) -> NDArray[np.float64]:
        return self._state.views

    @property
    def visited(self) -> NDArray[np.bool_]:
        return self._state.visited

    @property
    def earned(self) -> NDArray[np.bool_]:
        return self._state.earned

    def reset(self, row: int, np_random: np.random.Generator, randomize: bool = True) -> None:
        """Puts a car on a new track, at rest, and lets one step pass without an action, as the stock environment does.

        Args:
            row: which car.
            np_random: draws the colors, where they are random, and the track, in the stock environment's order.
            randomize: False keeps the car's colors.
        """
        if self._randomize and randomize:
            self.colors[row] = random_colors(np_random)
        track = self.tracks[row] = make_track(np_random)
        length = len(track.points)
        if length > self._state.earned.shape[1]:
            self._state, self.roads = _with_room(self._state, 2 * length), _with_room(self.roads, 2 * length)
        for arrays in (self._state, self.roads):
            for name in OF_TILES & set(arrays._fields) & set(track._fields):
                getattr(arrays, name)[row, :length] = getattr(track, name)
        self._state.counts[row, physics.TILES] = self.roads.lengths[row] = length
        physics.begin(row, track.points[0].copy(), self._lap, self._state)

    def step(
        self, rows: NDArray[np.intp], actions: NDArray[np.floating], repeat: int = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Moves the cars ``rows`` [n], and no others.

        Args:
            rows: [n] which cars; all must have been reset.
            actions: [n, 3] finite: steering to the right, gas, brake; float32, or float64 as `DISCRETE` has them. As in
                the stock environment, gas is clipped to [0, 1], a brake of 0.9 or more blocks the wheels, one below 0
                does nothing, and the joints limit what steering can do.
            repeat: steps of 1/50 s with the same action; a car stops after the one that ends its episode.

        Returns:
            Rewards [n], summed over these steps; whether the episodes ended [n]; whether they did so with a whole lap.
        """
        told = np.empty((len(rows), physics.TOLD))
        physics.step(rows, np.array(actions, np.float64, order="C"), repeat, self._lap, self._state, told)
        return told[:, physics.GAIN], told[:, physics.TERMINATED] > 0, told[:, physics.FINISHED] > 0

    def tiles(self, rows: NDArray[np.intp] | int) -> NDArray[np.float64]:
        """The part of their tracks' tiles that the cars ``rows`` [n], which have been reset, have been paid for."""
        return self._state.counts[rows, physics.EARNED] / self._state.counts[rows, physics.TILES]


def random_colors(np_random: np.random.Generator) -> NDArray[np.float64]:
    """[3, 3] colors of the road, the ground, and the patches on it, which are brighter in red, green or blue."""
    road, ground = np_random.uniform(0, 210, size=3), np_random.uniform(0, 210, size=3)
    patches = ground.copy()
    patches[np_random.integers(3)] += 20
    return np.array([road, ground, patches])


def _state(number: int, room: int) -> State:
    return State(
        views=np.zeros((number, VIEW)),
        bodies=np.zeros((number, 5, solver.BODY), np.float32),
        joints=np.zeros((number, 4, solver.JOINT), np.float32),
        poses=np.zeros((number, 5, 4), np.float32),
        memory=np.zeros((number, physics.MEMORY)),
        counts=np.zeros((number, physics.COUNTS), np.int64),
        grip=np.zeros((number, 4), np.bool_),
        shapes=np.zeros((number, room, 4, 2), np.float32),
        circles=np.zeros((number, room, 3), np.float32),
        near=np.zeros((number, room), np.int32),
        visited=np.zeros((number, room), np.bool_),
        earned=np.zeros((number, room), np.bool_),
    )


def _roads(number: int, room: int) -> Roads:
    return Roads(
        lengths=np.zeros(number, np.int64),
        points=np.zeros((number, room, 4)),
        tiles=np.zeros((number, room, 4, 2)),
        borders=np.zeros((number, room, 4, 2)),
        kerb=np.zeros((number, room), np.uint8),
        shade=np.zeros((number, room), np.uint8),
    )


def _with_room(arrays: Any, room: int) -> Any:
    """The same `State` or `Roads` with room for longer tracks. What is not of tiles stays the same arrays."""
    return arrays._replace(**{name: _longer(getattr(arrays, name), room) for name in OF_TILES & set(arrays._fields)})


def _longer(array: NDArray[Any], room: int) -> NDArray[Any]:
    longer = np.zeros((len(array), room, *array.shape[2:]), array.dtype)
    longer[:, : array.shape[1]] = array
    return longer
