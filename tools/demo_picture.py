"""Puts the demo's pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

GROUND = "#fbfaf7"
INK = "#22252b"
PALE_INK = "#6b7078"

PICTURE = 128  # a whole number of screen pixels for each of the pocket model's 64
SEAM = 4
GAP = 20
MARGIN = 36
CAPTION_SIZE = 26
LABEL_SIZE = 17

Row = tuple[str, Sequence[Sequence[Image.Image]]]


def sheet(rows: Sequence[Row], labels: Sequence[str]) -> Image.Image:
    """One picture of all: each row has a caption and, for each label (its column), some pictures."""
    blocks = [[_block(pictures) for pictures in columns] for _, columns in rows]
    width, height = blocks[0][0].size
    row_height = CAPTION_SIZE + GAP // 2 + height
    total = Image.new(
        "RGB",
        (
            2 * MARGIN + len(labels) * width + (len(labels) - 1) * GAP,
            2 * MARGIN + len(rows) * row_height + (len(rows) - 1) * GAP + GAP + _label_height(labels),
        ),
        GROUND,
    )
    draw = ImageDraw.Draw(total)
    for number, (caption, _) in enumerate(rows):
        top = MARGIN + number * (row_height + GAP)
        draw.text((MARGIN, top), caption, INK, ImageFont.load_default(CAPTION_SIZE), anchor="lt")
        for column, block in enumerate(blocks[number]):
            total.paste(block, (MARGIN + column * (width + GAP), top + row_height - height))
    for column, label in enumerate(labels):
        place = (MARGIN + column * (width + GAP) + width // 2, total.height - MARGIN - _label_height(labels))
        draw.multiline_text(place, label, PALE_INK, ImageFont.load_default(LABEL_SIZE), anchor="ma", align="center")
    return total


def grid(columns: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """The same without words."""
    blocks = [_block(pictures) for pictures in columns]
    width, height = blocks[0].size
    total = Image.new("RGB", (len(blocks) * (width + SEAM) - SEAM, height), GROUND)
    for number, block in enumerate(blocks):
        total.paste(block, (number * (width + SEAM), 0))
    return total


def _block(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures two abreast, at a pleasing size and with sharp pixels."""
    across = 1 if len(pictures) == 1 else 2
    down = -(-len(pictures) // across)
    step = PICTURE + SEAM
    block = Image.new("RGB", (across * step - SEAM, down * step - SEAM), GROUND)
    for number, picture in enumerate(pictures):
        enlarged = picture.resize((PICTURE, PICTURE), Image.Resampling.NEAREST)
        block.paste(enlarged, (number % across * step, number // across * step))
    return block


def _label_height(labels: Sequence[str]) -> int:
    lines = max(label.count("\n") + 1 for label in labels)
    return round(lines * LABEL_SIZE * 1.4)
