"""How much the features of neighbouring evaluations differ, by resolution level, at 8, 20 and 50 steps.

Measured is ||f(t) - f(t-1)|| / ||f(t)|| of the last output block of each level, cond and uncond, without Clockwork:
what an identity adaptor gets wrong when it acts at that level.

    ./run bench similarity [--model FILE] [--cases N] [--split tuning|held-out]

Writes benchmarks/results/similarity-MODEL.json and docs/images/yardsticks-similarity-MODEL.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"
STEP_COUNTS = (8, 20, 50)


def measure(model: Path, split: str, count: int) -> dict[str, Any]:
    """Relative changes by step count, level and evaluation."""
    from clockwork_pack.benchmarks.yardsticks.cases import Split, cases
    from clockwork_pack.benchmarks.yardsticks.studio import Studio

    studio = Studio(model)
    if count > studio.batch:
        raise ValueError(f"--cases is {count}, but all must fit into one batch of {studio.batch}.")
    chosen = cases(studio.icons, studio.colours, Split(split), count)
    rows = []
    for steps in STEP_COUNTS:
        for level, changes in relative_changes(studio, chosen, steps).items():
            rows.append({"steps": steps, "level": level, "change": changes})
            print(f"{steps} steps, level {level}: {', '.join(f'{each:.2f}' for each in changes)}", flush=True)
    return {"model": model.stem, "split": split, "cases": count, "rows": rows}


def relative_changes(studio, chosen, steps: int) -> dict[int, list[float]]:
    """For each level the change at evaluations 1, 2, …, averaged over pictures and streams."""
    from clockwork_pack.benchmarks.yardsticks.levels import last_blocks, on_output
    from clockwork_pack.clockwork_core.metrics import relative_error

    unet = studio.model.model.diffusion_model
    blocks = last_blocks(unet)
    features = {level: [] for level in sorted(blocks)}
    with ExitStack() as stack:
        for level, block in blocks.items():
            # list.append returns None: the features stay as they are.
            stack.enter_context(on_output(unet, block, features[level].append))
        studio.draw(studio.model, chosen, steps)
    return {
        level: [relative_error(before, after).mean().item() for before, after in pairwise(seen)]
        for level, seen in features.items()
    }


def plot(results: dict[str, Any], path: Path) -> None:
    """A panel for each step count, a line for each level."""
    from clockwork_pack.benchmarks.yardsticks.plots import panels, save

    figure, axes = panels(len(STEP_COUNTS))
    for ax, steps in zip(axes, STEP_COUNTS, strict=True):
        for row in results["rows"]:
            if row["steps"] == steps:
                ax.plot(range(1, steps), row["change"], ".-", label=f"level {row['level']}")
        ax.set_title(f"{steps} steps")
        ax.set_xlabel("evaluation")
        ax.set_ylabel("relative change of the features")
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize="small", title="level 0 = highest resolution")
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo_model" / "pocket.safetensors")
    parser.add_argument("--split", choices=("tuning", "held-out"), default="held-out")
    parser.add_argument("--cases", type=int, default=16)
    options = parser.parse_args()
    prepare_host(cpu=True)
    load_pack()
    results = measure(options.model, options.split, options.cases)
    name = f"similarity-{options.model.stem}"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results) + "\n")
    plot(results, IMAGES / f"yardsticks-{name}.png")


if __name__ == "__main__":
    main()
