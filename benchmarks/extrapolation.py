"""How the damping of the extrapolation was chosen: some rules beside the identity, on the tuning split.

Mean PSNR in dB against the uncached picture of the same step count, on the pocket model. What the chosen rule is worth
is reported by `./run bench quality`, on the held-out split. Writes benchmarks/results/extrapolation.json.

    ./run bench extrapolation [--cases N]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "extrapolation.json"
STEPS = (8, 12, 20)
CLOCKS = (2, 3, 4)
# The damping as a function of the gap in lambda.
RULES: dict[str, Callable[[float], float]] = {
    "0.5": lambda _gap: 0.5,
    "0.75 (1 - gap / 0.85)": lambda gap: 0.75 * max(0.0, 1.0 - gap / 0.85),
    "exp(-2.5 gap)": lambda gap: math.exp(-2.5 * gap),
    "exp(-4 gap)": lambda gap: math.exp(-4.0 * gap),
    "0.65 exp(-(gap / 0.35)²)": lambda gap: 0.65 * math.exp(-((gap / 0.35) ** 2)),
    "0.65 exp(-(gap / 0.5)²)": lambda gap: 0.65 * math.exp(-((gap / 0.5) ** 2)),
}


def adaptors() -> dict[str, Any]:
    """The identity, and the extrapolation with each rule."""
    from clockwork_pack.adaptors import Extrapolation, Identity

    class WithRule(Extrapolation):
        def __init__(self, rule: Callable[[float], float]) -> None:
            super().__init__()
            object.__setattr__(self, "damping", rule)

    return {"identity": Identity(), **{name: WithRule(rule) for name, rule in RULES.items()}}


def rows(count: int) -> list[dict[str, Any]]:
    """One for each step count and clock, with the PSNR of each rule."""
    from clockwork_pack.benchmarks.yardsticks.cases import Split, cases
    from clockwork_pack.benchmarks.yardsticks.studio import Studio
    from clockwork_pack.clockwork_core.metrics import psnr
    from clockwork_pack.nodes.apply import ClockworkApply

    studio = Studio()
    chosen = cases(studio.icons, studio.colours, Split.TUNING, count)
    found = []
    for steps in STEPS:
        reference = studio.draw(studio.model, chosen, steps).pictures
        for clock in CLOCKS:
            scores = {}
            for name, adaptor in adaptors().items():
                patched = ClockworkApply.execute(studio.model, clock, "stage 1", 3, 0.0, 1.0, None, adaptor).result[0]
                scores[name] = psnr(studio.draw(patched, chosen, steps).pictures, reference).mean().item()
            found.append({"steps": steps, "clock": clock, "psnr": scores})
            print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=16, help="how many pictures each rule draws")
    count = parser.parse_args().cases
    prepare_host(cpu=True)
    load_pack()
    results = {"model": "pocket", "split": "tuning", "cases": count, "rows": rows(count)}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
