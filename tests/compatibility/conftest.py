"""Collects what the matrix measured into out/compatibility.json, for tools/compatibility_page.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "out" / "compatibility.json"
ROWS = pytest.StashKey[list]()

sys.path.append(str(Path(__file__).parent))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> list:
    """The results of the cells so far; a cell adds its own."""
    return request.config.stash[ROWS]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the results, once there is one for each cell: a page of a part of the matrix would lie.

    Cells that did not run this time keep what an earlier run measured.
    """
    from axes import CELLS
    from checks import CLOCK

    new = [row.to_dict() for row in session.config.stash[ROWS]]
    old = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.is_file() else []
    rows = {(row["axis"], row["subject"], row["variant"]): row for row in [*old, *new]}
    wanted = [(cell.axis, cell.subject, cell.variant) for cell in CELLS]
    if new and set(wanted) <= set(rows):
        results = {"clock": CLOCK, "rows": [rows[cell] for cell in wanted]}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
