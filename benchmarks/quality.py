"""Quality of Clockwork beside its peer, fewer steps: agreement, Frechet distance, PSNR, SSIM, FLOPs and seconds.

All variants draw the same prompts from the same seeds. PSNR and SSIM are against the uncached picture of the same step
count ("uncached") and of many steps ("converged"); intervals are 95% bootstrap intervals over the prompts.

    ./run bench quality [--model FILE] [--split tuning|held-out] [--cases N] [--steps 8 20] [--variants "8 clock=2" ...]

Writes benchmarks/results/quality-MODEL.json (with --variants, only their rows of it) and
docs/images/yardsticks-quality-MODEL.png; for the held-out split also the pictures of 25 steps,
docs/images/yardsticks-grid-MODEL.png.
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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo_model" / "pocket.safetensors")
    parser.add_argument("--split", choices=("tuning", "held-out"), default="held-out")
    parser.add_argument("--cases", type=int, default=64, help="how many pictures each variant draws")
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 20], help="step counts that Clockwork is tried at")
    parser.add_argument("--variants", nargs="+", default=[], help='instead: such as "8 clock=2 cut=1 start=0.2"')
    parser.add_argument("--sampler", default="dpmpp_2m", help="euler for a distilled model")
    parser.add_argument("--cfg", type=float, default=4.0, help="1 for a distilled model")
    parser.add_argument("--grid-steps", type=int, default=25, help="of the pictures that are kept")
    parser.add_argument("--converged-steps", type=int, default=200, help="a distilled model has only its own number")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All that the file of results holds; draws the grid on the way."""
    import torch

    from clockwork_pack.benchmarks.judge.network import load_judge
    from clockwork_pack.benchmarks.yardsticks import comparison, studio, variants
    from clockwork_pack.benchmarks.yardsticks.cases import Split, cases
    from clockwork_pack.benchmarks.yardsticks.grids import save_grid

    drawer, judge = studio.Studio(options.model, options.sampler, options.cfg), load_judge()
    chosen = cases(drawer.icons, drawer.colours, Split(options.split), options.cases)
    if options.split == Split.HELD_OUT.value:
        grid = drawer.draw(drawer.model, chosen, options.grid_steps).pictures
        save_grid(grid, IMAGES / f"yardsticks-grid-{options.model.stem}.png")
    compared = [variants.Variant.parse(each) for each in options.variants] or variants.compared(tuple(options.steps))
    converged = drawer.draw(drawer.model, chosen, options.converged_steps).pictures
    return {
        "model": options.model.stem,
        "split": options.split,
        "cases": options.cases,
        "sampler": f"{options.sampler}, {studio.SCHEDULER}",
        "cfg": options.cfg,
        "converged_steps": options.converged_steps,
        "threads": torch.get_num_threads(),
        "rows": comparison.compare(drawer, chosen, compared, judge, converged, lambda line: print(line, flush=True)),
    }


def with_earlier_rows(results: dict[str, Any], path: Path) -> dict[str, Any]:
    """The results, with the rows of other variants that the file holds from a run with the same settings."""
    if not path.is_file():
        return results
    earlier = json.loads(path.read_text())
    if any(earlier[name] != results[name] for name in ("model", "split", "cases", "sampler", "cfg", "converged_steps")):
        return results
    measured = {row["variant"] for row in results["rows"]}
    return {**results, "rows": [row for row in earlier["rows"] if row["variant"] not in measured] + results["rows"]}


def main() -> None:
    options = _options()
    prepare_host(cpu=True)
    load_pack()
    results = measure(options)
    from clockwork_pack.benchmarks.yardsticks.plots import plot_quality
    from clockwork_pack.benchmarks.yardsticks.tables import markdown_table

    RESULTS.mkdir(parents=True, exist_ok=True)
    name = f"quality-{options.model.stem}"
    path = RESULTS / f"{name}.json"
    if options.variants:
        results = with_earlier_rows(results, path)
    path.write_text(json.dumps(results, indent=1) + "\n")
    plot_quality(results["rows"], IMAGES / f"yardsticks-{name}.png")
    print(markdown_table(results["rows"]))


if __name__ == "__main__":
    main()
