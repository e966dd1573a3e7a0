"""A picture of a run: seconds of each evaluation, coloured by kind, and the line of its FLOPs.

Drawn with Pillow, which the host has; twice as large and scaled down, for smooth edges.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 768, 400
SCALE = 2

BACKGROUND, GRID, TEXT, FAINT = "#1f2127", "#363a44", "#e8e8ea", "#a3a7b1"
COLORS = {"full": "#5b9bff", "adaptor": "#f0b252"}
FLOPS_COLOR = "#6fd08c"
NAMES = {"full": "full pass", "adaptor": "with the adaptor"}

LEFT, RIGHT, TOP, BOTTOM = 70, 70, 92, 52
FEWEST_TICKS = 4
# A first evaluation that loads and compiles would make all others flat: taller bars are cut off, with their value.
TALLEST = 2.0
HEADROOM = 1.12


@dataclass(frozen=True)
class Axis:
    """Values from 0 to `top` on the height of the plot, in pixels."""

    top: float

    def y(self, value: float) -> float:
        height = HEIGHT - TOP - BOTTOM
        return TOP + height * (1.0 - min(value / self.top, 1.0))

    def ticks(self) -> list[float]:
        """Round values from 0 to the top."""
        power = 10.0 ** math.floor(math.log10(self.top / FEWEST_TICKS))
        step = max(factor * power for factor in (1, 2, 5) if factor * power <= self.top / FEWEST_TICKS)
        return [index * step for index in range(int(self.top / step) + 1)]


class Canvas:
    """Draws in the coordinates of the finished picture."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: list[tuple[float, float]], color: str, width: float = 1.0) -> None:
        self._draw.line([(x * SCALE, y * SCALE) for x, y in points], fill=color, width=round(width * SCALE))

    def box(self, left: float, top: float, right: float, bottom: float, color: str) -> None:
        self._draw.rectangle([left * SCALE, top * SCALE, right * SCALE, bottom * SCALE], fill=color)

    def text(self, x: float, y: float, words: str, color: str = TEXT, size: int = 14, anchor: str = "lm") -> None:
        font = ImageFont.load_default(size * SCALE)
        self._draw.text((x * SCALE, y * SCALE), words, fill=color, font=font, anchor=anchor)

    def width_of(self, words: str, size: int) -> float:
        return self._draw.textlength(words, font=ImageFont.load_default(size * SCALE)) / SCALE

    def finish(self) -> Image.Image:
        return self._image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


@functools.lru_cache(maxsize=4)
def draw_message(message: str) -> Image.Image:
    """A picture of the same size that says why there is no timeline; one sentence a line."""
    canvas = Canvas()
    sentences = message.replace(": ", ":\n").splitlines()
    for index, sentence in enumerate(sentences):
        canvas.text(WIDTH / 2, HEIGHT / 2 + 26 * (index - (len(sentences) - 1) / 2), sentence, FAINT, 16, "mm")
    return canvas.finish()


def draw_timeline(report: Mapping[str, Any]) -> Image.Image:
    """The picture (RGB, WIDTH x HEIGHT) of a report as `RunReport.to_dict` gives it."""
    evaluations = [each for each in report["per_evaluation"] if each["seconds"] is not None]
    if not evaluations:
        return draw_message("No data yet: the run ended before its first evaluation.")
    canvas = Canvas()
    _headline(canvas, report)
    seconds = _seconds_axis(evaluations)
    flops = _flops_axis(evaluations, seconds)
    _grid(canvas, seconds, flops)
    _bars(canvas, evaluations, seconds)
    if flops is not None:
        _flops_line(canvas, evaluations, flops)
    _evaluation_numbers(canvas, len(evaluations))
    _legend(canvas, flops is not None)
    return canvas.finish()


def _headline(canvas: Canvas, report: Mapping[str, Any]) -> None:
    title = f"{report['evaluations']} evaluations: {report['full']} full + {report['adaptor_evaluations']} adaptor"
    canvas.text(LEFT, 24, title if report["finished"] else f"{title} (stopped before its end)", size=18)
    parts = [f"{report['model']}, {report['schedule']}, {report['adaptor']}", f"{report['seconds']:.2f} s"]
    if (saved := report["seconds_saved_estimate"]) is not None and saved > 0:
        parts.append(f"about {saved:.2f} s saved")
    if report["flops_saved_percent"] is not None:
        parts.append(f"{report['flops_saved_percent']:.0f}% of FLOPs saved")
    canvas.text(LEFT, 47, "   ·   ".join(parts), FAINT, 13)


