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
    """Write the results, if the whole matrix has run: a page from a part of it would lie."""
    from axes import CELLS
    from checks import CLOCK

    rows = session.config.stash[ROWS]
    if len(rows) == len(CELLS):
        RESULTS.parent.mkdir(exist_ok=True)
        results = {"clock": CLOCK, "rows": [row.to_dict() for row in rows]}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
