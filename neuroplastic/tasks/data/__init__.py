"""Data to learn: made from a seed, bundled with a library, or read where it lies."""

from collections.abc import Callable
from functools import partial

from neuroplastic.tasks.data.base import Source, outputs, targets
from neuroplastic.tasks.data.finite import Finite, digits_source, vision_source
from neuroplastic.tasks.data.glyphs import Glyphs
from neuroplastic.tasks.data.plane import BOOLEAN, Boolean, Circles, Disc, Moons, Spirals
from neuroplastic.tasks.data.snippets import Snippets

sources: dict[str, Callable[..., Source]] = {
    **{name: partial(Boolean, table) for name, table in BOOLEAN.items()},
    "boolean": Boolean,
    "moons": Moons,
    "circles": Circles,
    "disc": Disc,
    "spirals": Spirals,
    "digits": digits_source,
    "glyphs": Glyphs,
    "torchvision": vision_source,
}
"""Name -> what makes the source, of its options."""

__all__ = [
    "Boolean",
    "Circles",
    "Disc",
    "Finite",
    "Glyphs",
    "Moons",
    "Snippets",
    "Source",
    "Spirals",
    "outputs",
    "sources",
    "targets",
]
