"""Tells the browser of a run while it goes on.

    clockwork.begun      node_id, run, prompt_id, sampler_id, steps
    clockwork.evaluated  node_id, run, index, kind
    clockwork.ended      node_id, run, and what the run was
    clockwork.counted    node_id, run, and its FLOPs, which take a second to count at first

node_id is the Clockwork node's, run tells one of its runs from the next.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

from ..clockwork_core.observer import Observer
from ..clockwork_core.report import RunReport
from . import host
from .plan import LETTERS, letters

_run_numbers = itertools.count(1)


class LiveStrip(Observer):
    """Follows the runs of one patched model for the strip on the node that patched it."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._run = 0

    def begun(self, report: RunReport) -> None:
        self._run = next(_run_numbers)
        self._send("begun", {**host.executing_node(), "steps": report.steps})

    def evaluated(self, report: RunReport) -> None:
        evaluation = report.evaluations[-1]
        self._send("evaluated", {"index": evaluation.index, "kind": LETTERS[evaluation.kind]})

    def ended(self, report: RunReport) -> None:
        self._send("ended", summary(report))
        if not host.somebody_listens():
            return
        # Counting takes its time, and the sampler is waiting.
        threading.Thread(target=self._count, args=(report, self._run), daemon=True).start()

    def _count(self, report: RunReport, run: int) -> None:
        data = report.to_dict()
        counted = {name: data[name] for name in ("flops_saved_percent", "adaptor_cost")}
        host.send("clockwork.counted", {"node_id": self._node_id, "run": run, **counted})

    def _send(self, event: str, data: dict[str, Any]) -> None:
        host.send(f"clockwork.{event}", {"node_id": self._node_id, "run": self._run, **data})


def summary(report: RunReport) -> dict[str, Any]:
    """What a strip shows of a run that is over, but for the FLOPs."""
    return {
        "kinds": letters([evaluation.kind for evaluation in report.evaluations]),
        "model": report.model_class,
        "adaptor": report.adaptor,
        "seconds": report.seconds,
        "seconds_saved": report.seconds_saved(),
        "warnings": report.warnings,
        "finished": report.finished,
    }
