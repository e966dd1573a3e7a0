"""The damped extrapolation beside the identity and fewer steps at equal compute. On the pocket model.

Mean PSNR in dB against the uncached picture of the same step count, the same seeds for all. "gain" is the mean over
pictures of extrapolation minus identity, with its standard error. The damping rule was chosen on other prompts and
another seed (--choose). Writes benchmarks/results/extrapolation.json.

    ./run bench extrapolation [--choose]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from fewer_steps import CFG, PROMPTS, PocketSampler  # noqa: E402
from in_process import load_pack, prepare_host  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "extrapolation.json"
# Pictures for each step count: the longest runs are dear.
PICTURES = {8: 16, 12: 16, 20: 16, 30: 6}
CHOOSING_STEPS = (8, 12, 20)
CLOCKS = (2, 3, 4)
SEEDS = (7,)
CHOOSING_PROMPTS = (
    "cat", "green apple", "taco on a gray background", "ghost on a red background",
    "lemon on a blue background", "ship",
)  # fmt: skip
CHOOSING_SEEDS = (3,)
# The damping as a function of the gap in lambda.
RULES = {
    "0.25": lambda _gap: 0.25,
    "0.5": lambda _gap: 0.5,
    "0.75": lambda _gap: 0.75,
    "0.75 (1 - gap / 0.85)": lambda gap: 0.75 * max(0.0, 1.0 - gap / 0.85),
    "exp(-2.5 gap)": lambda gap: math.exp(-2.5 * gap),
    "0.65 exp(-(gap / 0.5)²)": lambda gap: 0.65 * math.exp(-((gap / 0.5) ** 2)),
}


def clocked(sampler: PocketSampler, steps: int, clock: int, adaptor, reference):
    """PSNR of each picture, and the cost of a run in full-pass equivalents."""
    from clockwork_pack.clockwork_core.metrics import psnr
    from clockwork_pack.clockwork_core.runtime import reports_of
    from clockwork_pack.nodes.apply import ClockworkApply

    patched = ClockworkApply.execute(sampler.model, clock, "stage 1", 3, 0.0, 1.0, adaptor=adaptor).result[0]
    pictures = sampler.draw(patched, steps)
    spent, full = reports_of(patched).latest.flops()
    return psnr(pictures, reference), steps * spent / full


def report_rows(steps: int, sampler: PocketSampler) -> list[dict]:
    """One row for each clock."""
    from clockwork_pack.adaptors import Extrapolation, Identity
    from clockwork_pack.clockwork_core.metrics import psnr

    drawn: dict[int, object] = {}

    def uncached(steps: int):
        if steps not in drawn:
            drawn[steps] = sampler.draw(sampler.model, steps)
        return drawn[steps]

    rows = []
    for clock in CLOCKS:
        identity, cost = clocked(sampler, steps, clock, Identity(), uncached(steps))
        extrapolation, _ = clocked(sampler, steps, clock, Extrapolation(), uncached(steps))
        gain, fewer = extrapolation - identity, round(cost)
        rows.append(
            {
                "steps": steps,
                "clock": clock,
                "full_pass_equivalents": cost,
                "psnr_identity": identity.mean().item(),
                "psnr_extrapolation": extrapolation.mean().item(),
                "gain": gain.mean().item(),
                "gain_standard_error": (gain.std() / len(gain) ** 0.5).item(),
                "fewer_steps": fewer,
                "psnr_fewer_steps": psnr(uncached(fewer), uncached(steps)).mean().item(),
                "pictures": len(gain),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def choosing_rows(sampler: PocketSampler) -> list[dict]:
    """Each damping rule beside the identity, on the choosing pictures."""
    from clockwork_pack.adaptors import Extrapolation, Identity

    class WithRule(Extrapolation):
        def __init__(self, rule) -> None:
            super().__init__()
            object.__setattr__(self, "damping", rule)

    rows = []
    for steps in CHOOSING_STEPS:
        reference = sampler.draw(sampler.model, steps)
        for clock in CLOCKS:
            adaptors = {"identity": Identity(), **{name: WithRule(rule) for name, rule in RULES.items()}}
            scores = {
                name: clocked(sampler, steps, clock, adaptor, reference)[0].mean().item()
                for name, adaptor in adaptors.items()
            }
            rows.append({"steps": steps, "clock": clock, "psnr": scores})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--choose", action="store_true", help="compare the damping rules instead")
    choose = parser.parse_args().choose
    prepare_host(cpu=True)
    load_pack()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    settings = {"model": "pocket", "sampler": "dpmpp_2m, karras", "cfg": CFG}
    if choose:
        rows = choosing_rows(PocketSampler(CHOOSING_PROMPTS, CHOOSING_SEEDS))
        results["choosing"] = {**settings, "pictures": len(CHOOSING_PROMPTS), "rows": rows}
    else:
        samplers = {steps: PocketSampler(PROMPTS[:pictures], SEEDS) for steps, pictures in PICTURES.items()}
        rows = [row for steps, sampler in samplers.items() for row in report_rows(steps, sampler)]
        results["report"] = {**settings, "rows": rows}
    RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
