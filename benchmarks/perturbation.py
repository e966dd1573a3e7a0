"""The paper's perturbation analysis (figures 2, 12, 13): how much the picture suffers when features are disturbed.

From a start step on, the output of the last block of one resolution level is replaced by a mix of itself and noise of
the same mean and deviation; the distance of the final latent to the undisturbed one is measured.

    ./run bench perturbation [--model FILE] [--cases N] [--split tuning|held-out]

Writes benchmarks/results/perturbation-MODEL.json and docs/images/yardsticks-perturbation-MODEL.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"
STEPS = 20
STARTS = tuple(range(0, STEPS + 1, 2))
ALPHAS = (0.7, 0.3, 0.0)
NOISE_SEED = 6


def measure(model: Path, split: str, count: int) -> dict[str, Any]:
    """Relative distances of the final latents, by alpha, level and start step."""
    from clockwork_pack.benchmarks.yardsticks.cases import Split, cases
    from clockwork_pack.benchmarks.yardsticks.levels import last_blocks
    from clockwork_pack.benchmarks.yardsticks.studio import Studio
    from clockwork_pack.clockwork_core.metrics import relative_error

    studio = Studio(model)
    chosen = cases(studio.icons, studio.colours, Split(split), count)
    undisturbed = studio.draw(studio.model, chosen, STEPS).latents
    levels = last_blocks(studio.model.model.diffusion_model)
    rows = []
    for alpha in ALPHAS:
        for level, block in sorted(levels.items()):
            latents = [disturbed(studio, chosen, block, alpha, start) for start in STARTS]
            distances = [relative_error(each, undisturbed).mean().item() for each in latents]
            rows.append({"alpha": alpha, "level": level, "block": block, "distance": distances})
            print(f"alpha {alpha}, level {level}: {', '.join(f'{each:.3f}' for each in distances)}", flush=True)
    return {"model": model.stem, "split": split, "cases": count, "steps": STEPS, "starts": STARTS, "rows": rows}


def disturbed(studio, chosen, block: int, alpha: float, start: int):
    """The final latents (n, 12, 32, 32) when `block` is disturbed from step `start` on."""
    import torch

    from clockwork_pack.benchmarks.yardsticks.levels import on_output, perturbed

    generator = torch.Generator().manual_seed(NOISE_SEED)
    calls = 0

    def disturb(features):
        # One call of the UNet is one step: cond and uncond fit into one batch, and dpmpp_2m evaluates once a step.
        nonlocal calls
        step, calls = calls % STEPS, calls + 1
        return perturbed(features, alpha, generator) if step >= start else None

    with on_output(studio.model.model.diffusion_model, block, disturb):
        latents = studio.draw(studio.model, chosen, STEPS).latents
    batches = -(-len(chosen) // studio.batch)
    if calls != STEPS * batches:
        raise RuntimeError(f"The UNet was called {calls} times, not {STEPS} times for each of {batches} batches.")
    return latents


def plot(results: dict[str, Any], path: Path) -> None:
    """A panel for each alpha, a line for each level."""
    from clockwork_pack.benchmarks.yardsticks.plots import panels, save

    figure, axes = panels(len(ALPHAS))
    for ax, alpha in zip(axes, ALPHAS, strict=True):
        for row in results["rows"]:
            if row["alpha"] == alpha:
                ax.plot(results["starts"], row["distance"], "o-", label=f"level {row['level']} (block {row['block']})")
        ax.set_title(f"alpha {alpha}")
        ax.set_xlabel(f"disturbed from this step of {STEPS} on")
        ax.set_ylabel("relative distance of the final latent")
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize="small", title="level 0 = highest resolution")
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo_model" / "pocket.safetensors")
    parser.add_argument("--split", choices=("tuning", "held-out"), default="held-out")
    parser.add_argument("--cases", type=int, default=8)
    options = parser.parse_args()
    prepare_host(cpu=True)
    load_pack()
    results = measure(options.model, options.split, options.cases)
    name = f"perturbation-{options.model.stem}"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results) + "\n")
    plot(results, IMAGES / f"yardsticks-{name}.png")


if __name__ == "__main__":
    main()
