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

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo_model" / "pocket.safetensors")
    parser.add_argument("--split", choices=("tuning", "held-out"), default="held-out")
    parser.add_argument("--cases", type=int, default=4)
    options = parser.parse_args()
    prepare_host(cpu=True)
    load_pack()
    from clockwork_pack.benchmarks.yardsticks import perturbation
    from clockwork_pack.benchmarks.yardsticks.cases import Split, cases
    from clockwork_pack.benchmarks.yardsticks.studio import Studio

    studio = Studio(options.model)
    chosen = cases(studio.icons, studio.colours, Split(options.split), options.cases)
    rows = perturbation.measure(studio, chosen, lambda line: print(line, flush=True))
    name = f"perturbation-{options.model.stem}"
    results = {
        "model": options.model.stem,
        "split": options.split,
        "cases": options.cases,
        "starts": perturbation.STARTS,
        "rows": rows,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results) + "\n")
    perturbation.plot(rows, IMAGES / f"yardsticks-{name}.png")


if __name__ == "__main__":
    main()
