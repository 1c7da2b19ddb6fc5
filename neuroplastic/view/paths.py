"""Paths through a super-network: where they end, and how they got there. L layers, M modules a layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuroplastic.errors import ArgumentError, check_range, require
from neuroplastic.pathnet import PathHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Picture = NDArray[np.uint8]

IDLE, FROZEN, ACTIVE, REUSED = range(4)
KINDS = {  # (what it means, colour, marker); colours that also the colour-blind tell apart (Okabe and Ito)
    IDLE: ("not on the path", "#d9d9d9", "o"),
    FROZEN: ("frozen", "#56b4e9", "s"),
    ACTIVE: ("on the path, learning", "#e69f00", "o"),
    REUSED: ("on the path, frozen: reused", "#0b3d91", "D"),
}
SIZES = {IDLE: 0.18, FROZEN: 0.26, ACTIVE: 0.3, REUSED: 0.32}
"""Radius of a circle as large as the marker, in distances of two modules."""
SQUARE = 0.9
"""Half a square's side, of the radius of a circle that looks as large."""
APART = 2.5
"""From layer to layer, in distances of two modules."""
EDGE, INK, FAINT = "#8c8c8c", "#222222", "#bbbbbb"


def kinds(history: PathHistory) -> Tensor:
    """What each module is in each round, one of `KINDS`: int64 [R, L, M]."""
    return ACTIVE * history.active.long() + FROZEN * history.frozen.long()


def on_path(history: PathHistory) -> Tensor:
    """Which modules take part in the fittest path of each round, bool [R, L, M]."""
    return history.active | history.frozen if history.always_active else history.active


