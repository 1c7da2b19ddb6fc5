"""The physics: one Bullet world with a floor and one ant."""

import os
import sys
import weakref
from collections.abc import Sequence
from typing import NamedTuple

from .body import FEET, JOINTS, LINKS, colors, locked_joints, model_file, motor_gains
from .bullet import DATA, pybullet
from .damage import Damage

TIMESTEP = 0.0165  # s of one step; Bullet divides it into SUBSTEPS
SUBSTEPS = 4
SOLVER_ITERATIONS = 5
GRAVITY = 9.8
CONTACT_ERP = 0.9
FLOOR_FRICTION, FLOOR_RESTITUTION = 0.8, 0.5
LOCK_TORQUE = 1e4  # N m a locked joint can resist; the motors have 250
PARTS = len(LINKS) + 2  # the torso, and the floor at (0, 0): the stock environment counts it too

Vector = tuple[float, float, float]


class State(NamedTuple):
    """What is read after a step, in SI units and the world's frame."""

    position: Vector  # of the torso
    velocity: Vector  # of the torso
    rotation: Vector  # of the torso: roll, pitch, yaw
    angles: list[float]  # [8] of the joints
    speeds: list[float]  # [8] of the joints
    center: tuple[float, float]  # mean x and y of the robot's parts, as the stock environment counts them
    feet: list[float]  # [4] 1.0 where a foot touches the floor


class Simulation:
    """One Bullet client with a floor and one ant. Torques go in, states come out.

    Legs, and so feet and pairs of joints (hip, ankle), are in the model's order (`damage.PLACES`).

    Attributes:
        client: Bullet's number of this world; 0 or more.
        ant: Bullet's number of the body.
        gains: [8] torque in N m of each joint at action 1, zero where damage has taken it.
        lower, upper: [8] limits of the joints in radians. The ankles start outside of theirs, as in the stock
            environment, and are pushed inside by the first steps.
    """

    ant: int
    gains: list[float]
    lower: list[float]
    upper: list[float]

    def __init__(self, damages: tuple[Damage, ...] = (), *, window: bool = False) -> None:
        """Opens a world without a window, or with Bullet's.

        Raises:
            RuntimeError: there is no display for the window, or Bullet opens no more worlds.
        """
        if window and sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
            raise RuntimeError(
                "Bullet's window needs a display, and DISPLAY is not set; render_mode='rgb_array' needs none"
            )  # Bullet itself would end the process
        self.client: int = pybullet.connect(pybullet.GUI if window else pybullet.DIRECT)
        if self.client < 0:
            raise RuntimeError("Bullet could not open another world")
        self.close = weakref.finalize(self, pybullet.disconnect, self.client)
        self._build(damages)

    def reset(self, angles: Sequence[float], damages: tuple[Damage, ...] = ()) -> State:
        """Puts the ant back to its start with these joint angles [8] (radians).

        Joints of a locked leg start, and are held, at the angle within their limits that is nearest.

        Raises:
            RuntimeError: the world has been closed.
        """
        if not self.close.alive:
            raise RuntimeError("this world has been closed")  # Bullet may have given its number to another
        if damages == self._damages:
            pybullet.restoreState(self._start, physicsClientId=self.client)
        else:
            self._build(damages)
        angles = list(angles)
        for joint in self._locked:
            angles[joint] = min(max(angles[joint], self.lower[joint]), self.upper[joint])
            self._hold(joint, angles[joint])
        for link, angle in zip(JOINTS, angles, strict=True):
            pybullet.resetJointState(self.ant, link, angle, 0.0, physicsClientId=self.client)
        return self.read()

    def step(self, torques: list[float]) -> State:
        """Applies torques [8] (N m) for one step of `TIMESTEP` seconds."""
        pybullet.setJointMotorControlArray(
            self.ant, JOINTS, pybullet.TORQUE_CONTROL, forces=torques, physicsClientId=self.client
        )
        pybullet.stepSimulation(physicsClientId=self.client)
        return self.read()

    def read(self) -> State:
        """The state now."""
        client, ant = self.client, self.ant
        joints = pybullet.getJointStates(ant, JOINTS, physicsClientId=client)
        links = pybullet.getLinkStates(ant, LINKS, physicsClientId=client)  # one substep old
        position, orientation = pybullet.getBasePositionAndOrientation(ant, physicsClientId=client)
        velocity, _ = pybullet.getBaseVelocity(ant, physicsClientId=client)
        contacts = {contact[3] for contact in pybullet.getContactPoints(ant, self._floor, physicsClientId=client)}
        return State(
            position,
            velocity,
            pybullet.getEulerFromQuaternion(orientation),
            [joint[0] for joint in joints],
            [joint[1] for joint in joints],
            (
                (sum([link[0][0] for link in links]) + position[0]) / PARTS,
                (sum([link[0][1] for link in links]) + position[1]) / PARTS,
            ),
            [1.0 if foot in contacts else 0.0 for foot in FEET],
        )

    def _build(self, damages: tuple[Damage, ...]) -> None:
        """Makes the world anew, exactly as the stock environment does, and keeps its state to return to."""
        client = self.client
        pybullet.resetSimulation(physicsClientId=client)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=TIMESTEP,
            numSubSteps=SUBSTEPS,
            numSolverIterations=SOLVER_ITERATIONS,
            deterministicOverlappingPairs=1,  # without it some episodes do not repeat
            physicsClientId=client,
        )
        pybullet.setGravity(0, 0, -GRAVITY, physicsClientId=client)
        pybullet.setDefaultContactERP(CONTACT_ERP, physicsClientId=client)
        (self._floor,) = pybullet.loadSDF(str(DATA / "plane_stadium.sdf"), physicsClientId=client)
        pybullet.changeDynamics(
            self._floor,
            -1,
            lateralFriction=FLOOR_FRICTION,
            restitution=FLOOR_RESTITUTION,
            physicsClientId=client,
        )
        with model_file(damages) as path:
            (self.ant,) = pybullet.loadMJCF(
                str(path),
                flags=pybullet.URDF_USE_SELF_COLLISION | pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_ALL_PARENTS,
                physicsClientId=client,
            )
        for link in JOINTS:  # Bullet gives every joint a motor that brakes
            pybullet.setJointMotorControl2(self.ant, link, pybullet.POSITION_CONTROL, force=0, physicsClientId=client)
        for link, color in colors(damages).items():
            pybullet.changeVisualShape(self.ant, link, rgbaColor=color, physicsClientId=client)
        limits = [pybullet.getJointInfo(self.ant, link, physicsClientId=client)[8:10] for link in JOINTS]
        self.lower, self.upper = [low for low, _ in limits], [high for _, high in limits]
        self.gains = motor_gains(damages)
        self._locked = locked_joints(damages)
        self._damages = damages
        self._start = pybullet.saveState(physicsClientId=client)

    def _hold(self, joint: int, angle: float) -> None:
        pybullet.setJointMotorControl2(
            self.ant,
            JOINTS[joint],
            pybullet.POSITION_CONTROL,
            targetPosition=angle,
            force=LOCK_TORQUE,
            physicsClientId=self.client,
        )
