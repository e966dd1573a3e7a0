"""A picture of how a training went."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from ..comparison.canvas import to_tensor

WIDTH, HEIGHT = 800, 480
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 40
UPDATES, HELD_OUT, IDENTITY = "#9ecae1", "#08519c", "#999999"
SMALLEST = 1e-6


def loss_plot(losses: Sequence[float], checks: Sequence[tuple[int, float]]) -> Tensor:
    """An IMAGE (1, 480, 800, 3) in 0 .. 1, the error on a logarithmic scale.

    losses: of each update. checks: iteration and error of each check on held-out prompts.
    """
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    held_out = list(checks)
    axes = _Axes(len(losses), [*losses, *(error for _, error in held_out), 1.0])
    _draw_frame(draw, axes)
    _draw_line(draw, [axes.point(index + 1, loss) for index, loss in enumerate(losses)], UPDATES, 1)
    marks = [axes.point(iteration, error) for iteration, error in held_out]
    _draw_line(draw, marks, HELD_OUT, 3)
    for x, y in marks:
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=HELD_OUT)
    return to_tensor(image)


class _Axes:
    """Where an iteration and an error lie in the picture."""

    def __init__(self, iterations: int, values: Sequence[float]) -> None:
        logarithms = [math.log10(max(value, SMALLEST)) for value in values if math.isfinite(value)]
        self.iterations = max(1, iterations)
        self.low, self.high = min(logarithms) - 0.05, max(logarithms) + 0.05

    def point(self, iteration: int, value: float) -> tuple[float, float]:
        logarithm = math.log10(max(value, SMALLEST)) if math.isfinite(value) else self.high
        x = LEFT + (WIDTH - LEFT - RIGHT) * iteration / self.iterations
        y = TOP + (HEIGHT - TOP - BOTTOM) * (self.high - logarithm) / (self.high - self.low)
        return x, y


def _draw_frame(draw: ImageDraw.ImageDraw, axes: _Axes) -> None:
    draw.rectangle((LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM), outline="black")
    y = axes.point(0, 1.0)[1]
    draw.line((LEFT, y, WIDTH - RIGHT, y), fill=IDENTITY)
    draw.text((LEFT, 12), "error, 1 = the identity's (grey); light: updates, dark: held-out prompts", fill="black")
    for logarithm in (axes.low, axes.high):
        draw.text((8, axes.point(0, 10**logarithm)[1] - 6), f"{10**logarithm:.3g}", fill="black")
    draw.text((8, y - 6), "1", fill="black")
    draw.text((LEFT, HEIGHT - 28), f"0 to {axes.iterations} iterations", fill="black")


def _draw_line(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], colour: str, width: int) -> None:
    if len(points) > 1:
        draw.line(points, fill=colour, width=width)
