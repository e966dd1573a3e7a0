"""What a comparison found, as plain data."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..clockwork_core.report import RunReport
from ..clockwork_core.schedule import Kind
from .distances import Distances
from .variants import Variant


class Spread(NamedTuple):
    """Mean and standard deviation over the pictures; infinite values are counted apart, as `exact`.

    mean: None if all are infinite, NaN if one is. deviation: None unless two are finite.
    """

    mean: float | None
    deviation: float | None
    exact: int
    pictures: int

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        finite = [value for value in values if not math.isinf(value)]
        mean = statistics.fmean(finite) if finite else None
        known = mean is not None and not math.isnan(mean) and len(finite) > 1
        return cls(mean, statistics.stdev(finite) if known else None, len(values) - len(finite), len(values))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: JSON has no NaN."""
        return {**self._asdict(), "mean": None if self.mean is None or math.isnan(self.mean) else self.mean}


@dataclass
class Tally:
    """What one variant did, seed by seed. steps: of each of its runs."""

    variant: Variant
    steps: int
    reports: list[RunReport] = field(default_factory=list)
    distances: list[Distances] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One variant, summed up.

    seconds: median over the seeds. flops: of all its runs; None if they could not be counted. flops_percent,
    seconds_percent: of the uncached run. full, adaptor: evaluations of each kind in its first run.
    lpips: None if it was not measured.
    """

    variant: Variant
    steps: int
    seconds: float
    seconds_of_seeds: tuple[float, ...]
    seconds_percent: float
    flops: int | None
    flops_percent: float | None
    full: int
    adaptor: int
    psnr: Spread
    ssim: Spread
    lpips: Spread | None
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. Pictures that equal their references are counted in psnr's `exact`."""
        return {
            "variant": self.variant.name,
            "fewer_steps": self.variant.is_fewer_steps,
            "steps": self.steps,
            "seconds": self.seconds,
            "seconds_of_seeds": self.seconds_of_seeds,
            "seconds_percent": self.seconds_percent,
            "flops": self.flops,
            "flops_percent": self.flops_percent,
            "full": self.full,
            "adaptor_evaluations": self.adaptor,
            "psnr": self.psnr.to_dict(),
            "ssim": self.ssim.to_dict(),
            "lpips": None if self.lpips is None else self.lpips.to_dict(),
            "remarks": self.remarks,
        }


def rows_of(tallies: list[Tally]) -> list[Row]:
    """One row for each variant, in their order; the first is the uncached run, which costs are shares of."""
    uncached = tallies[0]
    return [_row(tally, _median_seconds(uncached), _flops(uncached)) for tally in tallies]


def _row(tally: Tally, uncached_seconds: float, uncached_flops: int | None) -> Row:
    flops, seconds = _flops(tally), _median_seconds(tally)
    lpips = [value for each in tally.distances for value in each.lpips or ()]
    return Row(
        variant=tally.variant,
        steps=tally.steps,
        seconds=seconds,
        seconds_of_seeds=tuple(report.seconds for report in tally.reports),
        seconds_percent=100.0 * seconds / uncached_seconds,
        flops=flops,
        flops_percent=100.0 * flops / uncached_flops if flops is not None and uncached_flops else None,
        full=tally.reports[0].count(Kind.FULL),
        adaptor=tally.reports[0].count(Kind.ADAPTOR),
        psnr=Spread.of([value for each in tally.distances for value in each.psnr]),
        ssim=Spread.of([value for each in tally.distances for value in each.ssim]),
        lpips=Spread.of(lpips) if lpips else None,
        remarks=tuple(_remarks(tally.reports[0])),
    )


def _median_seconds(tally: Tally) -> float:
    return statistics.median(report.seconds for report in tally.reports)


def _flops(tally: Tally) -> int | None:
    """Of all its runs, or None."""
    counts = [report.flops() for report in tally.reports]
    known = [count[0] for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _remarks(report: RunReport) -> list[str]:
    """What a user should know of a run besides its numbers."""
    reasons = sum((evaluation.reasons for evaluation in report.evaluations), Counter())
    return [*report.warnings, *(f"{count} × full instead of adaptor: {reason}" for reason, count in reasons.items())]
