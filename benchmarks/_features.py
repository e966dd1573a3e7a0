"""The command line that the benchmarks of a model's features share."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"


def main(name: str, description: str, cases: int) -> None:
    """Measure with the module yardsticks/NAME and plot. cases: how many pictures, unless the user says otherwise.

    Writes benchmarks/results/NAME-MODEL.json and docs/images/yardsticks-NAME-MODEL.png.
    """
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo_model" / "pocket.safetensors")
    parser.add_argument("--split", choices=("tuning", "held-out"), default="held-out")
    parser.add_argument("--cases", type=int, default=cases)
    options = parser.parse_args()
    prepare_host(cpu=True)
    pack = load_pack()
    from clockwork_pack.benchmarks.yardsticks.cases import Split
    from clockwork_pack.benchmarks.yardsticks.cases import cases as choose
    from clockwork_pack.benchmarks.yardsticks.studio import Studio

    benchmark = importlib.import_module(f"{pack.__name__}.benchmarks.yardsticks.{name}")
    studio = Studio(options.model)
    chosen = choose(studio.icons, studio.colours, Split(options.split), options.cases)
    rows = benchmark.measure(studio, chosen, lambda line: print(line, flush=True))
    results = {"model": options.model.stem, "split": options.split, "cases": options.cases, "rows": rows}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}-{options.model.stem}.json").write_text(json.dumps(results) + "\n")
    benchmark.plot(rows, IMAGES / f"yardsticks-{name}-{options.model.stem}.png")
