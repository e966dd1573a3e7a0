"""The state of one sampling run: made when a sampler starts, dropped when it ends, whatever happens."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from . import host
from .control import ControlMemory, with_resting_controls
from .cost import CallShape
from .passes import UNetCall
from .report import Evaluation, RunReport
from .schedule import Kind, Schedule, ScheduleRun, Window
from .steps import step_of
from .trace import Trace

PART_OF_LATENT = "the sampler evaluated a part of the latent, such as a tile"


class Run:
    """Follows the evaluations of one run.

    sigmas: the sampler's whole list. depth: how many full passes the adaptor looks back.
    controls: None if ControlNets run on each evaluation.
    latent_size: numbers in the run's whole latent.
    compile_settings: asked at each UNet call how to compile (see `compile.pass_parts`).
    """

    def __init__(
        self,
        schedule: Schedule,
        window: Window,
        sigmas: list[float],
        depth: int,
        report: RunReport,
        latent_size: int,
        controls: ControlMemory | None,
        compile_settings: Callable[[], dict[str, Any] | None],
    ) -> None:
        self.report = report
        self.controls = controls
        self.compile_settings = compile_settings
        self.trace = Trace(depth)
        self._schedule = ScheduleRun(schedule, window, len(sigmas) - 1)
        self._sigmas = sigmas
        self._seen: Counter[Hashable] = Counter()
        self._last_failed = False
        self._begun = 0.0
        self._latent_size = latent_size

    @property
    def evaluation(self) -> Evaluation | None:
        """The one under way; None before the first."""
        return self.report.evaluations[-1] if self.report.evaluations else None

    def record(self, kind: Kind, shape: CallShape, reason: str | None) -> None:
        """Write down one UNet call of the evaluation under way, with the reason if it was not as planned."""
        evaluation = self.report.evaluations[-1]
        evaluation.calls[kind] += 1
        self.report.shapes[kind][shape] += 1
        if reason is not None and evaluation.planned is not kind:
            evaluation.reasons[reason] += 1

    @contextmanager
    def evaluating(self, sigma: float, size: int) -> Iterator[None]:
        """One evaluation, for the length of the block; one that failed and is tried again is not a new one.

        size: numbers in the latent that is evaluated. Nothing tells which part of the run's latent a smaller one is,
        so features must not go from it to the next.
        """
        is_retry = self._last_failed and self.evaluation is not None and self.evaluation.sigma == sigma
        if not is_retry:
            self._begin_evaluation(sigma, is_part=size < self._latent_size)
        self._seen.clear()
        self._last_failed = True
        yield
        self._last_failed = False

    @contextmanager
    def attempting(self) -> Iterator[None]:
        """Streams that were counted inside the block count as unseen if it fails.

        Whoever catches the error may evaluate the same conditionings again, split where memory ran out.
        """
        seen_before = self._seen.copy()
        try:
            yield
        except BaseException:
            self._seen = seen_before
            raise

    def _begin_evaluation(self, sigma: float, is_part: bool) -> None:
        """Tick the schedule once."""
        self._end_evaluation()
        step = step_of(sigma, self._sigmas)
        if self.evaluation is not None and step < self.evaluation.step - 1:
            # A sampler that restarts from more noise: what is remembered belongs to another part of the run.
            self._forget()
        index = len(self.report.evaluations)
        evaluation = Evaluation(index, step, sigma, self._schedule.next(step))
        if is_part and evaluation.planned is Kind.ADAPTOR:
            evaluation.planned = Kind.FULL
            evaluation.reasons[PART_OF_LATENT] += 1
        self.report.evaluations.append(evaluation)
        self.trace.begin_evaluation()

    def end(self) -> None:
        """Forget everything but the report."""
        self._end_evaluation()
        self.report.peak_bytes = self.trace.peak_bytes
        if self.controls is not None:
            self.report.control_peak_bytes = self.controls.peak_bytes
            self.report.control_calls = self.controls.calls
        self._forget()

    def streams_of(self, call: UNetCall) -> list[Hashable] | None:
        """A key for each conditioning in the batch, in order; None if the host does not name them.

        The same conditioning may be evaluated more than once within an evaluation (by SAG, PAG, context
        windows): those are streams of their own, told apart by their order. Conditionings that the host copies
        between cond and uncond share their uuid, so the side belongs to the key.
        """
        options = call.transformer_options
        uuids, sides = options.get("uuids"), options.get("cond_or_uncond")
        if not uuids or not sides or len(uuids) != len(sides) or call.x.shape[0] % len(uuids):
            return None
        window = host.context_window_of(options)
        return [self.occurrence((uuid, side, window)) for uuid, side in zip(uuids, sides, strict=True)]

    def with_resting_controls(self, conds: list[list[dict] | None]) -> list[list[dict] | None]:
        """The conditionings, with ControlNets that rest on adaptor evaluations if they may."""
        if self.controls is None or self.evaluation is None:
            return conds
        return with_resting_controls(conds, self.controls, self.evaluation.planned, self.occurrence)

    def occurrence(self, key: Hashable) -> Hashable:
        """The key with the number of times that it was seen in this evaluation."""
        self._seen[key] += 1
        return key, self._seen[key]

    def _forget(self) -> None:
        self.trace.clear()
        if self.controls is not None:
            self.controls.clear()

    def _end_evaluation(self) -> None:
        now = time.perf_counter()
        if self.evaluation is not None:
            self.evaluation.seconds = now - self._begun
        self._begun = now
