"""Cost against likeness: who is nearer to the uncached pictures for the same compute (a Pareto plot)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .canvas import ACCENT, GROUND, INK, LINE, PALE_INK, Box, blank, fitted, font
from .labels import nearest, place_labels
from .results import Row
from .table import EXACT
from .variants import UNCACHED

SIZE = (1200, 760)
# Room for the axes' names and numbers around the frame: left, top, right, bottom.
FRAME: Box = (96.0, 92.0, SIZE[0] - 40.0, SIZE[1] - 84.0)
# Between the top of the frame and the highest finite value there is a band for pictures that are exact.
EXACT_BAND = 64.0
TITLE_SIZE, LABEL_SIZE, TICK_SIZE = 24, 18, 16
LONGEST_LABEL = 320
RADIUS = 8.0
NAME_DISTANCE = 14.0
TICKS = 6
# Lines that pass behind a name stop short of it.
HALO = 3
HOLLOW = "hollow: another variant is as near for no more cost"


@dataclass(frozen=True)
class Point:
    """A variant in the plot. value: None for exact pictures. deviation: half the length of its bar."""

    name: str
    cost: float
    value: float | None
    deviation: float | None
    fewer_steps: bool
    best: bool


def points_of(rows: Sequence[Row]) -> list[Point]:
    """A point for each row whose pictures could be compared.

    best: no other one costs no more and is at least as near, being better in one of both (the Pareto front).
    """
    by_flops = counted(rows)
    places = {row: (_cost(row, by_flops), _height(row)) for row in rows if not math.isnan(_height(row))}
    return [
        Point(
            name=row.variant.name,
            cost=cost,
            value=None if math.isinf(height) else height,
            deviation=row.psnr.deviation,
            fewer_steps=row.variant.is_fewer_steps,
            best=not any(_dominates(other, (cost, height)) for other in places.values()),
        )
        for row, (cost, height) in places.items()
    ]


def counted(rows: Sequence[Row]) -> bool:
    """Whether the FLOPs of all rows are known; else seconds stand for the cost."""
    return all(row.flops_percent is not None for row in rows)


def _cost(row: Row, by_flops: bool) -> float:
    return row.flops_percent if by_flops and row.flops_percent is not None else row.seconds_percent


def _height(row: Row) -> float:
    return math.inf if row.psnr.mean is None else row.psnr.mean


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] >= other[1]


def draw_plot(rows: Sequence[Row], settings: str, on_latents: bool) -> Image.Image:
    """The plot of all rows. settings: what they have in common, in a line."""
    points = points_of(rows)
    axes = _Axes.around(points)
    image, draw = blank(*SIZE)
    cost = "FLOPs" if counted(rows) else "seconds"
    kind = "latents" if on_latents else "pictures"
    _draw_words(draw, f"cost: {cost}, % of the uncached run", f"PSNR of {kind}, dB", settings)
    _draw_legend(draw)
    _draw_axes(draw, axes)
    peers = _peer_line(axes, points)
    draw.line(peers, PALE_INK, 3, joint="curve")
    # Names first, so that the lines that lead to them end under the marks.
    _draw_names(draw, axes, points, peers)
    for point in points:
        _draw_point(draw, axes, point)
    return image


@dataclass(frozen=True)
class _Axes:
    """Where a cost and a value lie in the frame. costs, values: from the lowest to the highest shown."""

    costs: tuple[float, float]
    values: tuple[float, float]

    @classmethod
    def around(cls, points: Sequence[Point]) -> _Axes:
        costs = [point.cost for point in points] or [100.0]
        ends = [
            point.value + sign * (point.deviation or 0.0)
            for point in points
            if point.value is not None
            for sign in (-1, 1)
        ] or [30.0]
        return cls(_widened(min(costs), max(costs), 0.08), _widened(min(ends), max(ends), 0.08))

    def x(self, cost: float) -> float:
        low, high = self.costs
        return FRAME[0] + (cost - low) / (high - low) * (FRAME[2] - FRAME[0])

    def y(self, value: float | None) -> float:
        """None: the line for exact pictures."""
        if value is None:
            return FRAME[1] + EXACT_BAND / 2
        low, high = self.values
        return FRAME[3] - (value - low) / (high - low) * (FRAME[3] - FRAME[1] - EXACT_BAND)

    def place(self, point: Point) -> tuple[float, float]:
        return self.x(point.cost), self.y(point.value)


def _widened(low: float, high: float, share: float) -> tuple[float, float]:
    margin = max(share * (high - low), 1.0)
    return low - margin, high + margin


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` of them."""
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [index * step for index in range(first, last + 1)]


