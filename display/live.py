"""Tells the browser of a run while it goes on.

    clockwork.begun      steps
    clockwork.evaluated  index, kind
    clockwork.ended      what the run was
    clockwork.counted    its FLOPs, which take a second to count at first

Each says where it belongs: workflow_id, the node_id of the Clockwork node in it, and run, which tells one of the
node's runs from the next.
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
        self._place: dict[str, Any] = {}

    def begun(self, report: RunReport) -> None:
        self._place = {
            "workflow_id": host.executing_workflow(),
            "node_id": self._node_id,
            "run": next(_run_numbers),
        }
        self._send("begun", {"steps": report.steps})

    def evaluated(self, report: RunReport) -> None:
        evaluation = report.evaluations[-1]
        self._send("evaluated", {"index": evaluation.index, "kind": LETTERS[evaluation.kind]})

    def ended(self, report: RunReport) -> None:
        self._send("ended", summary(report))
        if host.somebody_listens():
            # Counting takes its time, and the sampler is waiting.
            threading.Thread(target=_count, args=(report, self._place), daemon=True).start()

    def _send(self, event: str, data: dict[str, Any]) -> None:
        host.send(f"clockwork.{event}", {**self._place, **data})


def _count(report: RunReport, place: dict[str, Any]) -> None:
    data = report.to_dict()
    counted = {name: data[name] for name in ("flops_saved_percent", "adaptor_cost")}
    host.send("clockwork.counted", {**place, **counted})


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
