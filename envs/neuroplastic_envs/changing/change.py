"""How a change is written, and when it happens.

A change is one ``kind``, for the whole life or from a step on::

    mirrored          from the reset
    mirrored@100      after 100 steps: the first 100 calls of ``step`` move the stock body
    mirrored@50-150   after a number of steps drawn anew at every reset, uniformly from 50 to 150 (both may come)

Nothing heals: the two numbers of a range bound *when* the body changes. (In the quadruped's damages, which do heal, the
second number is the step of the healing.)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


class ChangeError(ValueError):
    """A change names no kind that the body knows, or no step at which it could happen."""


@dataclass(frozen=True)
class Change:
    """One kind of change, which happens when a number of steps from ``earliest`` to ``latest`` have been taken."""

    kind: str
    earliest: int = 0
    latest: int = 0

    def draw(self, rng: np.random.Generator) -> int:
        """The step of one life, from the life's own generator; where there is no choice, nothing is drawn.

        The draws come from a child of the generator, so those that it gives afterwards are the stock environment's.
        """
        if self.earliest == self.latest:
            return self.earliest
        return int(rng.spawn(1)[0].integers(self.earliest, self.latest, endpoint=True))


def parse_change(text: str | None, kinds: Sequence[str]) -> Change | None:
    """The change written in ``text``; None for None or an empty text.

    >>> parse_change("long @ 50-150", ["mirrored", "long"])
    Change(kind='long', earliest=50, latest=150)

    Raises:
        ChangeError: it is none of ``kinds``, or its steps are not such as 100 or 50-150.
    """
    if text is not None and not isinstance(text, str):
        raise ChangeError(f"damage: expected a text such as '{kinds[0]}@50-150', or None; got {text!r}")
    if not text or not text.strip():
        return None
    kind, at, steps = (part.strip() for part in text.partition("@"))
    if kind not in kinds:
        raise ChangeError(f"damage: expected a kind, one of {', '.join(kinds)}; got {kind!r} in {text!r}")
    if not at:
        return Change(kind)
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", steps, re.ASCII)
    if found:
        earliest, latest = int(found[1]), int(found[2] or found[1])
        if earliest <= latest:
            return Change(kind, earliest, latest)
    raise ChangeError(
        "damage: expected the step after which it happens, or the earliest and the latest, such as 100 or 50-150; "
        f"got {steps!r} in {text!r}"
    )
