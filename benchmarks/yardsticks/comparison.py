"""Measures variants side by side on the same prompts and seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from ..judge.network import Judge
from .cases import Case
from .intervals import bootstrap
from .measures import agreement, closeness, frechet_distance, latent_errors
from .studio import Drawn, Studio
from .variants import Variant


def compare(
    studio: Studio,
    cases: list[Case],
    variants: list[Variant],
    judge: Judge,
    converged: Tensor,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """A row of plain data for each variant, the uncached ones first.

    converged (n, 3, 64, 64): the pictures of many uncached steps.
    """
    uncached: dict[int, Drawn] = {}
    rows = []
    for variant in sorted(variants, key=lambda each: not each.is_plain):
        drawn = studio.draw(variant.patch(studio.model), cases, variant.steps)
        if variant.is_plain:
            uncached[variant.steps] = drawn
        elif variant.steps not in uncached:
            uncached[variant.steps] = studio.draw(Variant(variant.steps).patch(studio.model), cases, variant.steps)
        rows.append(row(variant, drawn, uncached[variant.steps], cases, judge, converged))
        report(f"{variant.name}: agreement {rows[-1]['prompt_agreement'][0]:.3f}")
    return rows


def row(
    variant: Variant, drawn: Drawn, uncached: Drawn, cases: list[Case], judge: Judge, converged: Tensor
) -> dict[str, Any]:
    """All that is measured on one variant; a measure is [mean, low, high] over the prompts."""
    spent, full = (sum(parts) for parts in zip(*(report.flops() for report in drawn.reports), strict=True))
    values = {
        **agreement(judge, drawn.pictures, cases),
        **_named(closeness(drawn.pictures, converged), "converged"),
    }
    if not variant.is_plain:
        values |= _named(closeness(drawn.pictures, uncached.pictures), "uncached")
    return {
        "variant": variant.name,
        **dataclasses.asdict(variant),
        "full_pass_equivalents": variant.steps * spent / full,
        "gflops_per_picture": spent / len(cases) / 1e9,
        "seconds_per_picture": sum(report.seconds for report in drawn.reports) / len(cases),
        **{name: list(bootstrap(each)) for name, each in values.items()},
        "frechet": frechet_distance(judge, drawn.pictures),
        "latent_error_per_evaluation": latent_errors(drawn.denoised, uncached.denoised).tolist(),
    }


def _named(measures: dict[str, np.ndarray], reference: str) -> dict[str, np.ndarray]:
    return {f"{name}_{reference}": values for name, values in measures.items()}
