"""What happened in a run, as plain data: it outlives the run, and holds no tensor of it."""

from __future__ import annotations

import hashlib
import logging
import statistics
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .cost import CallShape, count_passes
from .cut import Cut
from .schedule import Kind

KEPT_REPORTS = 16


@dataclass
class Evaluation:
    """One call of the denoiser by the sampler; it may be split into several calls of the UNet.

    planned: what the schedule asked for. calls: how many UNet calls of each kind ran. reasons: why a call was
    full although an adaptor pass was planned. seconds: until the next evaluation began, so the sampler's own
    work and previews are included; None while it runs.
    """

    index: int
    step: int
    sigma: float
    planned: Kind
    calls: Counter[Kind] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float | None = None

    @property
    def kind(self) -> Kind:
        """FULL as soon as one of its UNet calls was full."""
        return Kind.ADAPTOR if self.calls[Kind.ADAPTOR] and not self.calls[Kind.FULL] else Kind.FULL


@dataclass(frozen=True)
class RunFlops:
    """FLOPs of a run's UNet calls: as they were, had all been full, had all been adaptor passes."""

    spent: int = 0
    all_full: int = 0
    all_adaptor: int = 0
    calls: int = 0

    def of(self, evaluation: Evaluation) -> float | None:
        """What one evaluation spent, by the run's mean full and adaptor pass; None if nothing was counted."""
        if not self.calls:
            return None
        full, adaptor = evaluation.calls[Kind.FULL], evaluation.calls[Kind.ADAPTOR]
        return (full * self.all_full + adaptor * self.all_adaptor) / self.calls


