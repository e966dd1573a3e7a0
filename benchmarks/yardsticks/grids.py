"""Many pictures as one PNG, small enough to be kept in the repository."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

COLUMNS = 16
GAP = 2
SHADES = 256


def save_grid(pictures: Tensor, path: Path) -> None:
    """Write pictures (n, 3, h, w) from 0 to 1 side by side, at their own size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = to_pil_image(make_grid(pictures, nrow=COLUMNS, padding=GAP, pad_value=1.0))
    # A third of the file's size, and nobody sees it.
    sheet.quantize(SHADES).save(path, optimize=True)