def draw_paths(history: PathHistory) -> Figure:
    """The grid at the end of each task, and below it what each module was in every round.

    Raises:
        ArgumentError: there was no round yet.
        MissingExtraError: matplotlib is not installed.
    """
    _check(history)
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rounds, layers, modules = history.active.shape
    what, joined = kinds(history), on_path(history)
    wide = max(7.0, len(history.last) * max(2.2, 0.28 * APART * layers + 0.8))
    grid, below = 0.28 * modules + 0.8, 0.09 * layers * modules + 0.9
    figure = Figure(figsize=(wide, grid + below + 0.5), layout="constrained")
    upper = figure.add_gridspec(2, len(history.last), height_ratios=(grid, below))
    for place, (stage, last) in enumerate(history.last.items()):
        axes = figure.add_subplot(upper[0, place])
        _grid(axes, what[last], joined[last])
        axes.set_title(f"{history.tasks[stage]}\nround {last + 1}, fitness {float(history.fitness[last]):.3g}", size=9)

    axes = figure.add_subplot(upper[1, :])
    rows = what.flatten(1).T.numpy()
    colours = ListedColormap([colour for _, colour, _ in KINDS.values()])
    axes.imshow(rows, colours, vmin=0, vmax=3, aspect="auto", interpolation="nearest", extent=_extent(rounds, rows))
    for layer in range(1, layers):
        axes.axhline(layer * modules - 0.5, color="white", linewidth=2)
    for stage, last in history.last.items():
        begun = history.stage.tolist().index(stage)
        if begun:
            axes.axvline(begun + 0.5, color=INK, linewidth=1)
        axes.text((begun + last) / 2 + 1, -1.1, history.tasks[stage], ha="center", va="bottom", size=8)
    axes.set_yticks([modules * layer + (modules - 1) / 2 for layer in range(layers)], map(str, range(1, layers + 1)))
    axes.tick_params("y", length=0)
    axes.set(xlabel="round", ylabel="layer (a line for each module)")
    marks = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=8, label=text)
        for text, colour, marker in (KINDS[kind] for kind in what.unique().tolist())
    ]
    always = ", and it always takes part" if history.always_active else ""
    figure.legend(handles=marks, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(f"the fittest path of each task; what it ends with is frozen{always}", size=10)
    return figure


def _extent(rounds: int, rows: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """The first module on top, as in the grids."""
    return 0.5, rounds + 0.5, len(rows) - 0.5, -0.5


def _grid(axes: Axes, what: Tensor, joined: Tensor) -> None:
    """Layers from left to right, modules from top to bottom: what they are [L, M] and which take part [L, M]."""
    from matplotlib.patches import Circle, Rectangle

    layers, modules = what.shape
    for layer, one, other in _edges(joined):
        axes.plot([APART * layer, APART * (layer + 1)], [one, other], color=EDGE, linewidth=0.8, zorder=1)
    for (layer, module), kind in np.ndenumerate(what.numpy()):
        size, colour = SIZES[int(kind)], KINDS[int(kind)][1]
        if kind in (FROZEN, REUSED):
            corner = APART * layer - size * SQUARE, module - size * SQUARE
            angle, side = (45 if kind == REUSED else 0), 2 * size * SQUARE
            patch = Rectangle(corner, side, side, angle=angle, rotation_point="center", color=colour, zorder=2)
        else:
            patch = Circle((APART * layer, module), size, color=colour, zorder=2)
        axes.add_patch(patch)
    axes.set(xlim=(-0.6, APART * (layers - 1) + 0.6), ylim=(modules - 0.4, -0.6), aspect="equal")
    axes.set_xticks([APART * layer for layer in range(layers)], [str(layer + 1) for layer in range(layers)], size=7)
    axes.set_yticks([0, modules - 1], ["1", str(modules)], size=7)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _edges(joined: Tensor) -> Iterator[tuple[int, int, int]]:
    """(layer, module, module of the layer after) of all that feed each other: [L, M]."""
    for layer in range(len(joined) - 1):
        for one in joined[layer].nonzero()[:, 0].tolist():
            for other in joined[layer + 1].nonzero()[:, 0].tolist():
                yield layer, one, other


def path_frames(history: PathHistory, width: int = 640, height: int = 480) -> Iterator[Picture]:
    """A picture [height, width, 3] for each round: the path through the grid, and the fitness so far.

    Raises:
        ArgumentError: there was no round yet, or the picture would be too small.
        MissingExtraError: Pillow or matplotlib is not installed.
    """
    _check(history)
    require("PIL", "view")
    check_range("width", width, low=320)
    check_range("height", height, low=240)
    return _frames(history, width, height)


def _frames(history: PathHistory, width: int, height: int) -> Iterator[Picture]:
    from PIL import Image

    painter = _Painter(history, width, height)
    for number in range(len(history)):
        drawn = painter.draw(number)
        yield np.asarray(drawn.resize((width, height), Image.Resampling.LANCZOS))


class _Painter:
    """Draws rounds at twice the size, so that edges are smooth when it is halved."""

    def __init__(self, history: PathHistory, width: int, height: int) -> None:
        from matplotlib import get_data_path
        from PIL import ImageFont

        self.history, self.width, self.height = history, 2 * width, 2 * height
        self.what, self.joined = kinds(history).numpy(), on_path(history)
        font = str(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf")
        self.font, self.small = (ImageFont.truetype(font, size) for size in (30, 24))
        self.top, self.chart, self.margin = 100, self.height - 150, 40
        layers, modules = self.what.shape[1:]
        room = self.width - 2 * self.margin - 420, self.chart - 30 - self.top  # beside the legend, above the chart
        self.across, self.down = room[0] / layers, room[1] / modules
        self.unit = min(self.across, self.down)
        self.across = min(self.across, 2 * APART * self.unit)

    def at(self, layer: int, module: int) -> tuple[float, float]:
        """Where a module stands."""
        return self.margin + self.unit / 2 + layer * self.across, self.top + (module + 0.5) * self.down

    def draw(self, number: int) -> Image:
        """A round."""
        from PIL import Image, ImageDraw

        history, stage = self.history, int(self.history.stage[number])
        image = Image.new("RGB", (self.width, self.height), "white")
        pen = ImageDraw.Draw(image)
        fitness = float(history.fitness[number])
        title = f"{history.tasks[stage]}    round {number + 1}    fitness {fitness:.3g}"
        pen.text((self.margin, 30), title, fill=INK, font=self.font)
        for layer, one, other in _edges(self.joined[number]):
            pen.line([self.at(layer, one), self.at(layer + 1, other)], fill=EDGE, width=3)
        for (layer, module), kind in np.ndenumerate(self.what[number]):
            self._mark(pen, *self.at(layer, module), int(kind), self.unit)
        left = self.width - self.margin - 370
        for place, (kind, (text, _, _)) in enumerate(KINDS.items()):
            self._mark(pen, left, self.top + 40 + 56 * place, kind, 52)
            pen.text((left + 34, self.top + 40 + 56 * place), text, fill=INK, font=self.small, anchor="lm")
        if history.always_active:
            text, y = "what is frozen takes part", self.top + 40 + 56 * len(KINDS)
            pen.text((left + 34, y), text, fill=INK, font=self.small, anchor="lm")
        self._curve(pen, number)
        return image

    @staticmethod
    def _mark(pen: ImageDraw, x: float, y: float, kind: int, unit: float) -> None:
        size, colour = SIZES[kind] * unit, KINDS[kind][1]
        if kind == FROZEN:
            pen.rectangle([x - size * SQUARE, y - size * SQUARE, x + size * SQUARE, y + size * SQUARE], fill=colour)
        elif kind == REUSED:
            reach = size * SQUARE * 2**0.5
            pen.polygon([(x - reach, y), (x, y - reach), (x + reach, y), (x, y + reach)], fill=colour)
        else:
            pen.ellipse([x - size, y - size, x + size, y + size], fill=colour)

    def _curve(self, pen: ImageDraw, number: int) -> None:
        """Fitness over all rounds up to now, between the lowest and the highest of all."""
        history = self.history
        top, bottom, right = self.chart + 30, self.height - 40, self.width - self.margin
        pen.rectangle([self.margin, top, right, bottom], outline=FAINT, width=2)
        finite = history.fitness[history.fitness.isfinite()]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        rounds = max(len(history) - 1, 1)
        lines: list[list[tuple[float, float]]] = []

        def place(at: int) -> tuple[float, float]:
            share = (float(history.fitness[at]) - low) / ((high - low) or 1.0)
            return self.margin + (right - self.margin) * at / rounds, bottom - 8 - (bottom - top - 16) * share

        for at in range(number + 1):
            if at == 0 or history.stage[at] != history.stage[at - 1]:
                x = self.margin + (right - self.margin) * max(at - 0.5, 0) / rounds
                pen.line([x, top, x, bottom], fill=FAINT, width=2)
                lines.append([])
            if np.isfinite(float(history.fitness[at])):
                lines[-1].append(place(at))
        for line in lines:
            if len(line) > 1:
                pen.line(line, fill=INK, width=4, joint="curve")
        if lines[-1]:
            x, y = lines[-1][-1]
            pen.ellipse([x - 7, y - 7, x + 7, y + 7], fill=KINDS[ACTIVE][1])
        pen.text((self.margin, top - 6), f"fitness, {low:.3g} to {high:.3g}", fill=INK, font=self.small, anchor="lb")


def _check(history: PathHistory) -> None:
    require("matplotlib", "view")
    if not len(history):
        raise ArgumentError("history: expected one round or more; got none")
