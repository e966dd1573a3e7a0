"""Rows as Markdown."""

from clockwork_pack.benchmarks.yardsticks.tables import COLUMNS, markdown_table


def test_intervals_numbers_and_gaps():
    row = {"variant": "8 steps", "full_pass_equivalents": 8.0, "icon_top1": [0.5, 0.25, 0.75]}
    head, rule, line = markdown_table([row]).splitlines()
    assert head.startswith("| variant | cost |")
    assert rule == "|" + " --- |" * len(COLUMNS)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:2] == ["8 steps", "8.0"]
    assert "0.500 (0.250-0.750)" in cells
    assert cells.count("") == len(COLUMNS) - 3
