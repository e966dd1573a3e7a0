"""Measurements of adaptors as Markdown tables."""

from __future__ import annotations

from typing import Any

HEADER = "| | steps, clock | numbers | cost | PSNR | against the identity | against fewer steps |"


def markdown(rows: dict[str, Any]) -> str:
    """A table for each group of experiments; at each kind of run first what is free of training."""
    tables = []
    for table in dict.fromkeys(row["table"] for row in rows.values()):
        lines = [f"### {table}", "", HEADER, "|---" * 7 + "|"]
        shown: set[tuple] = set()
        for row in (row for row in rows.values() if row["table"] == table):
            for point in row["points"]:
                lines += _lines(row, point, shown)
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _lines(row: dict[str, Any], point: dict[str, Any], shown: set[tuple]) -> list[str]:
    where = f"{point['steps']}, {point['clock']}"
    identity = next(each["psnr"][0] for each in point["beside"] if each["variant"] == "identity")
    lines = []
    for other in [*point["beside"], *point["fewer_steps"]]:
        # Beside several experiments of one kind of run the same rows would stand again.
        key = (where, other["variant"], round(other["psnr"][0], 6))
        if key not in shown:
            shown.add(key)
            lines.append(_line(other["variant"], where, None, other, identity))
    return [*lines, _line(f"**{row['name']}**", where, row["numbers"], point, identity)]


def _line(name: str, where: str, numbers: int | None, measured: dict[str, Any], identity: float) -> str:
    size = "" if numbers is None else f"{numbers / 1e6:.2f} M"
    lead = measured.get("lead")
    return (
        f"| {name} | {where} | {size} | {measured['cost']:.1f} | {_interval(measured['psnr'])} | "
        f"{measured['psnr'][0] - identity:+.1f} | {'' if lead is None else _interval(lead, '+')} |"
    )


def _interval(interval: list[float], sign: str = "") -> str:
    """Mean and the larger half of the interval."""
    mean, low, high = interval
    return f"{mean:{sign}.1f} ± {max(mean - low, high - mean):.1f}"
