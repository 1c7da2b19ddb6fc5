"""A window on the screen, by pygame, which nothing else here needs."""

import importlib
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray


class Window:
    """Shows pictures [height, width, 3].

    Raises:
        DependencyNotInstalled: there is no pygame.
        RuntimeError: there is no display.
    """

    def __init__(self, width: int, height: int) -> None:
        try:
            self._pygame: Any = importlib.import_module("pygame")
        except ImportError as error:
            raise DependencyNotInstalled(
                "render_mode='human' needs pygame: pip install 'neuroplastic[view]'; 'rgb_array' needs nothing"
            ) from error
        try:
            self._pygame.display.init()
            self._screen = self._pygame.display.set_mode((width, height))
        except self._pygame.error as error:
            raise RuntimeError(f"render_mode='human' needs a display ({error}); 'rgb_array' needs none") from error
        self._pygame.display.set_caption("neuroplastic/CarRacing-v0")

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Shows a picture of the window's size, and answers what the window's frame asks."""
        self._pygame.event.pump()
        self._screen.blit(self._pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))
        self._pygame.display.flip()

    def close(self) -> None:
        self._pygame.display.quit()
