"""Pictures of a simulation."""

import numpy as np
from numpy.typing import NDArray

from .bullet import pybullet
from .simulation import Simulation, Vector

DISTANCE, YAW, PITCH = 3.0, -15.0, -32.0  # m and degrees: from its right and a little behind; it walks to the right
LOOK_AT_HEIGHT = 0.3
FIELD_OF_VIEW = 50.0


def picture(simulation: Simulation, width: int, height: int) -> NDArray[np.uint8]:
    """A picture [height, width, 3] by Bullet's software renderer; it needs no display."""
    view = pybullet.computeViewMatrixFromYawPitchRoll(_target(simulation), DISTANCE, YAW, PITCH, 0, 2)
    projection = pybullet.computeProjectionMatrixFOV(FIELD_OF_VIEW, width / height, 0.1, 60)
    image = pybullet.getCameraImage(
        width,
        height,
        view,
        projection,
        shadow=0,  # its shadow map draws a false edge over a floor of this size
        lightDirection=(-2, -4, 6),
        lightColor=(1, 1, 1),
        lightAmbientCoeff=0.6,
        lightDiffuseCoeff=0.4,
        lightSpecularCoeff=0.1,
        renderer=pybullet.ER_TINY_RENDERER,
        flags=pybullet.ER_NO_SEGMENTATION_MASK,
        physicsClientId=simulation.client,
    )
    return np.asarray(image[2], np.uint8).reshape(height, width, 4)[..., :3].copy()


def open_window(simulation: Simulation) -> None:
    """Clears Bullet's window of its panels and gives it the pictures' point of view, which the user may change."""
    pybullet.configureDebugVisualizer(pybullet.COV_ENABLE_GUI, 0, physicsClientId=simulation.client)
    _look(simulation, DISTANCE, YAW, PITCH)


def follow(simulation: Simulation) -> None:
    """Moves the window's camera with the ant; its angles and distance stay as the user has them."""
    yaw, pitch, distance = pybullet.getDebugVisualizerCamera(physicsClientId=simulation.client)[8:11]
    _look(simulation, distance, yaw, pitch)


def _look(simulation: Simulation, distance: float, yaw: float, pitch: float) -> None:
    pybullet.resetDebugVisualizerCamera(distance, yaw, pitch, _target(simulation), physicsClientId=simulation.client)


def _target(simulation: Simulation) -> Vector:
    x, y, _ = pybullet.getBasePositionAndOrientation(simulation.ant, physicsClientId=simulation.client)[0]
    return x, y, LOOK_AT_HEIGHT
