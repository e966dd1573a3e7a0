"""The state of one sampling run: made when a sampler starts, dropped when it ends, whatever happens."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable

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
    """

    def __init__(self, schedule: Schedule, window: Window, sigmas: list[float], depth: int, report: RunReport) -> None:
        self.report = report
        self.trace = Trace(depth)
        self._schedule = ScheduleRun(schedule, window, len(sigmas) - 1)
        self._sigmas = sigmas
        self._seen_streams: Counter[Hashable] = Counter()
        self._begun = 0.0
        self.latent_size = 0  # numbers in the whole latent of the run

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

    def begin_evaluation(self, sigma: float, size: int) -> None:
        """Tick the schedule once. size: numbers in the latent that is to be evaluated.

        Nothing tells which part of the latent a smaller one is, so features must not go from it to the next.
        """
        self._end_evaluation()
        step = step_of(sigma, self._sigmas)
        if self.evaluation is not None and step < self.evaluation.step - 1:
            # A sampler that restarts from more noise: what is remembered belongs to another part of the run.
            self.trace.clear()
        index = len(self.report.evaluations)
        evaluation = Evaluation(index, step, sigma, self._schedule.next(step))
        if size < self.latent_size and evaluation.planned is Kind.ADAPTOR:
            evaluation.planned = Kind.FULL
            evaluation.reasons[PART_OF_LATENT] += 1
        self.report.evaluations.append(evaluation)
        self._seen_streams.clear()

    def end(self) -> None:
        """Forget everything but the report."""
        self._end_evaluation()
        self.report.peak_bytes = self.trace.peak_bytes
        self.trace.clear()

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
        window = getattr(options.get("context_window"), "index_list", None)
        streams: list[Hashable] = []
        for uuid, side in zip(uuids, sides, strict=True):
            stream = (uuid, side, None if window is None else tuple(window))
            streams.append((*stream, self._seen_streams[stream]))
            self._seen_streams[stream] += 1
        return streams

    def _end_evaluation(self) -> None:
        now = time.perf_counter()
        if self.evaluation is not None:
            self.evaluation.seconds = now - self._begun
        self._begun = now
