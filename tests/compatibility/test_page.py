"""The committed page tells of the matrix as it is."""

from collections import Counter

import compatibility_page
from axes import CELLS


def row(**changes):
    passed = {
        "axis": "patches",
        "subject": "FreeU",
        "variant": "Clockwork before",
        "outcome": "passed",
        "note": "",
        "expectation": "",
        "full": 2,
        "adaptor": 3,
        "relative_error": 0.25,
        "naive_relative_error": 0.25,
    }
    return {**passed, **changes}


def test_the_committed_page_lists_exactly_the_cells_that_exist():
    page = compatibility_page.PAGE.read_text(encoding="utf-8")
    existing = Counter((cell.axis, cell.subject, cell.variant) for cell in CELLS)
    assert compatibility_page.listed_cells(page) == existing, "run the matrix, then tools/compatibility_page.py"
    assert f"| **all** | {len(CELLS)} |" in page


def test_the_committed_page_tells_of_no_failure():
    page = compatibility_page.PAGE.read_text(encoding="utf-8")
    assert "**fails**" not in page
    totals = next(line for line in page.splitlines() if line.startswith("| **all**"))
    assert totals.endswith("| 0 |")


def test_ways_of_one_subject_share_a_line():
    rows = [row(), row(variant="Clockwork after", note="Mind this.", relative_error=0.5)]
    rows[0]["note"], rows[1]["expectation"] = "Mind this.", "It differs."
    page = compatibility_page.render({"clock": 3, "rows": rows})
    remarks = "Mind this. *Clockwork after*: It differs."
    assert f"| FreeU | Clockwork before; Clockwork after | works | 4 + 6 | 0.5 | 0.25 | {remarks} |" in page
    assert compatibility_page.listed_cells(page) == Counter(
        {("patches", "FreeU", "Clockwork before"): 1, ("patches", "FreeU", "Clockwork after"): 1}
    )


def test_a_failure_and_a_refusal_show():
    rows = [row(outcome="failed"), row(axis="families", subject="Flux", variant="", outcome="refused")]
    page = compatibility_page.render({"clock": 3, "rows": rows})
    assert "| FreeU | Clockwork before | **fails** |" in page
    assert "| Flux |  | refused |" in page
    assert "| **all** | 2 | 0 | 1 | 1 |" in page
