"""The demo: the same pictures by a real ComfyUI, without and with Clockwork, and what that saved.

Runs example_workflows/text-to-image-demo-model.json as a user would, for a few prompts, and writes to out/demo/.
"""

from __future__ import annotations

import io
import json
import math
import statistics
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from comfy_server import ComfyServer, ServerError, seconds_of
from demo_picture import grid, sheet
from host_command import ROOT
from PIL import Image
from workflow import BYPASSED, to_api_prompt

WORKFLOW = ROOT / "example_workflows" / "text-to-image-demo-model.json"
OUTPUT = ROOT / "out" / "demo"
BASE = ROOT / ".base"

PROMPTS = (
    "red apple on a blue background",
    "tiger on a yellow background",
    "lemon on a purple background",
    "strawberry",
    "ghost on a black background",
    "tomato on a green background",
)
# Of a seed that no picture has: the host would not sample again what it has sampled.
WARM_UP_SEED_OFFSET = 1000


@dataclass(frozen=True)
class Drawing:
    """What one run of the workflow gave."""

    prompt: str
    seconds: float
    pictures: tuple[Image.Image, ...]
    report: dict[str, Any] | None


class Studio:
    """The example workflow on a server, with the prompt and the seed left open."""

    def __init__(self, server: ComfyServer, workflow: dict[str, Any], object_info: dict[str, Any]) -> None:
        self._server = server
        self._graph = to_api_prompt(workflow, object_info)
        self._sampler = self._inputs("KSampler")
        # The report shows a picture, too.
        self._saver = next(key for key, node in self._graph.items() if node["class_type"] == "SaveImage")
        self.steps: int = self._sampler["steps"]
        self.seed: int = self._sampler["seed"]

    def draw(self, prompt: str, seed: int) -> Drawing:
        """Run the workflow."""
        positive = self._sampler["positive"][0]
        self._graph[positive]["inputs"]["text"] = prompt
        self._sampler["seed"] = seed
        entry = self._server.wait(self._server.queue(self._graph))
        files = entry["outputs"][self._saver]["images"]
        pictures = tuple(Image.open(io.BytesIO(self._server.view(**file))).convert("RGB") for file in files)
        return Drawing(prompt, seconds_of(entry), pictures, report_of(entry))

    def _inputs(self, class_type: str) -> dict[str, Any]:
        return next(node["inputs"] for node in self._graph.values() if node["class_type"] == class_type)


def bypass(workflow: dict[str, Any], node_type: str) -> dict[str, Any]:
    """A copy of the workflow in which the nodes of this type pass their input on."""
    copy = deepcopy(workflow)
    for node in copy["nodes"]:
        if node["type"] == node_type:
            node["mode"] = BYPASSED
    return copy


