"""How much each level's features change from one evaluation to the next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor

from ...clockwork_core.metrics import relative_error
from .cases import Case
from .levels import last_blocks, on_output
from .plots import panels, save
from .studio import Studio

STEP_COUNTS = (8, 20, 50)


def measure(studio: Studio, cases: list[Case], report: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Relative changes at each evaluation but the first, by step count and level.

    Raises ValueError if the cases do not fit into one batch, whose evaluations could not be told apart.
    """
    if len(cases) > studio.batch:
        raise ValueError(f"There are {len(cases)} cases, but all must fit into one batch of {studio.batch}.")
    rows = []
    for steps in STEP_COUNTS:
        for level, changes in relative_changes(studio, cases, steps).items():
            rows.append({"steps": steps, "level": level, "change": changes})
            report(f"{steps} steps, level {level}: {', '.join(f'{each:.2f}' for each in changes)}")
    return rows


def relative_changes(studio: Studio, cases: list[Case], steps: int) -> dict[int, list[float]]:
    """By level: ||f(t) - f(t-1)|| / ||f(t)|| at evaluations 1, 2, …, averaged over pictures, cond and uncond."""
    blocks = last_blocks(studio.unet)
    features: dict[int, list[Tensor]] = {level: [] for level in sorted(blocks)}
    with ExitStack() as stack:
        for level, block in blocks.items():
            # list.append returns None, so the features stay as they are.
            stack.enter_context(on_output(studio.unet, block, features[level].append))
        studio.draw(studio.model, cases, steps)
    return {
        level: [relative_error(before, after).mean().item() for before, after in pairwise(seen)]
        for level, seen in features.items()
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """A panel for each step count, a line for each level."""
    figure, axes = panels(len(STEP_COUNTS))
    for ax, steps in zip(axes, STEP_COUNTS, strict=True):
        for row in rows:
            if row["steps"] == steps:
                ax.plot(range(1, steps), row["change"], ".-", label=f"level {row['level']}")
        ax.set_title(f"{steps} steps")
        ax.set_xlabel("evaluation")
        ax.set_ylabel("relative change of the features")
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize="small", title="level 0 = highest resolution")
    save(figure, path)
