"""Adaptors in closed form beside the built-in ones, and beside fewer steps for at least the same FLOPs.

PSNR in dB against the uncached picture of the same step count, with 95% bootstrap intervals. Fitted on the tuning split
of 35 icons, reported on the held-out split of the others.

    ./run bench fit [--model FILE] [--cases N] [--pictures N]

Writes benchmarks/results/fit-MODEL.json, row by row.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
# Steps and clock.
POINTS = ((8, 2), (8, 3), (20, 2), (20, 3), (20, 4))
KEPT_BLOCKS = 3
# Of 48; the 13 others, on half of the colours, make 65 held-out cases.
ICONS_TO_FIT_ON = 35


class Bench:
    """A model, what is fitted on and what is reported on."""

    def __init__(self, model: Path, cases: int, pictures: int) -> None:
        from clockwork_pack.benchmarks.yardsticks import studio
        from clockwork_pack.benchmarks.yardsticks.cases import Split
        from clockwork_pack.benchmarks.yardsticks.cases import cases as cases_of

        self.studio = studio.Studio(model)
        icons, colours = self.studio.icons, self.studio.colours
        self.learned = cases_of(icons[:ICONS_TO_FIT_ON], colours, Split.TUNING, pictures)
        self.cases = cases_of(icons[ICONS_TO_FIT_ON:], colours, Split.HELD_OUT, cases)

    def rows(self) -> Iterator[dict[str, Any]]:
        from clockwork_pack.adaptors import BUILT_IN

        uncached: dict[int, Any] = {}
        for steps, clock in POINTS:
            if steps not in uncached:
                uncached[steps] = self.studio.draw(self.studio.model, self.cases, steps).pictures
            point = {"steps": steps, "clock": clock}
            yield {**point, "adaptor": "identity", **self.measure(BUILT_IN["identity"](), steps, clock, uncached)}
            fitted, facts = self.fit(steps, clock, guided=True)
            row = {**point, "adaptor": "affine", **self.measure(fitted, steps, clock, uncached), **facts}
            yield row
            fewer = math.ceil(row["full_pass_equivalents"])
            pictures = self.studio.draw(self.studio.model, self.cases, fewer).pictures
            same = {"full_pass_equivalents": float(fewer), "psnr": self.psnr(pictures, uncached[steps])}
            yield {**point, "adaptor": f"none: {fewer} full steps", **same}
            extrapolation = self.measure(BUILT_IN["extrapolation"](), steps, clock, uncached)
            yield {**point, "adaptor": "extrapolation", **extrapolation}
            plain, facts = self.fit(steps, clock, guided=False)
            found = self.measure(plain, steps, clock, uncached)
            yield {**point, "adaptor": "affine, cond and uncond by themselves", **found, **facts}

    def fit(self, steps: int, clock: int, guided: bool) -> tuple[Any, dict[str, Any]]:
        """An adaptor, and what is to be known of its fit."""
        import torch

        from clockwork_pack.adaptors.training.fit import FitPlan, fit
        from clockwork_pack.adaptors.training.point import OperatingPoint
        from clockwork_pack.adaptors.training.prompts import Conditioning
        from clockwork_pack.benchmarks.yardsticks.studio import LATENT, SCHEDULER

        encoded = Conditioning.all_of(self.studio.encode([case.prompt for case in self.learned]), "prompts")
        negative = Conditioning.all_of(self.studio.encode([""]), "negative")[0]
        point = OperatingPoint(steps, self.studio.sampler, SCHEDULER, self.studio.cfg, clock)
        begun, used = time.monotonic(), time.process_time()
        found = fit(
            FitPlan(
                self.studio.model, encoded, negative, torch.zeros(1, *LATENT), point, KEPT_BLOCKS,
                pictures=len(self.learned), seed=self.learned[0].seed, guided=guided,
            )
        )  # fmt: skip
        facts = {
            "seconds": time.monotonic() - begun,
            "processor_seconds": time.process_time() - used,
            "output_error_share": [quality.output for quality in found.qualities],
            "r_out_error_share": [quality.r_out for quality in found.qualities],
        }
        return found.adaptor, facts

    def measure(self, adaptor: Any, steps: int, clock: int, uncached: dict[int, Any]) -> dict[str, Any]:
        """PSNR and cost of a run with an adaptor."""
        from clockwork_pack.nodes.apply import ClockworkApply

        patched = ClockworkApply.execute(
            self.studio.model, clock, "custom", KEPT_BLOCKS, 0.0, 1.0, None, adaptor
        ).result[0]
        drawn = self.studio.draw(patched, self.cases, steps)
        spent, full = (sum(parts) for parts in zip(*(report.flops() for report in drawn.reports), strict=True))
        return {
            "full_pass_equivalents": steps * spent / full,
            "psnr": self.psnr(drawn.pictures, uncached[steps]),
        }

    @staticmethod
    def psnr(pictures: Any, reference: Any) -> list[float]:
        """[mean, low, high] over the cases."""
        from clockwork_pack.benchmarks.yardsticks.intervals import bootstrap
        from clockwork_pack.clockwork_core.metrics import psnr

        return list(bootstrap(psnr(pictures, reference).numpy()))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "demo_model" / "pocket.safetensors")
    parser.add_argument("--cases", type=int, default=64, help="how many pictures each row is measured on")
    parser.add_argument("--pictures", type=int, default=35, help="how many pictures each adaptor is fitted on")
    options = parser.parse_args()
    prepare_host(cpu=True)
    load_pack()
    import torch

    rows = []
    for row in Bench(options.model, options.cases, options.pictures).rows():
        rows.append(row)
        print(json.dumps(row), flush=True)
        facts = {"cases": options.cases, "pictures": options.pictures, "threads": torch.get_num_threads()}
        results = {"model": options.model.stem, **facts, "rows": rows}
        (RESULTS / f"fit-{options.model.stem}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
