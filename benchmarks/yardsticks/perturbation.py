"""Disturb the features of one level from some step on, and see how far the picture moves (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...clockwork_core.metrics import relative_error
from .cases import Case
from .levels import last_blocks, on_output, perturbed
from .plots import panels, save
from .studio import Studio

STEPS = 20
STARTS = tuple(range(0, STEPS + 1, 2))
ALPHAS = (0.7, 0.3, 0.0)
NOISE_SEED = 6


def measure(studio: Studio, cases: list[Case], report: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Relative distances of the final latents to the undisturbed ones at each of STARTS, by alpha and level."""
    undisturbed = studio.draw(studio.model, cases, STEPS).latents
    rows = []
    for alpha in ALPHAS:
        for level, block in sorted(last_blocks(studio.unet).items()):
            latents = [disturbed(studio, cases, block, alpha, start) for start in STARTS]
            distances = [relative_error(each, undisturbed).mean().item() for each in latents]
            rows.append({"alpha": alpha, "level": level, "block": block, "starts": list(STARTS), "distance": distances})
            report(f"alpha {alpha}, level {level}: {', '.join(f'{each:.3f}' for each in distances)}")
    return rows


def disturbed(studio: Studio, cases: list[Case], block: int, alpha: float, start: int) -> Tensor:
    """The final latents (n, 12, 32, 32) when the output of `block` is perturbed from step `start` on.

    Raises RuntimeError if a step is not one call of the UNet: then the steps could not be counted.
    """
    generator = torch.Generator().manual_seed(NOISE_SEED)
    calls = 0

    def disturb(features: Tensor) -> Tensor | None:
        # Cond and uncond share a call, and dpmpp_2m evaluates once a step; each batch of pictures begins anew.
        nonlocal calls
        step, calls = calls % STEPS, calls + 1
        return perturbed(features, alpha, generator) if step >= start else None

    with on_output(studio.unet, block, disturb):
        latents = studio.draw(studio.model, cases, STEPS).latents
    batches = -(-len(cases) // studio.batch)
    if calls != STEPS * batches:
        raise RuntimeError(f"The UNet was called {calls} times, not {STEPS} times for each of {batches} batches.")
    return latents


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """A panel for each alpha, a line for each level."""
    figure, axes = panels(len(ALPHAS))
    for ax, alpha in zip(axes, ALPHAS, strict=True):
        for row in rows:
            if row["alpha"] == alpha:
                ax.plot(STARTS, row["distance"], "o-", label=f"level {row['level']} (block {row['block']})")
        ax.set_title(f"alpha {alpha}")
        ax.set_xlabel(f"disturbed from this step of {STEPS} on")
        ax.set_ylabel("relative distance of the final latent")
        # The levels differ by a factor of ten and more; where nothing is disturbed the distance is 0 and has no place.
        ax.set_yscale("log", nonpositive="mask")
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize="small", title="level 0 = highest resolution")
    save(figure, path)
