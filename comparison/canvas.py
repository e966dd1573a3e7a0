"""Colours and type of the pictures that we draw, with Pillow alone: legible on light and dark pages."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

GROUND = "#e9e8e4"
INK = "#1d2025"
PALE_INK = "#5d636c"
LINE = "#c4c3bd"
ACCENT = "#b5481f"

Box = tuple[float, float, float, float]  # left, top, right, bottom


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The typeface that comes with Pillow; it has Latin letters, ±, · and …, but no minus, dash or arrow."""
    return ImageFont.load_default(size)


def blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty picture, and what draws on it."""
    image = Image.new("RGB", (width, height), GROUND)
    return image, ImageDraw.Draw(image)


def fitted(text: str, width: int, size: int) -> str:
    """`text`, cut short with an ellipsis where it is wider than `width` pixels."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def fitting_size(text: str, width: int, largest: int, smallest: int) -> int:
    """The largest size at which `text` is no wider than `width` pixels; `smallest` if there is none."""
    sizes = range(largest, smallest, -1)
    return next((size for size in sizes if font(size).getlength(text) <= width), smallest)


def to_tensor(image: Image.Image) -> torch.Tensor:
    """As the host's IMAGE: (1, H, W, 3) from 0 to 1."""
    return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255.0)[None]
