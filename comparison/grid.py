"""The pictures side by side: one row a seed, one column a variant, the uncached run first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .canvas import INK, PALE_INK, blank, fitted, fitting_size, font
from .results import Row
from .table import EXACT, percent

# Of a picture's longer side, in pixels: smaller ones are enlarged by a whole number, larger ones shrunk.
LARGEST_PICTURE = 384
NARROWEST_COLUMN = 160
LONGEST_SIDE = 8192


def thumbnail(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) from 0 to 1, at the size of the largest that the grid shows."""
    pixels = (picture.nan_to_num().movedim(0, -1).cpu().numpy() * 255.0).round().astype(np.uint8)
    return _resized(Image.fromarray(pixels), LARGEST_PICTURE)


def draw_grid(rows: Sequence[Row], seeds: Sequence[int], thumbnails: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """thumbnails: of each seed, a picture of each row."""
    side = min(max(thumbnails[0][0].size), LONGEST_SIDE // max(len(rows), len(seeds)))
    cells = [[_resized(picture, side) for picture in pictures] for pictures in thumbnails]
    layout = Layout(*cells[0][0].size, len(rows), len(seeds))
    image, draw = blank(*layout.size)
    for index, row in enumerate(rows):
        _draw_header(draw, layout, index, row)
    for number, (seed, pictures) in enumerate(zip(seeds, cells, strict=True)):
        left, top = layout.cell(0, number)
        draw.text((left, top - layout.line), f"seed {seed}", PALE_INK, font(layout.fact_size))
        for index, picture in enumerate(pictures):
            image.paste(picture, layout.cell(index, number))
    return image


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in pixels. Type grows with the pictures, as both shrink together on a screen."""

    width: int
    height: int
    columns: int
    rows: int

    @property
    def column(self) -> int:
        return max(self.width, NARROWEST_COLUMN)

    @property
    def name_size(self) -> int:
        return self.column // 12

    @property
    def fact_size(self) -> int:
        return self.column // 16

    @property
    def line(self) -> int:
        return round(1.4 * self.fact_size)

    @property
    def gap(self) -> int:
        return self.column // 20

    @property
    def margin(self) -> int:
        return self.column // 9

    @property
    def header(self) -> int:
        return round(1.4 * self.name_size) + 2 * self.line + self.gap

    @property
    def size(self) -> tuple[int, int]:
        right, bottom = self.cell(self.columns - 1, self.rows - 1)
        return right + self.column + self.margin, bottom + self.height + self.margin

    def cell(self, column: int, row: int) -> tuple[int, int]:
        """The upper left corner of a picture."""
        top = self.margin + self.header + self.line
        return self.margin + column * (self.column + self.gap), top + row * (self.height + self.line + self.gap)


def _draw_header(draw: ImageDraw.ImageDraw, layout: Layout, index: int, row: Row) -> None:
    left, top = layout.cell(index, 0)[0], layout.margin
    size = fitting_size(row.variant.name, layout.column, layout.name_size, layout.fact_size)
    draw.text((left, top), fitted(row.variant.name, layout.column, size), INK, font(size))
    for number, fact in enumerate(_facts(row)):
        place = (left, top + round(1.4 * layout.name_size) + number * layout.line)
        draw.text(place, fitted(fact, layout.column, layout.fact_size), PALE_INK, font(layout.fact_size))


def _facts(row: Row) -> tuple[str, str]:
    likeness = EXACT if row.psnr.mean is None else f"{row.psnr.mean:.1f} dB"
    return f"{likeness} · SSIM {row.ssim.mean:.3f}", f"{row.seconds:.2f} s · FLOPs {percent(row.flops_percent)}"


def _resized(picture: Image.Image, side: int) -> Image.Image:
    """With a longer side of at most `side`; small ones enlarged without blurring their pixels."""
    longest = max(picture.size)
    if longest > side:
        width, height = (max(1, round(length * side / longest)) for length in picture.size)
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    factor = side // longest
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
