"""Collects what the compatibility matrix measured into out/compatibility.json, for tools/compatibility_page.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "out" / "compatibility.json"
# A cell's result travels with its test report, also from one process to another.
PROPERTY = "compatibility"


class MatrixResults:
    """A pytest plugin for the process that the reports come together in."""

    def __init__(self) -> None:
        self.rows: list[dict] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.rows += [row for name, row in report.user_properties if name == PROPERTY]

    def pytest_sessionfinish(self) -> None:
        """Write the results, once there is one for each cell: a page of a part of the matrix would lie.

        Cells that did not run this time keep what an earlier run measured.
        """
        if not self.rows:
            return
        sys.path.append(str(ROOT / "tests" / "compatibility"))
        from axes import CELLS
        from checks import CLOCK

        old = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.is_file() else []
        rows = {(row["axis"], row["subject"], row["variant"]): row for row in [*old, *self.rows]}
        wanted = [(cell.axis, cell.subject, cell.variant) for cell in CELLS]
        if set(wanted) <= set(rows):
            results = {"clock": CLOCK, "rows": [rows[cell] for cell in wanted]}
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
