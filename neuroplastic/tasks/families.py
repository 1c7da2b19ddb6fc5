"""Families of things to learn, in parts that share nothing: what rules are found on, chosen by, and judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from neuroplastic.errors import ArgumentError, check_name, check_range
from neuroplastic.tasks.data import Source, outputs, sources

PARTS = ("train", "validation", "held-out", "held-out-sizes")


@dataclass(frozen=True)
class Lesson:
    """A source, and the layers of the networks that learn it."""

    name: str
    source: Source
    hidden: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.source.inputs, *self.hidden, outputs(self.source.classes))


@dataclass(frozen=True)
class Family:
    """Name of a source -> source, for each part, and the hidden layers of networks.

    Attributes:
        train: what genomes are tried on while they are searched for.
        validation: what the best of them is chosen by.
        held_out: what it is judged by.
        hidden: hidden layers of networks, in all these parts.
        held_out_hidden: further ones, deeper or wider, in which the sources of ``train`` are learned as part
            "held-out-sizes" and those of ``held_out`` as well.

    Raises:
        ArgumentError: a part is empty, or two parts share a name, a source or hidden layers.
    """

    train: Mapping[str, Source]
    validation: Mapping[str, Source]
    held_out: Mapping[str, Source]
    hidden: Sequence[tuple[int, ...]] = ((20,),)
    held_out_hidden: Sequence[tuple[int, ...]] = field(default=())

    def __post_init__(self) -> None:
        parts = {"train": self.train, "validation": self.validation, "held_out": self.held_out}
        seen: dict[str, tuple[str, Source]] = {}
        for part, members in parts.items():
            if not members:
                raise ArgumentError(f"{part}: expected one source at least, apart from the other parts; got none")
            for name, source in members.items():
                for other, (where, known) in seen.items():
                    if other == name or (where != part and known == source):
                        raise ArgumentError(
                            f"{part}: expected other sources than in {where}; got {name!r}, which is {other!r} there"
                        )
                seen[name] = part, source
        if not self.hidden:
            raise ArgumentError("hidden: expected the layers of one network at least (which may be none: ()); got none")
        for hidden in (*self.hidden, *self.held_out_hidden):
            for size in hidden:
                check_range("hidden", size, low=1)
        if both := {tuple(hidden) for hidden in self.hidden} & {tuple(hidden) for hidden in self.held_out_hidden}:
            raise ArgumentError(f"held_out_hidden: expected other layers than in hidden; got {sorted(both)}")

    def lessons(self, part: str) -> list[Lesson]:
        """What a part has networks learn.

        Raises:
            UnknownNameError: no such part.
            ArgumentError: the family has no held-out sizes.
        """
        check_name("part", part, PARTS)
        if part == "held-out-sizes" and not self.held_out_hidden:
            raise ArgumentError("part: expected a family with held_out_hidden for 'held-out-sizes'; got one without")
        members = {"validation": self.validation, "held-out": self.held_out}.get(part, self.train)
        shapes = list(self.held_out_hidden if part == "held-out-sizes" else self.hidden)
        if part == "held-out":
            shapes += self.held_out_hidden
        return [
            Lesson(name if len(shapes) == 1 else f"{name}@{'-'.join(map(str, hidden))}", source, tuple(hidden))
            for hidden in shapes
            for name, source in members.items()
        ]


def boolean(hidden: Sequence[tuple[int, ...]] = ((20,),), held_out_hidden: Sequence[tuple[int, ...]] = ()) -> Family:
    """xor, and, moons; chosen by nand, nor, circles; judged by or, nxor, qand, disc."""

    def named(*names: str) -> dict[str, Source]:
        return {name: sources[name]() for name in names}

    return Family(
        named("xor", "and", "moons"),
        named("nand", "nor", "circles"),
        named("or", "nxor", "qand", "disc"),
        hidden,
        held_out_hidden,
    )


def digits(
    hidden: Sequence[tuple[int, ...]] = ((32,),), held_out_hidden: Sequence[tuple[int, ...]] = (), glyphs: int = 4
) -> Family:
    """Glyphs of ten classes, ``glyphs`` alphabets; chosen by two further ones; judged by scikit-learn's digits."""
    alphabets = [sources["glyphs"](classes=10, seed=seed) for seed in range(glyphs + 2)]
    return Family(
        {f"glyphs{n}": alphabet for n, alphabet in enumerate(alphabets[2:])},
        {f"validation{n}": alphabet for n, alphabet in enumerate(alphabets[:2])},
        {"digits": sources["digits"]()},
        hidden,
        held_out_hidden,
    )


families = {"boolean": boolean, "digits": digits}
"""Name -> what makes the family, of its hidden layers."""
