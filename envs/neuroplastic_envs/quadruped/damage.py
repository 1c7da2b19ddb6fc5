"""Damage to legs: how it is written, and which leg a name means.

A damage is written ``leg:kind``, several are joined by ``+`` (or a comma)::

    front_right                          the paper's damage: shorten to a quarter
    front_left:shorten=0.5               half of the foot's length remains
    back_left:motor_off+back_right:lock  no torque in one leg, the joints of another held

A leg is named by its *place* seen in the direction of travel (+x forward, +y left), or by a name from ``ant.xml``. The
two disagree: the model's ``front_right_leg`` points to -x and +y, so it is the leg at the ``back_left``.
"""

import math
from dataclasses import dataclass

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
    """A damage names no leg or no kind, has a fraction that cannot be used, or is given twice."""


@dataclass(frozen=True, order=True)
class Damage:
    """One kind of damage to one leg.

    ``leg`` counts the legs in the model's order (see `PLACES`); ``kind`` is one of

    * ``shorten``: of the foot's length only ``fraction`` remains (0 < fraction <= 1), and its mass shrinks with it;
    * ``motor_off``: the torque of both joints of the leg is zero; they swing freely;
    * ``lock``: both joints are held where the episode begins, within their limits.
    """

    leg: int
    kind: str
    fraction: float = 1.0

    def __str__(self) -> str:
        return f"{PLACES[self.leg]}:{self.kind}" + (f"={self.fraction!r}" if self.kind == "shorten" else "")


def parse_damage(text: str | None) -> tuple[Damage, ...]:
    """The damages written in ``text``, in a fixed order; none for ``None`` or an empty text.

    >>> [str(damage) for damage in parse_damage("fourth_ankle_geom + back_left:lock")]
    ['back_left:lock', 'front_right:shorten=0.25']

    Raises:
        DamageError: a part names no leg or no kind, its fraction is not in (0, 1], or the same leg has the same kind
            of damage twice.
    """
    if text is not None and not isinstance(text, str):
        raise DamageError(f"damage: expected a text such as 'front_right:shorten', or None; got {text!r}")
    if not text or not text.strip():
        return ()
    damages = sorted(_parse_one(part.strip()) for part in text.replace(",", "+").split("+"))
    if len({(damage.leg, damage.kind) for damage in damages}) < len(damages):
        raise DamageError(f"damage: expected each kind once a leg; got {text!r}")
    return tuple(damages)


def format_damage(damages: tuple[Damage, ...]) -> str:
    """The text that `parse_damage` reads back as ``damages``."""
    return "+".join(map(str, damages))


def _parse_one(part: str) -> Damage:
    name, colon, kind_text = part.partition(":")
    kind, equals, fraction_text = (kind_text if colon else "shorten").partition("=")
    if name not in _LEGS:
        names = (*PLACES, *(name for names in MODEL_NAMES for name in names))
        raise DamageError(f"damage: expected a leg, one of {', '.join(names)}; got {name!r} in {part!r}")
    if kind not in KINDS:
        raise DamageError(f"damage: expected a kind, one of {', '.join(KINDS)}; got {kind!r} in {part!r}")
    if kind != "shorten":
        if equals:
            raise DamageError(f"damage: expected no fraction with {kind}; got {part!r}")
        return Damage(_LEGS[name], kind)
    try:
        fraction = float(fraction_text) if equals else PAPER_FRACTION
    except ValueError:
        fraction = math.nan
    if not 0 < fraction <= 1:
        raise DamageError(
            f"damage: expected the fraction of the length that remains, > 0 and <= 1; got {fraction_text!r} in {part!r}"
        )
    return Damage(_LEGS[name], kind, fraction)
