"""The comparison as a Markdown table with what one must know to read it."""

from __future__ import annotations

from .results import Row, Spread

HEADER = ("variant", "seconds", "FLOPs", "full + adaptor", "PSNR (dB)", "SSIM")
EXACT = "exact"


def markdown_table(rows: list[Row], notes: list[str]) -> str:
    """A line for each row, and below it a sentence for each note and each remark on a row."""
    with_lpips = any(row.lpips is not None for row in rows)
    header = [*HEADER, *(["LPIPS"] if with_lpips else [])]
    lines = [header, [":---", *["---:"] * (len(header) - 1)], *(_cells(row, with_lpips) for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    remarks = [f"{row.variant.name}: {remark}" for row in rows for remark in row.remarks]
    return "\n".join([table, "", *(f"- {sentence}" for sentence in [*notes, *remarks])])


def _cells(row: Row, with_lpips: bool) -> list[str]:
    return [
        row.variant.name,
        f"{row.seconds:.2f} ({row.seconds_percent:.0f}%)",
        percent(row.flops_percent),
        f"{row.full} + {row.adaptor}",
        spread(row.psnr, 1),
        spread(row.ssim, 3),
        *([spread(row.lpips, 3) if row.lpips else ""] if with_lpips else []),
    ]


def percent(value: float | None) -> str:
    """A share of the uncached run's compute."""
    return "not counted" if value is None else f"{value:.0f}%"


def spread(value: Spread, digits: int) -> str:
    """Such as "31.2 ± 0.8", "exact", or both where only some pictures equal their references."""
    if value.mean is None:
        return EXACT
    deviation = "" if value.deviation is None else f" ± {value.deviation:.{digits}f}"
    exact = f" ({value.exact} of {value.pictures} {EXACT})" if value.exact else ""
    return f"{value.mean:.{digits}f}{deviation}{exact}"
