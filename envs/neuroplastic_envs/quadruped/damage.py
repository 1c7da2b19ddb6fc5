"""Damage to legs: how it is written, and which leg a name means.

A damage is written ``leg:kind``, several are joined by ``+`` (or a comma)::

    front_right                          the paper's damage: shorten to a quarter
    front_left:shorten=0.5               half of the foot's length remains
    back_left:motor_off+back_right:lock  no torque in one leg, the joints of another held
    front_right:shorten@300              strikes in mid-life, after 300 steps
    front_left:motor_off@200-600         strikes after 200 steps, is healed after 600

Steps are counted from the reset: with ``@200-600`` the first 200 calls of ``step`` move a sound leg, the next 400 a
damaged one, and those after them a sound one again. Without ``@`` damage lasts from the reset to the end.

A leg is named by its *place* seen in the direction of travel (+x forward, +y left), or by a name from ``ant.xml``. The
two disagree: the model's ``front_right_leg`` points to -x and +y, so it is the leg at the ``back_left``.
"""

import math
import re
from dataclasses import dataclass, replace
from itertools import pairwise

PLACES = ("front_left", "back_left", "back_right", "front_right")  # in the order in which the model lists its legs
MODEL_NAMES = (  # the leg's body, its foot's body and its foot's geom, in the same order
    ("front_left_leg", "front_left_foot", "left_ankle_geom"),
    ("front_right_leg", "front_right_foot", "right_ankle_geom"),
    ("left_back_leg", "left_back_foot", "third_ankle_geom"),
    ("right_back_leg", "right_back_foot", "fourth_ankle_geom"),
)
KINDS = ("shorten", "motor_off", "lock")
PAPER_FRACTION = 0.25  # Najarro & Risi's released code shortens a foot from 0.4 to 0.1 along both axes

_LEGS = {place: leg for leg, place in enumerate(PLACES)} | {
    name: leg for leg, names in enumerate(MODEL_NAMES) for name in names
}


class DamageError(ValueError):
    """A damage names no leg or no kind, has a fraction or times that cannot be used, or is given twice."""


@dataclass(frozen=True, order=True)
class Damage:
    """One kind of damage to one leg.

    ``leg`` counts the legs in the model's order (see `PLACES`); ``kind`` is one of

    * ``shorten``: of the foot's length only ``fraction`` remains (0 < fraction <= 1), and its mass shrinks with it;
    * ``motor_off``: the torque of both joints of the leg is zero; they swing freely;
    * ``lock``: both joints are held at the angles they have when it strikes; if that is at the reset, at the nearest
      within their limits.

    It strikes when ``start`` steps have been taken since the reset, and is healed when ``end`` have.
    """

    leg: int
    kind: str
    fraction: float = 1.0
    start: int = 0
    end: float = math.inf

    def __str__(self) -> str:
        fraction = f"={self.fraction!r}" if self.kind == "shorten" else ""
        healed = f"-{self.end}" if self.end < math.inf else ""
        times = f"@{self.start}{healed}" if self.start or healed else ""
        return f"{PLACES[self.leg]}:{self.kind}{fraction}{times}"


def parse_damage(text: str | None) -> tuple[Damage, ...]:
    """The damages written in ``text``, in a fixed order; none for ``None`` or an empty text.

    >>> [str(damage) for damage in parse_damage("fourth_ankle_geom + back_left:lock")]
    ['back_left:lock', 'front_right:shorten=0.25']

    Raises:
        DamageError: a part names no leg or no kind, its fraction is not in (0, 1], it is healed before it strikes, or
            the same leg has the same kind of damage twice at a time.
    """
    if text is not None and not isinstance(text, str):
        raise DamageError(f"damage: expected a text such as 'front_right:shorten', or None; got {text!r}")
    if not text or not text.strip():
        return ()
    damages = sorted(_parse_one(part.strip()) for part in text.replace(",", "+").split("+"))
    by_time = sorted(damages, key=lambda damage: (damage.leg, damage.kind, damage.start))
    if any((a.leg, a.kind) == (b.leg, b.kind) and b.start < a.end for a, b in pairwise(by_time)):
        raise DamageError(f"damage: expected each kind once a leg at any time; got {text!r}")
    return tuple(damages)


def format_damage(damages: tuple[Damage, ...]) -> str:
    """The text that `parse_damage` reads back as ``damages``."""
    return "+".join(map(str, damages))


def in_force(damages: tuple[Damage, ...], step: int) -> tuple[Damage, ...]:
    """The damages of the body that takes step number ``step`` (from 0), without their times."""
    return tuple(replace(damage, start=0, end=math.inf) for damage in damages if damage.start <= step < damage.end)


def changes(damages: tuple[Damage, ...]) -> frozenset[int]:
    """The steps before which damage strikes or is healed, other than at the reset."""
    return frozenset(int(time) for damage in damages for time in (damage.start, damage.end) if 0 < time < math.inf)


def _parse_one(part: str) -> Damage:
    what, at, times = part.partition("@")
    start, end = _parse_times(times, part) if at else (0, math.inf)
    name, colon, kind_text = what.strip().partition(":")
    kind, equals, fraction_text = (kind_text if colon else "shorten").partition("=")
    if name not in _LEGS:
        names = (*PLACES, *(name for names in MODEL_NAMES for name in names))
        raise DamageError(f"damage: expected a leg, one of {', '.join(names)}; got {name!r} in {part!r}")
    if kind not in KINDS:
        raise DamageError(f"damage: expected a kind, one of {', '.join(KINDS)}; got {kind!r} in {part!r}")
    if kind != "shorten":
        if equals:
            raise DamageError(f"damage: expected no fraction with {kind}; got {part!r}")
        return Damage(_LEGS[name], kind, start=start, end=end)
    try:
        fraction = float(fraction_text) if equals else PAPER_FRACTION
    except ValueError:
        fraction = math.nan
    if not 0 < fraction <= 1:
        raise DamageError(
            f"damage: expected the fraction of the length that remains, > 0 and <= 1; got {fraction_text!r} in {part!r}"
        )
    return Damage(_LEGS[name], kind, fraction, start, end)


def _parse_times(text: str, part: str) -> tuple[int, float]:
    times = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text.strip(), re.ASCII)
    if times:
        start, end = int(times[1]), int(times[2]) if times[2] else math.inf
        if start < end:
            return start, end
    raise DamageError(
        "damage: expected the step at which it strikes and, if it heals, a later one at which it is healed, such as "
        f"300 or 200-600; got {text!r} in {part!r}"
    )
