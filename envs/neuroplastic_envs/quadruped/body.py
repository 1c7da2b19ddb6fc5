"""The body: PyBullet's ``ant.xml`` with damage applied."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir
from threading import Lock
from xml.etree import ElementTree

from .bullet import DATA
from .damage import MODEL_NAMES, Damage

# Links as Bullet numbers them. Each leg is a chain of five: leg (fixed), hip, thigh (fixed), ankle, foot (fixed).
LINKS = tuple(range(20))
JOINTS = (1, 3, 6, 8, 11, 13, 16, 18)  # hip and ankle of each leg
FEET = (4, 9, 14, 19)

FOOT_RADIUS = 0.08  # m

TORQUE = 2.5 * 100.0  # N m at action 1: the stock robot's power times the joints' power_coef

_TOKEN = token_hex(8)  # of this process, in the names of its files
_ONE_AT_A_TIME = Lock()

Color = tuple[float, float, float, float]
_SOUND: Color = (0.85, 0.55, 0.25, 1)
_DAMAGED: dict[str, Color] = {
    "shorten": (0.80, 0.12, 0.12, 1),
    "motor_off": (0.35, 0.35, 0.38, 1),
    "lock": (0.20, 0.25, 0.65, 1),
}


def motor_gains(damages: tuple[Damage, ...]) -> list[float]:
    """The torque in N m of each of the 8 joints at action 1: zero where the motor is off or the joint locked."""
    dead = {damage.leg for damage in damages if damage.kind in ("motor_off", "lock")}
    return [0.0 if joint // 2 in dead else TORQUE for joint in range(len(JOINTS))]


def locked_joints(damages: tuple[Damage, ...]) -> list[int]:
    """Which of the 8 joints are held."""
    return [2 * damage.leg + joint for damage in damages if damage.kind == "lock" for joint in (0, 1)]


def colors(damages: tuple[Damage, ...]) -> dict[int, Color]:
    """The color (red, green, blue, opacity) of each link and of the torso (-1); a damaged leg stands out."""
    painted = dict.fromkeys((-1, *LINKS), _SOUND)
    for damage in damages:
        painted |= dict.fromkeys(LINKS[5 * damage.leg : 5 * damage.leg + 5], _DAMAGED[damage.kind])
    return painted


def foot_fractions(damages: tuple[Damage, ...]) -> tuple[float, ...]:
    """How much of the length of each of the 4 feet remains; all that two bodies can differ in."""
    short = {damage.leg: damage.fraction for damage in damages if damage.kind == "shorten"}
    return tuple(short.get(leg, 1.0) for leg in range(len(FEET)))


@contextmanager
def model_file(damages: tuple[Damage, ...]) -> Iterator[Path]:
    """A file with the damaged model, in a folder of its own that is removed afterwards.

    Bullet keeps what it has read under the file's name for as long as the process lives. So a body has the same name
    whenever it is asked for, or memory would grow with every one.
    """
    fractions = foot_fractions(damages)
    folder = Path(gettempdir(), f"quadruped-{os.getpid()}-{_TOKEN}")
    path = folder / f"ant-{'-'.join(map(repr, fractions))}.xml"
    with _ONE_AT_A_TIME:
        folder.mkdir(mode=0o700)
        try:
            path.write_bytes(_model(fractions))
            yield path
        finally:
            path.unlink(missing_ok=True)
            folder.rmdir()


@lru_cache(maxsize=16)
def _model(fractions: tuple[float, ...]) -> bytes:
    tree = ElementTree.parse(DATA / "mjcf" / "ant.xml")
    geoms = {geom.get("name"): geom for geom in tree.iter("geom")}
    for names, fraction in zip(MODEL_NAMES, fractions, strict=True):
        if fraction < 1.0:
            foot = geoms[names[-1]]
            ends = [float(number) for number in foot.attrib["fromto"].split()]
            foot.set("fromto", " ".join(repr(number * fraction) for number in ends))
    return ElementTree.tostring(tree.getroot())