def _draw_words(draw: ImageDraw.ImageDraw, across: str, up: str, settings: str) -> None:
    title = "Likeness to the uncached run, and cost"
    draw.text((FRAME[0], 20), title, INK, font(TITLE_SIZE))
    left = FRAME[0] + font(TITLE_SIZE).getlength(title) + 24
    draw.text((FRAME[2], 27), fitted(settings, int(FRAME[2] - left), TICK_SIZE), PALE_INK, font(TICK_SIZE), anchor="ra")
    draw.text((FRAME[0], 58), up, PALE_INK, font(TICK_SIZE))
    draw.text((FRAME[2], SIZE[1] - 42), across, PALE_INK, font(TICK_SIZE), anchor="ra")
    draw.text((FRAME[0], SIZE[1] - 42), HOLLOW, PALE_INK, font(TICK_SIZE))


def _draw_legend(draw: ImageDraw.ImageDraw) -> None:
    right = FRAME[2]
    for name, colour, shape in (
        ("uncached", INK, "circle"),
        ("fewer steps", PALE_INK, "circle"),
        ("Clockwork", ACCENT, "square"),
    ):
        right -= font(TICK_SIZE).getlength(name)
        draw.text((right, 58), name, INK, font(TICK_SIZE))
        _mark(draw, (right - 16, 58 + TICK_SIZE / 2 + 1), 6, colour, shape, filled=True)
        right -= 52


def _draw_axes(draw: ImageDraw.ImageDraw, axes: _Axes) -> None:
    for cost in ticks(*axes.costs, TICKS):
        draw.line((axes.x(cost), FRAME[1], axes.x(cost), FRAME[3]), LINE)
        draw.text((axes.x(cost), FRAME[3] + 8), f"{cost:g}%", PALE_INK, font(TICK_SIZE), anchor="ma")
    for value in ticks(*axes.values, TICKS):
        draw.line((FRAME[0], axes.y(value), FRAME[2], axes.y(value)), LINE)
        draw.text((FRAME[0] - 10, axes.y(value)), f"{value:g}", PALE_INK, font(TICK_SIZE), anchor="rm")
    draw.line((FRAME[0], axes.y(None), FRAME[2], axes.y(None)), PALE_INK)
    draw.text((FRAME[0] - 10, axes.y(None)), EXACT, INK, font(TICK_SIZE), anchor="rm")
    draw.line((FRAME[0], FRAME[3], FRAME[2], FRAME[3]), PALE_INK, 2)
    draw.line((FRAME[0], FRAME[1], FRAME[0], FRAME[3]), PALE_INK, 2)


def _peer_line(axes: _Axes, points: Sequence[Point]) -> list[tuple[float, float]]:
    """What anybody can do without Clockwork: a variant below this line is not worth its compute."""
    return sorted(axes.place(point) for point in points if point.fewer_steps and point.value is not None)


def _draw_point(draw: ImageDraw.ImageDraw, axes: _Axes, point: Point) -> None:
    x, y = axes.place(point)
    colour, shape = _style(point)
    if point.deviation and point.value is not None:
        top, bottom = (axes.y(point.value + sign * point.deviation) for sign in (1, -1))
        draw.line((x, top, x, bottom), colour, 2)
    _mark(draw, (x, y), RADIUS, colour, shape, point.best)


def _style(point: Point) -> tuple[str, str]:
    if point.fewer_steps:
        return PALE_INK, "circle"
    return (INK, "circle") if point.name == UNCACHED.name else (ACCENT, "square")


def _mark(
    draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, colour: str, shape: str, filled: bool
) -> None:
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    shapes = {"circle": draw.ellipse, "square": draw.rectangle}
    shapes[shape](box, colour if filled else GROUND, colour, 3)


def _draw_names(
    draw: ImageDraw.ImageDraw, axes: _Axes, points: Sequence[Point], line: list[tuple[float, float]]
) -> None:
    names = [fitted(point.name, LONGEST_LABEL, LABEL_SIZE) for point in points]
    sizes = [(font(LABEL_SIZE).getlength(name), LABEL_SIZE * 1.2) for name in names]
    places = [axes.place(point) for point in points]
    boxes = place_labels(places, sizes, NAME_DISTANCE, FRAME, line)
    for point, name, place, box in zip(points, names, places, boxes, strict=True):
        colour, _ = _style(point)
        edge = nearest(box, place)
        if math.dist(edge, place) > 2 * NAME_DISTANCE:
            draw.line((*place, *edge), colour, 1)
        draw.text(box[:2], name, colour, font(LABEL_SIZE), stroke_width=HALO, stroke_fill=GROUND)