def _seconds_axis(evaluations: list[Mapping[str, Any]]) -> Axis:
    tallest = max(each["seconds"] for each in evaluations)
    return Axis(HEADROOM * max(min(tallest, TALLEST * _usual_full(evaluations, "seconds")), 1e-6))


def _flops_axis(evaluations: list[Mapping[str, Any]], seconds: Axis) -> Axis | None:
    """Scaled so that full passes meet the line: an adaptor pass above it takes longer than its FLOPs promise."""
    if any(each["flops"] is None for each in evaluations):
        return None
    return Axis(seconds.top * _usual_full(evaluations, "flops") / _usual_full(evaluations, "seconds"))


def _usual_full(evaluations: list[Mapping[str, Any]], quantity: str) -> float:
    return statistics.median(each[quantity] for each in evaluations if each["kind"] == "full")


def _grid(canvas: Canvas, seconds: Axis, flops: Axis | None) -> None:
    for value in seconds.ticks():
        y = seconds.y(value)
        canvas.line([(LEFT, y), (WIDTH - RIGHT, y)], GRID)
        canvas.text(LEFT - 8, y, f"{value:.3g}", FAINT, 12, "rm")
    canvas.text(LEFT - 8, TOP - 18, "seconds", FAINT, 12, "rm")
    if flops is None:
        return
    unit, name = _flops_unit(flops.top)
    for value in flops.ticks():
        canvas.text(WIDTH - RIGHT + 8, flops.y(value), f"{value / unit:.3g}", FLOPS_COLOR, 12)
    canvas.text(WIDTH - RIGHT + 8, TOP - 18, name, FLOPS_COLOR, 12)


def _flops_unit(top: float) -> tuple[float, str]:
    return (1e12, "TFLOPs") if top >= 1e12 else (1e9, "GFLOPs")


def _slot(index: int, count: int) -> tuple[float, float]:
    """Left and right end of an evaluation's place."""
    width = (WIDTH - LEFT - RIGHT) / count
    return LEFT + index * width, LEFT + (index + 1) * width


def _bars(canvas: Canvas, evaluations: list[Mapping[str, Any]], axis: Axis) -> None:
    for index, each in enumerate(evaluations):
        left, right = _slot(index, len(evaluations))
        gap = min(0.15 * (right - left), 3.0)
        canvas.box(left + gap, axis.y(each["seconds"]), right - gap, axis.y(0.0), COLORS[each["kind"]])
        if each["seconds"] > axis.top:
            canvas.text(max((left + right) / 2, LEFT + 20), TOP - 8, f"{each['seconds']:.2f} s", TEXT, 11, "mm")


def _flops_line(canvas: Canvas, evaluations: list[Mapping[str, Any]], axis: Axis) -> None:
    points = []
    for index, each in enumerate(evaluations):
        y = axis.y(each["flops"])
        points += [(x, y) for x in _slot(index, len(evaluations))]
    canvas.line(points, FLOPS_COLOR, 2.0)


def _evaluation_numbers(canvas: Canvas, count: int) -> None:
    y = HEIGHT - BOTTOM + 12
    for index in range(0, count, max(1, -(-count // 20))):
        canvas.text(sum(_slot(index, count)) / 2, y, str(index + 1), FAINT, 12, "mm")
    canvas.text(LEFT, HEIGHT - 18, "evaluation", FAINT, 12)


def _legend(canvas: Canvas, with_flops: bool) -> None:
    entries = [(NAMES[kind], color) for kind, color in COLORS.items()]
    if with_flops:
        entries.append(("FLOPs of the UNet", FLOPS_COLOR))
    x = WIDTH - RIGHT
    for words, color in reversed(entries):
        x -= canvas.width_of(words, 12)
        canvas.text(x, HEIGHT - 18, words, TEXT, 12)
        x -= 18
        canvas.box(x, HEIGHT - 23, x + 11, HEIGHT - 12, color)
        x -= 16
