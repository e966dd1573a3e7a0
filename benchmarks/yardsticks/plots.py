"""The measurements as pictures, in one style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")

DOTS_PER_INCH = 80
PANEL_INCHES = (5.0, 3.6)


def panels(count: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes in so many rows, which divide it."""
    width, height = PANEL_INCHES
    columns = count // rows
    size = (width * columns, height * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    return figure, list(axes.flat)


def save(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG and forget it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    plt.close(figure)


def plot_quality(rows: list[dict[str, Any]], path: Path) -> None:
    """Each measure over the cost, where the line is "fewer steps" and the marks Clockwork; and latent errors."""
    measures = {
        "psnr_converged": "PSNR against converged (dB)",
        "prompt_agreement": "prompt agreement",
        "frechet": "Frechet distance",
    }
    figure, axes = panels(len(measures) + 1, rows=2)
    plain = [row for row in rows if row["clock"] == 1]
    clockwork = [row for row in rows if row["clock"] > 1]
    for ax, (name, label) in zip(axes[:-1], measures.items(), strict=True):
        if plain:
            _with_bars(ax, plain, name, "fewer steps", "o-", "gray")
        for (steps, cut, adaptor), group in _groups(clockwork).items():
            marker = "s" if cut == "stage 1" else "^"
            line = ":" if adaptor == "identity" else "-"
            _with_bars(ax, group, name, f"{steps} steps, {cut}, {adaptor}", marker + line, None)
        ax.set_xlabel("cost (full passes)")
        ax.set_ylabel(label)
        ax.grid(alpha=0.3)
    # One for the three panels, beside them: no place inside is free of points.
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize="x-small", loc="outside lower center", ncols=3)
    plainest = [row for row in clockwork if (row["cut"], row["adaptor"]) == ("stage 1", "identity")]
    _plot_latent_errors(axes[-1], plainest)
    save(figure, path)


def _plot_latent_errors(ax: Axes, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        errors = row["latent_error_per_evaluation"]
        ax.plot([index / len(errors) for index in range(len(errors))], errors, ".-", label=row["variant"])
    ax.set_xlabel("share of the evaluations")
    ax.set_ylabel("relative error of the denoised latent")
    ax.grid(alpha=0.3)
    if rows:
        ax.legend(fontsize="x-small")


def _groups(rows: list[dict[str, Any]]) -> dict[tuple[int, str, str], list[dict[str, Any]]]:
    """Rows that differ in their clock only, in the order of their settings."""
    groups: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["steps"], row["cut"], row["adaptor"]), []).append(row)
    return dict(sorted(groups.items()))


def _with_bars(ax: Axes, rows: list[dict[str, Any]], name: str, label: str, style: str, colour: str | None) -> None:
    costs = [row["full_pass_equivalents"] for row in rows]
    if isinstance(rows[0][name], float):
        ax.plot(costs, [row[name] for row in rows], style, label=label, color=colour)
        return
    means, lows, highs = zip(*(row[name] for row in rows), strict=True)
    bars = [[m - low for m, low in zip(means, lows, strict=True)], [h - m for m, h in zip(means, highs, strict=True)]]
    ax.errorbar(costs, means, yerr=bars, fmt=style, label=label, color=colour, capsize=2)
