"""The weights of a living network as a picture, beside its body."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import colormaps, get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]

BACK, INK, FAINT = (18, 18, 22), (235, 235, 235), (110, 110, 120)
LINES = [tuple(int(255 * c) for c in colormaps["Set2"](i)[:3]) for i in range(8)]
DIVERGING = (255 * colormaps["RdBu_r"](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
FONT = ImageFont.truetype(str(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size=12)  # it has → and −
MARGIN, TEXT, CHART = 12, 18, 90


class WeightPanel:
    """Draws each layer's W [O, I] as a map (blue negative, red positive) over a chart of how far it went.

    Args:
        width, height: of the panel, in pixels.
        initial: layer -> W [O, I] at birth.
        steps: the time axis, in steps at most.
    """

    def __init__(self, width: int, height: int, initial: Mapping[str, NDArray[np.float32]], steps: int) -> None:
        self.width, self.height, self.steps = width, height, max(steps, 1)
        self.initial = {name: weights.copy() for name, weights in initial.items()}
        self.limit = dict.fromkeys(initial, 1e-6)
        self.times: list[int] = []
        self.change: dict[str, list[float]] = {name: [] for name in initial}

    def draw(self, step: int, weights: Mapping[str, NDArray[np.float32]], text: str) -> Picture:
        """The panel [height, width, 3] after ``step`` steps."""
        self.times.append(step)
        image = Image.new("RGB", (self.width, self.height), BACK)
        pen = ImageDraw.Draw(image)
        pen.text((MARGIN, MARGIN - 4), text, fill=INK, font=FONT)
        wide = self.width - 2 * MARGIN
        top, room = MARGIN + TEXT, self.height - MARGIN - TEXT - CHART - 2 * MARGIN - TEXT
        each = room // len(weights)
        for name, matrix in weights.items():
            with np.errstate(invalid="ignore"):
                self.change[name].append(float(np.abs(matrix - self.initial[name]).mean()))
            finite = np.abs(matrix[np.isfinite(matrix)])
            limit = self.limit[name] = max(self.limit[name], float(np.quantile(finite, 0.99)) if len(finite) else 0)
            outputs, inputs = matrix.shape
            label = f"{name}: {inputs} → {outputs}, within ±{limit:.2g}"
            pen.text((MARGIN, top), label, fill=LINES[list(weights).index(name) % 8], font=FONT)
            index = (127.5 * (1 + np.clip(np.nan_to_num(matrix), -limit, limit) / limit)).astype(np.uint8)
            high = max(1, each - TEXT - 6)
            image.paste(
                Image.fromarray(DIVERGING[index]).resize((wide, high), Image.Resampling.BOX), (MARGIN, top + TEXT)
            )
            top += each
        self._chart(pen, self.height - CHART - MARGIN, wide)
        return np.asarray(image)

    def _chart(self, pen: ImageDraw.ImageDraw, top: int, wide: int) -> None:
        pen.text((MARGIN, top - TEXT), "mean |W − W at birth|", fill=INK, font=FONT)
        pen.rectangle((MARGIN, top, MARGIN + wide, top + CHART), outline=FAINT)
        highest = max((value for line in self.change.values() for value in line if np.isfinite(value)), default=0)
        for number, line in enumerate(self.change.values()):
            points = [
                (MARGIN + wide * time / self.steps, top + CHART - (CHART - 4) * value / (highest or 1))
                for time, value in zip(self.times, line, strict=True)
                if np.isfinite(value)
            ]
            if len(points) > 1:
                pen.line(points, fill=LINES[number % 8], width=2)