@dataclass
class RunReport:
    """The record of one sampling run.

    blocks: output blocks of the UNet. peak_bytes: most memory that the trace held at once.
    control_calls: how often ControlNets ran (FULL) and were spared (ADAPTOR). control_peak_bytes: what that took.
    latent_digest: of the run's result, to find the run that made a given latent.
    adaptor_flops: FLOPs that the adaptor itself spends on an r_out of a given shape.
    warnings: where the run differs from what the adaptor was trained for.
    """

    model_class: str
    unet_config: dict[str, Any]
    cut: Cut
    blocks: int
    schedule: str
    adaptor: str
    steps: int
    adaptor_flops: Callable[[tuple[int, ...]], int] = lambda _r_out: 0
    warnings: list[str] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    shapes: dict[Kind, Counter[CallShape]] = field(default_factory=lambda: {kind: Counter() for kind in Kind})
    peak_bytes: int = 0
    control_calls: Counter[Kind] = field(default_factory=Counter)
    control_peak_bytes: int = 0
    finished: bool = False
    latent_digest: str | None = None

    def count(self, kind: Kind) -> int:
        """How many evaluations were of this kind."""
        return sum(evaluation.kind is kind for evaluation in self.evaluations)

    @property
    def seconds(self) -> float:
        return sum(evaluation.seconds or 0.0 for evaluation in self.evaluations)

    def median_seconds(self, kind: Kind) -> float | None:
        """Median seconds of the evaluations of this kind, without the run's first, which warms up."""
        times = [e.seconds for e in self.evaluations[1:] if e.kind is kind and e.seconds is not None]
        return statistics.median(times) if times else None

    def seconds_saved(self) -> float | None:
        """What the adaptor evaluations spared, by the median full one; an estimate."""
        full = self.median_seconds(Kind.FULL)
        if full is None:
            return None
        return sum(full - e.seconds for e in self.evaluations if e.kind is Kind.ADAPTOR and e.seconds is not None)

    def flops(self) -> tuple[int, int] | None:
        """FLOPs of the run as it was, and as it would have been with full passes only; None if not to be counted."""
        counted = self.counted_flops()
        return None if counted is None else (counted.spent, counted.all_full)

    def counted_flops(self) -> RunFlops | None:
        """What the run spent, and could have spent.

        None if it cannot be counted: a report must never lose the picture that it reports on.
        """
        try:
            return self._count_flops()
        except Exception:
            logging.exception("[Clockwork] The FLOPs of this %s could not be counted.", self.model_class)
            return None

    def _count_flops(self) -> RunFlops:
        spent = all_full = all_adaptor = 0
        for kind, shapes in self.shapes.items():
            for shape, calls in shapes.items():
                costs = count_passes(self.unet_config, shape, self.cut)
                full, adaptor = costs.full.total, costs.adaptor.total + self.adaptor_flops(costs.r_out)
                spent += calls * (full if kind is Kind.FULL else adaptor)
                all_full += calls * full
                all_adaptor += calls * adaptor
        return RunFlops(spent, all_full, all_adaptor, sum(map(Counter.total, self.shapes.values())))

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready data. FLOPs are of the UNet alone, seconds as measured."""
        flops = self.counted_flops() or RunFlops()
        saved = self.seconds_saved()
        return {
            "model": self.model_class,
            "schedule": self.schedule,
            "adaptor": self.adaptor,
            "kept_blocks": self.cut.kept_blocks,
            "blocks": self.blocks,
            "steps": self.steps,
            "evaluations": len(self.evaluations),
            "full": self.count(Kind.FULL),
            "adaptor_evaluations": self.count(Kind.ADAPTOR),
            "flops": flops.spent or None,
            "flops_all_full": flops.all_full or None,
            "flops_saved_percent": 100.0 * (1.0 - flops.spent / flops.all_full) if flops.all_full else None,
            "adaptor_cost": flops.all_adaptor / flops.all_full if flops.all_full else None,
            "seconds": self.seconds,
            "seconds_saved_estimate": saved,
            "seconds_per_full_evaluation": self.median_seconds(Kind.FULL),
            "seconds_per_adaptor_evaluation": self.median_seconds(Kind.ADAPTOR),
            "trace_peak_bytes": self.peak_bytes,
            "control_runs": self.control_calls[Kind.FULL],
            "control_runs_spared": self.control_calls[Kind.ADAPTOR],
            "control_peak_bytes": self.control_peak_bytes,
            "warnings": self.warnings,
            "finished": self.finished,
            "per_evaluation": [
                {
                    "step": evaluation.step,
                    "sigma": evaluation.sigma,
                    "planned": evaluation.planned.value,
                    "kind": evaluation.kind.value,
                    "seconds": evaluation.seconds,
                    "flops": flops.of(evaluation),
                    "reasons": dict(evaluation.reasons),
                }
                for evaluation in self.evaluations
            ],
        }

    def headline(self) -> str:
        """What ran, in one line."""
        return (
            f"{len(self.evaluations)} evaluations, {self.count(Kind.FULL)} full + "
            f"{self.count(Kind.ADAPTOR)} with the adaptor ({self.adaptor})"
        )

    def text(self) -> str:
        """The report in a few lines for a person."""
        data = self.to_dict()
        lines = [
            f"Clockwork: {self.headline()}",
            f"{self.schedule}; {self.cut.kept_blocks} of {self.blocks} output blocks kept; {self.model_class}",
            _compute_line(data),
            _time_line(data),
        ]
        if spared := self.control_calls[Kind.ADAPTOR]:
            lines.append(f"ControlNet: ran {self.control_calls[Kind.FULL]} times, was spared {spared} times")
        reasons = sum((evaluation.reasons for evaluation in self.evaluations), Counter())
        lines += [f"full although the schedule allowed the adaptor: {count} × {why}" for why, count in reasons.items()]
        lines += [f"warning: {warning}" for warning in self.warnings]
        if not self.finished:
            lines.append("The run was stopped before its end.")
        return "\n".join(lines)


class ReportHistory:
    """The reports of the last runs of one patched model; lives as long as the model does."""

    def __init__(self) -> None:
        self._reports: deque[RunReport] = deque(maxlen=KEPT_REPORTS)

    def add(self, report: RunReport) -> None:
        self._reports.append(report)

    @property
    def latest(self) -> RunReport | None:
        """The report of the run that ended last."""
        return self._reports[-1] if self._reports else None

    def find(self, latent: Tensor) -> RunReport | None:
        """The run that made `latent`; else, if it was changed on its way, the latest; None if there is none."""
        digest = digest_of(latent)
        matching = [report for report in self._reports if report.latent_digest == digest]
        return matching[-1] if matching else self.latest


def digest_of(latent: Tensor) -> str:
    """A hash of the values of a latent (B, C, H, W), the same on each device."""
    values = latent.detach().float().cpu().contiguous().numpy()
    return hashlib.sha256(values.tobytes() + repr(values.shape).encode()).hexdigest()


def _compute_line(data: dict[str, Any]) -> str:
    if data["flops_saved_percent"] is None:
        return "compute: could not be counted for this model"
    spent, full = data["flops"] / 1e12, data["flops_all_full"] / 1e12
    return f"compute: {spent:.3g} of {full:.3g} TFLOPs, {data['flops_saved_percent']:.0f}% saved"


def _time_line(data: dict[str, Any]) -> str:
    line = f"time: {data['seconds']:.2f} s"
    full, adaptor = data["seconds_per_full_evaluation"], data["seconds_per_adaptor_evaluation"]
    if full is not None and adaptor is not None:
        line += (
            f" ({full:.3f} s a full evaluation, {adaptor:.3f} s with the adaptor), "
            f"about {data['seconds_saved_estimate']:.2f} s less than with full ones only"
        )
    return line
