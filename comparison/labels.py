"""Puts names beside points so that they cover neither each other nor a point."""

from __future__ import annotations

from collections.abc import Sequence

from .canvas import Box

Place = tuple[float, float]

# Where a name may stand, as the shift of its box's centre from the point, in half sizes: the best first.
SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))
RINGS = (1.0, 1.8, 2.8)


def place_labels(points: Sequence[Place], sizes: Sequence[Place], distance: float, frame: Box) -> list[Place]:
    """The upper left corner of each name's box, of the given size (width, height).

    distance: from a point to the edge of its name. Greedy, in the order of the points; where there is no free
    place, the one that covers least.
    """
    taken = [_around(point, distance * 0.75) for point in points]
    corners = []
    for point, size in zip(points, sizes, strict=True):
        boxes = [_box(point, size, distance * ring, side) for ring in RINGS for side in SIDES]
        best = min(boxes, key=lambda box: _covered(box, taken) + _outside(box, frame))
        taken.append(best)
        corners.append(best[:2])
    return corners


def _around(point: Place, radius: float) -> Box:
    return point[0] - radius, point[1] - radius, point[0] + radius, point[1] + radius


def _box(point: Place, size: Place, distance: float, side: tuple[int, int]) -> Box:
    x = point[0] + side[0] * (distance + size[0] / 2)
    y = point[1] + side[1] * (distance + size[1] / 2)
    if side[0] and side[1]:
        # Diagonally a name may come nearer.
        x, y = x - side[0] * distance * 0.5, y - side[1] * distance * 0.5
    return x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2


def _covered(box: Box, taken: Sequence[Box]) -> float:
    return sum(_overlap(box, other) for other in taken)


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _outside(box: Box, frame: Box) -> float:
    """The area of a box that lies outside the frame."""
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)
