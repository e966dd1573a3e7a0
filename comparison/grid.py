"""The pictures side by side: one row a seed, one column a variant, the uncached run first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from .canvas import INK, PALE_INK, blank, fitted, font
from .results import Row
from .table import EXACT, percent

# Of a cell's longer side, in pixels: smaller pictures are enlarged by a whole number, larger ones shrunk.
LARGEST_CELL = 384
SMALLEST_CELL = 192
LONGEST_SIDE = 8192
GAP = 12
MARGIN = 28
NAME_SIZE = 20
FACT_SIZE = 15
LINE_SPACING = 1.35


def thumbnail(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) from 0 to 1 at the size of the largest cell."""
    pixels = (picture.movedim(0, -1).cpu().numpy() * 255.0).round().astype(np.uint8)
    return _resized(Image.fromarray(pixels), LARGEST_CELL)


def draw_grid(rows: Sequence[Row], seeds: Sequence[int], thumbnails: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """thumbnails: of each seed, a picture of each row."""
    largest = max(thumbnails[0][0].size)
    side = min(largest, LONGEST_SIDE // max(len(rows), len(seeds)))
    cells = [[_resized(picture, side) for picture in pictures] for pictures in thumbnails]
    width, height = cells[0][0].size
    column, header = max(width, SMALLEST_CELL), _line(NAME_SIZE) + 2 * _line(FACT_SIZE) + GAP // 2
    row_height = height + _line(FACT_SIZE) + GAP
    image, draw = blank(
        2 * MARGIN + len(rows) * (column + GAP) - GAP, 2 * MARGIN + header + len(seeds) * row_height - GAP
    )
    for index, row in enumerate(rows):
        left = MARGIN + index * (column + GAP)
        lines = [(row.variant.name, NAME_SIZE, INK), *((fact, FACT_SIZE, PALE_INK) for fact in _facts(row))]
        top = MARGIN
        for text, size, colour in lines:
            draw.text((left, top), fitted(text, column, size), colour, font(size))
            top += _line(size)
        for number, pictures in enumerate(cells):
            image.paste(pictures[index], (left, MARGIN + header + number * row_height + _line(FACT_SIZE)))
    for number, seed in enumerate(seeds):
        draw.text((MARGIN, MARGIN + header + number * row_height), f"seed {seed}", PALE_INK, font(FACT_SIZE))
    return image


def _facts(row: Row) -> tuple[str, str]:
    likeness = EXACT if row.psnr.mean is None else f"{row.psnr.mean:.1f} dB"
    return f"{likeness} · SSIM {row.ssim.mean:.3f}", f"{row.seconds:.2f} s · FLOPs {percent(row.flops_percent)}"


def _line(size: int) -> int:
    return round(size * LINE_SPACING)


def _resized(picture: Image.Image, side: int) -> Image.Image:
    """With a longer side of at most `side`; small ones enlarged without blurring their pixels."""
    longest = max(picture.size)
    if longest > side:
        size = [max(1, round(length * side / longest)) for length in picture.size]
        return picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    factor = side // longest
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
