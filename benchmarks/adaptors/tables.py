"""Measurements of adaptors as Markdown tables."""

from __future__ import annotations

from typing import Any

HEADER = "| | numbers | cost | error of r_out | of the guided output | PSNR | fewer steps of that cost | ahead by |"


def markdown(rows: dict[str, Any]) -> str:
    """A table for each group of experiments and kind of run: what is free of training, then what was made."""
    groups: dict[tuple, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for row in rows.values():
        for point in row["points"]:
            groups.setdefault((row["table"], point["steps"], point["clock"]), []).append((row, point))
    return "\n\n".join(_table(*where, found) for where, found in sorted(groups.items(), key=lambda group: group[0][0]))


def _table(table: str, steps: int, clock: int, found: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    lines = [f"### {table}: {steps} steps, clock {clock}", "", HEADER, "|---" * HEADER.count(" |") + "|"]
    beside: dict[tuple, str] = {}
    for _, point in found:
        for each in point["beside"]:
            # Where experiments differ in their sampler or cut, so do the built-in adaptors.
            beside.setdefault((each["variant"], each["cost"], *each["psnr"]), _built_in(each))
    return "\n".join([*lines, *beside.values(), *(_made(row, point) for row, point in found)])


def _built_in(measured: dict[str, Any]) -> str:
    share = "1" if measured["variant"] == "identity" else ""
    return (
        f"| {measured['variant']} | | {measured['cost']:.1f} | {share} | {share} | {_interval(measured['psnr'])} | | |"
    )


def _made(row: dict[str, Any], point: dict[str, Any]) -> str:
    errors, lead = point.get("errors", {}), point["lead"]
    shares = [f"{errors[name]:.2f}" if name in errors else "" for name in ("features", "guided output")]
    fewer = ["", ""] if lead is None else [f"{point['psnr'][0] - lead[0]:.1f}", _interval(lead, "+")]
    cells = [row["name"], f"{row['numbers'] / 1e6:.2f} M", f"{point['cost']:.1f}", *shares, _interval(point["psnr"])]
    return f"| {' | '.join([*cells, *fewer])} |"


def _interval(interval: list[float], sign: str = "") -> str:
    """Mean and the larger half of the interval."""
    mean, low, high = interval
    return f"{mean:{sign}.1f} ± {max(mean - low, high - mean):.1f}"
