"""Write docs/compatibility.md from out/compatibility.json, which the tests in tests/compatibility leave behind."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "out" / "compatibility.json"
PAGE = ROOT / "docs" / "compatibility.md"

Row = dict[str, Any]

HEAD = """# What works with Clockwork

<!-- Made by tools/compatibility_page.py from the results of tests/compatibility. Do not edit. -->

Whatever can stand in the same ComfyUI graph should work with Clockwork on, or be refused with a sentence. Each line
below is one thing to combine Clockwork with, and was tested in each of the ways that it lists.

{counts}

## What "works" means

Each cell draws a few steps with a toy model of the host's own classes (the structure of the real ones, few channels,
random weights; in the last axis the trained demo model), a full pass every {clock} evaluations, and must hold all this:

1. It finishes, and evaluations are skipped as the clock says.
2. It equals a naive reference, **bit for bit**: the host runs all blocks of every evaluation, and one patch overwrites
   the features at the cut with those of the last full evaluation. So nothing is lost on the blocks that still run.
3. It is no farther from the picture without Clockwork than that reference.
4. With clock 1 it is the host's picture, bit for bit.
5. A second run gives the same picture as the first.
6. No feature of a run outlives it.

"Clockwork before" and "after" say where the Clockwork node stood in the graph. **full + adaptor** counts the
evaluations of all ways together. **distance** is that to the picture without Clockwork, ‖difference‖ / ‖picture‖ in the
latent, the worst of all ways; **reference** is the same of the naive reference. These toys have random weights and few
steps, so the figures are large and say nothing about the quality of real pictures; that they are equal is what matters.

torch.compile has tests of its own (`tests/clockwork_core/test_compile.py`): TorchCompileModel before or behind
Clockwork, three graphs in all, and none after the first full and the first adaptor evaluation. So have checkpoints of
the true sizes of SD 1.5 and SDXL (`tests/server/test_true_geometry.py`).
"""


def main() -> int:
    """Render the page; returns the exit status."""
    if not RESULTS.is_file():
        print(f"error: there is no {RESULTS.relative_to(ROOT)}: run ./run test tests/compatibility first.")
        return 1
    PAGE.write_text(render(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(ROOT)}.")
    return 0


def render(results: dict[str, Any]) -> str:
    """The page, from what the tests measured."""
    rows: list[Row] = results["rows"]
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    parts = [HEAD.format(counts=_counts(rows, axes), clock=results["clock"])]
    for axis in axes:
        parts.append(f"## {axis.capitalize()}\n\n{_table([row for row in rows if row['axis'] == axis])}")
    return "\n".join(parts)


def listed_cells(page: str) -> Counter[tuple[str, str, str]]:
    """The cells (axis, subject, way) that a page lists, read back from its tables."""
    cells: Counter[tuple[str, str, str]] = Counter()
    axis = ""
    for line in page.splitlines():
        if line.startswith("## "):
            axis = line.removeprefix("## ").lower()
        columns = [column.strip() for column in line.strip("|").split("|")]
        if line.startswith("| ") and axis and len(columns) == len(_COLUMNS) and columns[0] not in (_COLUMNS[0], "---"):
            cells.update((axis, columns[0], way) for way in columns[1].split("; "))
    return cells


_COLUMNS = ("with", "ways", "result", "full + adaptor", "distance", "reference", "good to know")


def _counts(rows: list[Row], axes: list[str]) -> str:
    lines = ["| | cells | passed | refused with a sentence | failed |", "|---|---|---|---|---|"]
    for name, chosen in [*((axis, [r for r in rows if r["axis"] == axis]) for axis in axes), ("**all**", rows)]:
        outcomes = Counter(row["outcome"] for row in chosen)
        figures = (len(chosen), outcomes["passed"], outcomes["refused"], outcomes["failed"])
        lines.append(f"| {name} | {' | '.join(map(str, figures))} |")
    return "\n".join(lines)


def _table(rows: list[Row]) -> str:
    subjects: dict[str, list[Row]] = {}
    for row in rows:
        subjects.setdefault(row["subject"], []).append(row)
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    lines += [_line(subject, ways) for subject, ways in subjects.items()]
    return "\n".join(lines) + "\n"


def _line(subject: str, ways: list[Row]) -> str:
    columns = [subject, "; ".join(row["variant"] for row in ways), _result(ways), *_figures(ways), _remarks(ways)]
    return f"| {' | '.join(columns)} |"


def _result(ways: list[Row]) -> str:
    outcomes = {row["outcome"] for row in ways}
    if "failed" in outcomes:
        return "**fails**"
    return "refused" if outcomes == {"refused"} else "works"


def _figures(ways: list[Row]) -> tuple[str, str, str]:
    measured = [row for row in ways if row["outcome"] == "passed"]
    if not measured:
        return "", "", ""
    evaluations = f"{sum(row['full'] for row in measured)} + {sum(row['adaptor'] for row in measured)}"
    ours, naive = (max(row[name] for row in measured) for name in ("relative_error", "naive_relative_error"))
    return evaluations, f"{ours:.3g}", f"{naive:.3g}"


def _remarks(ways: list[Row]) -> str:
    """Each remark once; where it holds for some ways only, with their names."""
    holders: dict[str, list[str]] = {}
    for row in ways:
        for remark in (row["note"], row["expectation"]):
            if remark:
                holders.setdefault(remark, []).append(row["variant"])
    return " ".join(
        remark if len(names) == len(ways) else f"*{'; '.join(names)}*: {remark}" for remark, names in holders.items()
    )


if __name__ == "__main__":
    sys.exit(main())