def report_of(entry: dict[str, Any]) -> dict[str, Any] | None:
    """The data of the Clockwork Report node; None where it had nothing to report."""
    for output in entry["outputs"].values():
        if "clockwork_report" in output:
            return json.loads(output["clockwork_report"][0])
    return None


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB; infinite if the two are the same."""
    error = np.mean((np.asarray(first, np.float64) - np.asarray(second, np.float64)) ** 2)
    return math.inf if error == 0 else float(10.0 * np.log10(255.0**2 / error))


def draw_all(server: ComfyServer) -> tuple[list[Drawing], list[Drawing], dict[str, Any]]:
    """All prompts without and with Clockwork, in turns, so that what else the machine does hits both alike."""
    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    object_info = server.object_info()
    plain = Studio(server, bypass(workflow, "ClockworkApply"), object_info)
    clockwork = Studio(server, workflow, object_info)
    settings = {"workflow": WORKFLOW.relative_to(ROOT).as_posix(), "steps": plain.steps, "seed": plain.seed}
    say("Warming up, once with each …")
    for studio in (plain, clockwork):
        studio.draw(PROMPTS[0], studio.seed + WARM_UP_SEED_OFFSET)
    pairs = []
    for prompt in PROMPTS:
        pair = plain.draw(prompt, plain.seed), clockwork.draw(prompt, clockwork.seed)
        say(f"{prompt}: {pair[0].seconds:.2f} s, with Clockwork {pair[1].seconds:.2f} s")
        pairs.append(pair)
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs], settings


def summarize(plain: list[Drawing], clockwork: list[Drawing]) -> dict[str, Any]:
    """The numbers of the whole demo: medians over the prompts for time, means over the pictures for likeness."""
    likeness = [
        [psnr(*pair) for pair in zip(before.pictures, after.pictures, strict=True)]
        for before, after in zip(plain, clockwork, strict=True)
    ]
    mean_likeness = statistics.fmean(value for values in likeness for value in values)
    saved = [report["flops_saved_percent"] for drawing in clockwork if (report := drawing.report)]
    known = [percent for percent in saved if percent is not None]
    seconds, clockwork_seconds = (statistics.median(d.seconds for d in drawings) for drawings in (plain, clockwork))
    return {
        "pictures_per_prompt": len(plain[0].pictures),
        "median_seconds": seconds,
        "median_seconds_clockwork": clockwork_seconds,
        "speedup": seconds / clockwork_seconds,
        # None stands for pictures that are equal, bit for bit.
        "mean_psnr_db": mean_likeness if math.isfinite(mean_likeness) else None,
        "flops_saved_percent": statistics.fmean(known) if known else None,
        "prompts": [
            {
                "prompt": before.prompt,
                "seconds": before.seconds,
                "seconds_clockwork": after.seconds,
                "psnr_db": [value if math.isfinite(value) else None for value in values],
            }
            for before, after, values in zip(plain, clockwork, likeness, strict=True)
        ],
    }


def captions(summary: dict[str, Any], steps: int) -> tuple[str, str]:
    """What stands over the two rows of pictures."""
    db, saved = summary["mean_psnr_db"], summary["flops_saved_percent"]
    facts = [
        f"{summary['median_seconds_clockwork']:.2f} s",
        "the same pictures" if db is None else f"PSNR {db:.1f} dB",
        *([] if saved is None else [f"{saved:.0f}% fewer FLOPs"]),
    ]
    return (
        f"ComfyUI, {steps} steps, {summary['median_seconds']:.2f} s for {summary['pictures_per_prompt']} pictures",
        f"with Clockwork, {steps} steps, {', '.join(facts)}",
    )


def write_results(plain: list[Drawing], clockwork: list[Drawing], facts: dict[str, Any]) -> tuple[str, str]:
    """Fill out/demo/; return the captions."""
    summary = summarize(plain, clockwork)
    before, after = captions(summary, facts["steps"])
    OUTPUT.mkdir(parents=True, exist_ok=True)
    columns = [[drawing.pictures for drawing in drawings] for drawings in (plain, clockwork)]
    grid(columns[0]).save(OUTPUT / "baseline.png")
    grid(columns[1]).save(OUTPUT / "clockwork.png")
    sheet([(before, columns[0]), (after, columns[1])], PROMPTS).save(OUTPUT / "side-by-side.png")
    report = {**facts, **summary, "clockwork": [drawing.report for drawing in clockwork]}
    (OUTPUT / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return before, after


def machine(server: ComfyServer) -> dict[str, Any]:
    """On what the seconds were measured."""
    stats = server.system_stats()
    return {
        "comfyui": stats["system"]["comfyui_version"],
        "torch": stats["system"]["pytorch_version"],
        "device": stats["devices"][0]["name"],
    }


def say(line: str) -> None:
    """Print a progress line at once."""
    print(f"[demo] {line}", flush=True)


def main() -> int:
    """Run the demo; return the exit status."""
    start = time.monotonic()
    say("Starting ComfyUI (about 10 s) …")
    try:
        with ComfyServer(BASE) as server:
            plain, clockwork, settings = draw_all(server)
            facts = {**settings, **machine(server)}
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for caption in write_results(plain, clockwork, facts):
        say(caption)
    say(f"Pictures and numbers are in {OUTPUT.relative_to(ROOT)} ({time.monotonic() - start:.0f} s in all).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
