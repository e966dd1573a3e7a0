"""Adaptors fitted and trained, the paper's ablations among them, on pictures; from prompts only.

Mean PSNR in dB against the uncached pictures of the same step count, of 64 prompts whose icons no adaptor has seen,
with 95% bootstrap intervals; beside it the built-in adaptors, and fewer steps of about the same cost.

    ./run bench adaptors [--model FILE] [--tables fit architectures losses ...] [--iterations N] [--cases N]

Adaptors are kept in .cache/adaptors/MODEL/ and made once; a call that is stopped goes on where it was. Writes
benchmarks/results/adaptors-MODEL.json after each of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo_model" / "pocket.safetensors")
    parser.add_argument("--tables", nargs="+", default=[], help="only these")
    parser.add_argument("--only", nargs="+", default=[], help="only experiments of these keys, as in the results")
    parser.add_argument("--cases", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--trajectories", type=int, default=160)
    parser.add_argument("--print", action="store_true", help="only print the tables measured so far")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    options = _options()
    prepare_host(cpu=True)
    load_pack()
    from clockwork_pack.benchmarks.adaptors.bench import Bench
    from clockwork_pack.benchmarks.adaptors.experiments import EXPERIMENTS
    from clockwork_pack.benchmarks.adaptors.plans import Lessons
    from clockwork_pack.benchmarks.adaptors.tables import markdown

    results = ROOT / "benchmarks" / "results" / f"adaptors-{options.model.stem}.json"
    rows = _read(results)
    if options.print:
        print(markdown(rows))
        return
    budget = {
        "iterations": options.iterations,
        "batch": options.batch,
        "trajectories": options.trajectories,
    }
    lessons = Lessons(options.model, ROOT / ".cache" / "pocket")
    bench = Bench(lessons, ROOT / ".cache" / "adaptors" / options.model.stem, options.cases, budget)
    for experiment in EXPERIMENTS:
        if options.tables and experiment.table not in options.tables:
            continue
        if options.only and experiment.key not in options.only:
            continue
        if experiment.key in rows:
            continue
        adaptor, seconds = bench.adaptor(experiment, _say)
        row = {
            "table": experiment.table,
            "name": experiment.name,
            "numbers": sum(weight.numel() for weight in adaptor.network.state_dict().values()),
            "held_out_error": adaptor.description.loss,
            "processor_seconds": seconds,
            "cases": options.cases,
            **({} if experiment.architecture == "affine" else budget),
            "points": [bench.point(experiment, adaptor, steps, clock, _say) for steps, clock in experiment.points],
        }
        for point in row["points"]:
            point["errors"] = bench.errors(experiment, adaptor, point["steps"], point["clock"])
        # Another call may have measured others meanwhile.
        rows = {**_read(results), experiment.key: row}
        results.write_text(json.dumps(rows, indent=1) + "\n")


def _read(results: Path) -> dict[str, Any]:
    return json.loads(results.read_text()) if results.exists() else {}


if __name__ == "__main__":
    main()
