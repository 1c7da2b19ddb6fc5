"""The physics: one Bullet world with a floor and one ant."""

import os
import sys
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .body import FEET, FOOT_RADIUS, JOINTS, LINKS, colors, foot_fractions, locked_joints, model_file, motor_gains
from .bullet import DATA, pybullet
from .damage import Damage
from .stock import ANKLE_AXIS, FOOT, HIP_AXIS, LEG, SHAPE, SUBSTEPS, THIGH, TIMESTEP, TRUNK

SOLVER_ITERATIONS = 5
GRAVITY = 9.8
CONTACT_ERP = 0.9
FLOOR_FRICTION, FLOOR_RESTITUTION = 0.8, 0.5
LOCK_TORQUE = 1e4  # N m a locked joint can resist; the motors have 250
HIPS, ANKLES = JOINTS[::2], JOINTS[1::2]
LEG_OF_FOOT = {foot: leg for leg, foot in enumerate(FEET)}

Vector = tuple[float, float, float]


class Simulation:
    """One Bullet client with a floor and one ant. Torques go in, states come out.

    Legs, and so feet and pairs of joints (hip, ankle), are in the model's order (`damage.PLACES`). Damages come
    without times: whoever steps the simulation knows when they strike.

    Attributes:
        client: Bullet's number of this world; 0 or more.
        ant, floor: Bullet's numbers of the bodies.
        gains: [8] torque in N m of each joint at action 1, zero where damage has taken it.
        lower, upper: [8] limits of the joints in radians. The ankles start outside of theirs, as in the stock
            environment, and are pushed inside by the first steps.
        shape: [stock.SHAPE, 3] where its links are when no joint is turned.
    """

    ant: int
    floor: int
    gains: list[float]
    lower: list[float]
    upper: list[float]
    shape: NDArray[np.float64]

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
        self._held: dict[int, float] = {}  # angles of the joints that are locked
        self.close = weakref.finalize(self, pybullet.disconnect, self.client)
        self._build(damages)

    def reset(self, angles: Sequence[float], damages: tuple[Damage, ...] = ()) -> list[float]:
        """Puts the ant back to its start with these joint angles [8] (radians).

        Joints of a locked leg start, and are held, at the angle within their limits that is nearest.

        Raises:
            RuntimeError: the world has been closed.
        """
        if not self.close.alive:
            raise RuntimeError("this world has been closed")  # Bullet may have given its number to another
        if damages == self._damages and not self._changed:
            pybullet.restoreState(self._start, physicsClientId=self.client)
        else:
            self._build(damages)
        angles = list(angles)
        self._held = {joint: self._within_limits(joint, angles[joint]) for joint in locked_joints(damages)}
        for joint, angle in self._held.items():
            angles[joint] = angle
            self._hold(joint, angle)
        for link, angle in zip(JOINTS, angles, strict=True):
            pybullet.resetJointState(self.ant, link, angle, 0.0, physicsClientId=self.client)
        return self.read()

    def change(self, damages: tuple[Damage, ...]) -> None:
        """Gives the ant these damages in place of those that it has, as it stands.

        A body with feet of other lengths takes the place of the old one: where it is, as it is turned and as fast.
        If a foot that has grown would reach into the floor, the body is lifted until it just stands on it; otherwise
        the contact would throw it up. Joints that are locked from now on are held where they are, those that stay
        locked where they were held.
        """
        angles = [joint[0] for joint in pybullet.getJointStates(self.ant, JOINTS, physicsClientId=self.client)]
        locked = locked_joints(damages)
        released = [joint for joint in self._held if joint not in locked]
        self._held = {joint: self._held[joint] if joint in self._held else angles[joint] for joint in locked}
        if foot_fractions(damages) != foot_fractions(self._damages):
            self._swap(damages)
        else:
            for joint in released:
                self._release(joint)
            self._wear(damages)
        for joint, angle in self._held.items():
            self._hold(joint, angle)
        self._changed = True

    def step(self, torques: list[float]) -> list[float]:
        """Applies torques [8] (N m) for one step of `TIMESTEP` seconds."""
        pybullet.setJointMotorControlArray(
            self.ant, JOINTS, pybullet.TORQUE_CONTROL, forces=torques, physicsClientId=self.client
        )
        pybullet.stepSimulation(self.client)
        return self.read()

    def read(self) -> list[float]:
        """The state [stock.STATE] now."""
        # Every agent's every step passes here: arguments by position and plain loops are what costs least.
        ant, client = self.ant, self.client
        position, orientation = pybullet.getBasePositionAndOrientation(ant, client)
        velocity, spin = pybullet.getBaseVelocity(ant, client)
        state = [*position, *velocity, *spin, *orientation, *pybullet.getEulerFromQuaternion(orientation)]
        for angle, speed, _, _ in pybullet.getJointStates(ant, JOINTS, client):
            state.append(angle)
            state.append(speed)
        feet = [0.0] * len(FEET)
        for contact in pybullet.getContactPoints(ant, self.floor, -2, -2, client):
            if contact[3] in LEG_OF_FOOT:
                feet[LEG_OF_FOOT[contact[3]]] = 1.0
        return state + feet

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
        (self.floor,) = pybullet.loadSDF(str(DATA / "plane_stadium.sdf"), physicsClientId=client)
        pybullet.changeDynamics(
            self.floor,
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
        for joint in range(len(JOINTS)):  # Bullet gives every joint a motor that brakes
            self._set_motor(joint, 0.0, torque=0.0)
        limits = [pybullet.getJointInfo(self.ant, link, physicsClientId=client)[8:10] for link in JOINTS]
        self.lower, self.upper = [low for low, _ in limits], [high for _, high in limits]
        self.shape = self._measure()
        self._wear(damages)
        self._changed = False
        self._start = pybullet.saveState(physicsClientId=client)

    def _wear(self, damages: tuple[Damage, ...]) -> None:
        """Takes on the damages that the body's shape does not show."""
        for link, color in colors(damages).items():
            pybullet.changeVisualShape(self.ant, link, rgbaColor=color, physicsClientId=self.client)
        self.gains = motor_gains(damages)
        self._damages = damages

    def _measure(self) -> NDArray[np.float64]:
        """The shape of the ant as it was loaded: not turned, no joint turned."""
        torso, _ = pybullet.getBasePositionAndOrientation(self.ant, physicsClientId=self.client)
        links = pybullet.getLinkStates(self.ant, LINKS, computeForwardKinematics=1, physicsClientId=self.client)
        centers = np.array([link[0] for link in links]) - torso
        frames = np.array([link[4] for link in links]) - torso
        axes = [pybullet.getJointInfo(self.ant, link, physicsClientId=self.client)[13] for link in LINKS]
        shape = np.zeros((SHAPE, 3))
        for leg, (hip, ankle) in enumerate(zip(HIPS, ANKLES, strict=True)):
            fixed, upper, lower = (
                centers[5 * leg],
                centers[5 * leg + 1 : 5 * leg + 3],
                centers[5 * leg + 3 : 5 * leg + 5],
            )
            shape[TRUNK] += fixed + 4 * frames[hip]
            own = shape[LEG * leg :]
            own[THIGH] = (upper - frames[hip]).sum(axis=0) + 2 * (frames[ankle] - frames[hip])
            own[FOOT] = (lower - frames[ankle]).sum(axis=0)
            for row, joint in ((HIP_AXIS, hip), (ANKLE_AXIS, ankle)):
                own[row] = np.array(axes[joint]) / np.linalg.norm(axes[joint])
        return shape

    def _swap(self, damages: tuple[Damage, ...]) -> None:
        """Puts another body in the place of this one."""
        client = self.client
        position, orientation = pybullet.getBasePositionAndOrientation(self.ant, physicsClientId=client)
        velocity = pybullet.getBaseVelocity(self.ant, physicsClientId=client)
        joints = pybullet.getJointStates(self.ant, JOINTS, physicsClientId=client)
        shorter = foot_fractions(self._damages)

        self._build(damages)
        for link, joint in zip(JOINTS, joints, strict=True):
            pybullet.resetJointState(self.ant, link, *joint[:2], physicsClientId=client)
        pybullet.resetBasePositionAndOrientation(self.ant, position, orientation, physicsClientId=client)
        ends = pybullet.getLinkStates(self.ant, (*ANKLES, *FEET), computeForwardKinematics=1, physicsClientId=client)
        grown = [leg for leg, now in enumerate(foot_fractions(damages)) if now > shorter[leg]]
        lift = max([0.0, *(FOOT_RADIUS - _lowest(*ends[leg::4]) for leg in grown)])
        lifted = (*position[:2], position[2] + lift)
        pybullet.resetBasePositionAndOrientation(self.ant, lifted, orientation, physicsClientId=client)
        pybullet.resetBaseVelocity(self.ant, *velocity, physicsClientId=client)

    def _within_limits(self, joint: int, angle: float) -> float:
        return min(max(angle, self.lower[joint]), self.upper[joint])

    def _hold(self, joint: int, angle: float) -> None:
        if angle != self._within_limits(joint, angle):  # the limit would push it inside, whatever the motor does
            self._set_limits(joint, min(angle, self.lower[joint]), max(angle, self.upper[joint]))
        self._set_motor(joint, angle, LOCK_TORQUE)

    def _release(self, joint: int) -> None:
        self._set_limits(joint, self.lower[joint], self.upper[joint])
        self._set_motor(joint, 0.0, torque=0.0)

    def _set_limits(self, joint: int, lower: float, upper: float) -> None:
        pybullet.changeDynamics(
            self.ant, JOINTS[joint], jointLowerLimit=lower, jointUpperLimit=upper, physicsClientId=self.client
        )

    def _set_motor(self, joint: int, angle: float, torque: float) -> None:
        pybullet.setJointMotorControl2(
            self.ant,
            JOINTS[joint],
            pybullet.POSITION_CONTROL,
            targetPosition=angle,
            force=torque,
            physicsClientId=self.client,
        )


def _lowest(ankle: Sequence, foot: Sequence) -> float:
    """The height of the lower end of a foot's axis, from the states of two links."""
    return min(ankle[0][2], 2 * foot[0][2] - ankle[0][2])
