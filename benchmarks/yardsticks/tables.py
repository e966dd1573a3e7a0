"""Rows of measurements as a Markdown table."""

from __future__ import annotations

from typing import Any

COLUMNS = {
    "variant": "variant",
    "full_pass_equivalents": "cost",
    "psnr_converged": "PSNR, converged",
    "psnr_uncached": "PSNR, uncached",
    "ssim_uncached": "SSIM, uncached",
    "prompt_agreement": "agreement",
    "icon_top1": "icon top-1",
    "frechet": "Frechet",
    "gflops_per_picture": "GFLOPs",
    "seconds_per_picture": "s",
}
DIGITS = {"prompt_agreement": 3, "icon_top1": 3, "ssim_uncached": 3, "seconds_per_picture": 3}


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """A line for each row; intervals as "mean (low-high)"."""
    lines = [list(COLUMNS.values()), ["---"] * len(COLUMNS)]
    lines += [[_cell(row.get(name), DIGITS.get(name, 1)) for name in COLUMNS] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    mean, low, high = (f"{each:.{digits}f}" for each in value)
    return f"{mean} ({low}-{high})"
