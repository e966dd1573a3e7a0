"""The demo's numbers and pictures, from made-up drawings."""

import json

import demo
import pytest
from PIL import Image


def drawing(seconds: float, colour: int, saved: float | None = None) -> demo.Drawing:
    report = None if saved is None else {"flops_saved_percent": saved}
    return demo.Drawing("tiger", seconds, (Image.new("RGB", (256, 256), (colour,) * 3),) * 3, report)


def test_psnr_by_hand():
    black, white = Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), "white")
    assert demo.psnr(black, white) == 0.0
    assert demo.psnr(black, Image.new("RGB", (4, 4), (51, 51, 51))) == pytest.approx(13.979, abs=1e-3)


def test_the_summary():
    plain = [drawing(2.0, 0), drawing(4.0, 0), drawing(60.0, 0)]
    clockwork = [drawing(2.5, 51, 40.0), drawing(2.0, 51, 42.0), drawing(1.0, 51, None)]
    summary = demo.summarize(plain, clockwork)
    assert (summary["median_seconds"], summary["median_seconds_clockwork"], summary["speedup"]) == (4.0, 2.0, 2.0)
    assert summary["flops_saved_percent"] == 41.0
    assert demo.captions(summary, 20) == (
        "ComfyUI, 20 steps, 4.00 s for 3 pictures",
        "with Clockwork, 20 steps, 2.00 s, PSNR 14.0 dB, 41% fewer FLOPs",
    )


def test_equal_pictures_and_no_report_are_said_plainly():
    summary = demo.summarize([drawing(2.0, 9)], [drawing(1.0, 9)])
    assert demo.captions(summary, 20)[1] == "with Clockwork, 20 steps, 1.00 s, the same pictures"
    json.dumps(summary, allow_nan=False)


def test_all_files_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "OUTPUT", tmp_path)
    monkeypatch.setattr(demo, "PROMPTS", ("tiger", "cat"))
    demo.write_results([drawing(2.0, 0)] * 2, [drawing(1.0, 51, 40.0)] * 2, {"steps": 20})
    assert Image.open(tmp_path / "baseline.png").size == Image.open(tmp_path / "clockwork.png").size
    width, height = Image.open(tmp_path / "side-by-side.png").size
    assert width > height / 2
    assert json.loads((tmp_path / "report.json").read_text())["clockwork"][0] == {"flops_saved_percent": 40.0}


def test_the_example_workflow_is_drawn_without_clockwork_too():
    workflow = json.loads(demo.WORKFLOW.read_text(encoding="utf-8"))
    modes = {node["type"]: node["mode"] for node in demo.bypass(workflow, "ClockworkApply")["nodes"]}
    assert modes["ClockworkApply"] == demo.BYPASSED
    assert modes["KSampler"] == 0
    assert all(node["mode"] == 0 for node in workflow["nodes"])
