"""Rows of a comparison as they might have been measured."""

from __future__ import annotations

from clockwork_pack.comparison.results import Row, Spread
from clockwork_pack.comparison.variants import UNCACHED, Variant, parse_variants

EXACT = Spread(None, None, 2, 2)


def made_up_row(line: str, percent: float | None = 50.0, psnr: float | Spread = 30.0, **changes) -> Row:
    """The row of a variant's line; psnr: the mean, with a deviation of 1 over two pictures."""
    spread = psnr if isinstance(psnr, Spread) else Spread(psnr, 1.0, 0, 2)
    seconds = 4.0 if percent is None else 0.04 * percent
    values = {
        "variant": variant_of(line),
        "steps": 20,
        "seconds": seconds,
        "seconds_of_seeds": (seconds, seconds),
        "seconds_percent": 25 * seconds,
        "flops": None if percent is None else round(10 * percent),
        "flops_percent": percent,
        "full": 10,
        "adaptor": 10,
        "psnr": spread,
        "ssim": Spread(0.9, 0.01, 0, 2),
        "lpips": None,
        "remarks": (),
    }
    return Row(**{**values, **changes})


def uncached_row(**changes) -> Row:
    exact = {"psnr": EXACT, "ssim": Spread(1.0, 0.0, 0, 2), "full": 20, "adaptor": 0}
    return made_up_row("none", 100.0, **{**exact, **changes})


def variant_of(line: str) -> Variant:
    return UNCACHED if line == "none" else parse_variants(line, 20)[1]
