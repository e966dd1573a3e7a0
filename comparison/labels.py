"""Puts names beside points so that they cover neither each other nor a point nor a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from .canvas import Box

Place = tuple[float, float]

# Where a name may stand, as the shift of its box's centre from the point, in half sizes: the best first.
SIDES = (
    *((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)),
    *((1, -0.5), (1, 0.5), (-1, -0.5), (-1, 0.5), (0.5, -1), (-0.5, -1), (0.5, 1), (-0.5, 1)),
)
# How far off, in the nearest distance; a further place must spare this much cover, in pixels, for each ring.
RINGS = (1.0, 1.8, 2.8, 4.0, 5.5)
COST_OF_RING = 80.0
# A line is a chain of dots of this radius; a name on a line is still legible.
DOT = 4.0
LINE_WEIGHT = 0.5
PASSES = 3


def place_labels(
    points: Sequence[Place], sizes: Sequence[Place], distance: float, frame: Box, line: Sequence[Place] = ()
) -> list[Box]:
    """A box inside `frame` for each name, of the given size (width, height).

    distance: from a point to the edge of its name. line: corners of a line to keep clear as well. One name after the
    other takes the place where it covers least, a few times over, so that the first ones see the last ones too.
    """
    marks = [_around(point, distance * 0.75) for point in points]
    dots = [_around(dot, DOT) for dot in _dots(line)]
    placed: dict[int, Box] = {}
    for _ in range(PASSES):
        for index, (point, size) in enumerate(zip(points, sizes, strict=True)):
            others = marks + [box for other, box in placed.items() if other != index]
            candidates = {
                box: ring * COST_OF_RING + _covered(box, others) + LINE_WEIGHT * _covered(box, dots)
                for ring, box in _boxes(point, size, distance)
                if _overlap(box, frame) >= 0.999 * size[0] * size[1]
            }
            placed[index] = min(candidates, key=lambda box: candidates[box])
    return [placed[index] for index in range(len(points))]


def nearest(box: Box, point: Place) -> Place:
    """The place of a box that is nearest to a point."""
    return min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3])


def _boxes(point: Place, size: Place, distance: float) -> Iterator[tuple[int, Box]]:
    """Where a name may stand, with the number of the ring."""
    for ring, factor in enumerate(RINGS):
        for across, down in SIDES:
            x = point[0] + across * (factor * distance + size[0] / 2)
            y = point[1] + down * (factor * distance + size[1] / 2)
            yield ring, (x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)


def _dots(line: Sequence[Place]) -> list[Place]:
    """Places along a line, a few pixels apart."""
    dots = []
    for start, end in pairwise(line):
        count = max(1, int(math.dist(start, end) / (2 * DOT)))
        shares = [index / count for index in range(count + 1)]
        dots += [(start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])) for share in shares]
    return dots


def _around(point: Place, radius: float) -> Box:
    return point[0] - radius, point[1] - radius, point[0] + radius, point[1] + radius


def _covered(box: Box, others: Sequence[Box]) -> float:
    return sum(_overlap(box, other) for other in others)


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0
