"""Seconds and FLOPs of a full and of an adaptor evaluation, on UNets of true geometry with random weights.

One run of the host's KSampler per model, with Clockwork at clock 2, so that full and adaptor evaluations alternate
within it and see the same weather on the machine. Writes benchmarks/results/passes.json.

    ./run bench passes [sd15] [sdxl] [--steps N]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Python put this folder here; the tools are what a benchmark needs.
sys.path[0] = str(ROOT / "tools")

from in_process import load_pack, prepare_host  # noqa: E402
from make_checkpoint import make_checkpoint  # noqa: E402

CHECKPOINTS = ROOT / ".cache" / "checkpoints"
RESULTS = ROOT / "benchmarks" / "results" / "passes.json"
KINDS = ("sd15", "sdxl")
PIXELS = {"sd15": 512, "sdxl": 1024}
STEPS = {"sd15": 8, "sdxl": 6}


def measure(kind: str, steps: int) -> dict:
    """Sample once with Clockwork at clock 2, cut stage 1, and return what the report says of the evaluations."""
    import comfy.sample
    import comfy.sd
    import torch

    from clockwork_pack.nodes.apply import ClockworkApply

    path = CHECKPOINTS / f"clockwork_{kind}_random.safetensors"
    make_checkpoint(kind, path)
    model, clip, *_ = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=False)
    positive, negative = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a photo of a clock", ""))
    del clip
    patched = ClockworkApply.execute(model, 2, "stage 1", 3, 0.0, 1.0).result[0]
    latent = torch.zeros(1, 4, PIXELS[kind] // 8, PIXELS[kind] // 8)
    noise = comfy.sample.prepare_noise(latent, 0)
    with torch.inference_mode():
        comfy.sample.sample(
            patched, noise, steps, 7.0, "dpmpp_2m", "karras", positive, negative, latent, seed=0, disable_pbar=False
        )
    return summary(patched, kind)


def summary(patched, kind: str) -> dict:
    """The figures of the run that `patched` has just made."""
    from clockwork_pack.clockwork_core.runtime import reports_of
    from clockwork_pack.clockwork_core.schedule import Kind

    report = reports_of(patched).latest
    data = report.to_dict()
    seconds = {
        each: [round(e.seconds, 3) for e in report.evaluations if e.kind is each] for each in (Kind.FULL, Kind.ADAPTOR)
    }
    # The very first evaluation warms up.
    full, adaptor = statistics.median(seconds[Kind.FULL][1:]), statistics.median(seconds[Kind.ADAPTOR])
    return {
        "model": kind,
        "pixels": PIXELS[kind],
        "steps": len(report.evaluations),
        "sampler": "dpmpp_2m, karras, cfg 7, batch 1",
        "seconds_full": seconds[Kind.FULL],
        "seconds_adaptor": seconds[Kind.ADAPTOR],
        "median_seconds_full": full,
        "median_seconds_adaptor": adaptor,
        "seconds_ratio": adaptor / full,
        "flops_ratio": flops_ratio(report),
        "run_flops_saved_percent": data["flops_saved_percent"],
        "run_seconds": data["seconds"],
        "trace_peak_mb": data["trace_peak_bytes"] / 1e6,
    }


def flops_ratio(report) -> float:
    """FLOPs of an adaptor call over those of a full one, at the latent size of the run."""
    from clockwork_pack.clockwork_core.cost import count_passes
    from clockwork_pack.clockwork_core.schedule import Kind

    shape = next(iter(report.shapes[Kind.ADAPTOR]))
    return count_passes(report.unet_config, shape, report.cut).ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="|".join(KINDS), help="default: all")
    parser.add_argument("--steps", type=int, help="sampler steps; default 8 for sd15, 6 for sdxl")
    options = parser.parse_args()
    unknown = set(options.models) - set(KINDS)
    if unknown:
        parser.error(f"{unknown.pop()!r} is not one of {', '.join(KINDS)}")
    import torch

    prepare_host(cpu=not torch.accelerator.is_available())
    load_pack()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for kind in options.models or KINDS:
        results[kind] = {
            **measure(kind, options.steps or STEPS[kind]),
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        }
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps(results[kind], indent=2))


if __name__ == "__main__":
    main()
