"""What a user does: graphs sent to a real ComfyUI that has loaded the pack from its custom_nodes."""

import json

import graphs
import numpy as np
import pytest
from comfy_server import PromptError
from served import kinds, picture, report, run

pytestmark = pytest.mark.server

NODE_IDS = {"ClockworkApply", "ClockworkSchedule", "ClockworkReport", "ClockworkLoadDemoModel"}


def test_the_pack_is_loaded_without_a_complaint(server):
    assert set(server.object_info()) >= NODE_IDS
    # Without torchaudio two of the host's own node files fail to load; none of our lines may tell of trouble.
    ours = [line for line in server.log.splitlines() if "ComfyUI-Clockwork" in line]
    assert len(ours) == 1, "the line that tells how long the pack took to load"
    assert "IMPORT FAILED" not in ours[0]


@pytest.mark.parametrize("name", graphs.SAMPLER_NODES)
def test_each_sampler_node_and_guider(server, name):
    build = graphs.SAMPLER_NODES[name]
    plain = picture(server, run(server, build(graphs.base())))
    off = picture(server, run(server, build(graphs.base({"clock": 1}))))
    assert np.array_equal(off, plain), "clock 1 changes nothing"
    entry = run(server, build(graphs.base({"clock": 2})))
    assert kinds(entry) == "FaFaFa"
    difference = np.abs(picture(server, entry) - plain)
    assert 0 < difference.mean() < 40


def test_report_on_the_node(server):
    entry = run(server, graphs.ksampler(graphs.base({"clock": 3}), seed=77))
    text = entry["outputs"]["report"]["text"][0]
    assert "6 evaluations, 2 full + 4 with the adaptor (identity)" in text
    data = report(entry)
    assert (data["full"], data["adaptor_evaluations"], data["model"]) == (2, 4, "BaseModel")
    assert 0 < data["flops_saved_percent"] < 100
    assert "[Clockwork] 6 evaluations" in server.log


def test_schedule_node(server):
    graph = graphs.base({"clock": 2})
    schedule = {
        "mode": "explicit list",
        "clock": 2,
        "offset": 0,
        "pattern": "110100",
        "full_steps": "",
        "full_passes": 1,
    }
    graph["schedule"] = graphs.node("ClockworkSchedule", **schedule)
    graph["clockwork"]["inputs"]["schedule"] = ["schedule", 0]
    assert kinds(run(server, graphs.ksampler(graph))) == "FFaFaa"


def test_two_samplers_share_one_patched_model(server):
    """Hires-fix: a second sampler at another size and with less noise; each has its own report."""
    graph = graphs.ksampler(graphs.base({"clock": 2}))
    graph["larger"] = graphs.node(
        "LatentUpscale", samples=["sampler", 0], upscale_method="nearest-exact", width=384, height=384, crop="disabled"
    )
    second = {**graph["sampler"]["inputs"], "latent_image": ["larger", 0], "denoise": 0.5, "steps": 4}
    graph["second"] = {"class_type": "KSampler", "inputs": second}
    graph["second report"] = graphs.node("ClockworkReport", model=["clockwork", 0], latent=["second", 0])
    entry = run(server, graph)
    assert report(entry)["evaluations"] == 6
    assert json.loads(entry["outputs"]["second report"]["clockwork_report"][0])["evaluations"] == 4


def test_the_same_prompt_again_with_another_seed_and_back(server):
    first = picture(server, run(server, graphs.ksampler(graphs.base({}), seed=1)))
    run(server, graphs.ksampler(graphs.base({}, batch=3), seed=2))
    # A changed prefix makes the host save again although the sampler is cached.
    graph = graphs.ksampler(graphs.base({}), seed=1)
    graph["save"]["inputs"]["filename_prefix"] = "again"
    entry = run(server, graph)
    assert np.array_equal(picture(server, entry), first)


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        ({"cut": "custom", "kept_blocks": 12}, "kept_blocks is 12, but this UNet has 12 output blocks: choose 1 to 11"),
        ({"start_percent": 0.9, "end_percent": 0.1}, r"start_percent 0\.9 lies after end_percent 0\.1"),
        ({"clock": 65}, "Value 65 bigger than max of 64"),
        ({"cut": "stage 7"}, "cut is 'stage 7', but must be one of stage 1, stage 2, custom"),
    ],
)
def test_bad_values_stop_the_prompt_before_sampling(server, apply, message):
    with pytest.raises(PromptError, match=message):
        run(server, graphs.ksampler(graphs.base(apply), seed=1234))


def test_bad_schedule_names_the_value(server):
    graph = graphs.base({})
    schedule = {"mode": "explicit list", "clock": 2, "offset": 0, "pattern": "012", "full_steps": "0", "full_passes": 1}
    graph["schedule"] = graphs.node("ClockworkSchedule", **schedule)
    graph["clockwork"]["inputs"]["schedule"] = ["schedule", 0]
    with pytest.raises(PromptError, match="contains '2'; only 1"):
        run(server, graphs.ksampler(graph))


def test_interrupt_and_run_again(server):
    expected = picture(server, run(server, graphs.ksampler(graphs.base({}), seed=8)))
    long = server.queue(graphs.ksampler(graphs.base({}), seed=9, steps=2000))

    def interrupt_once_it_samples(_seconds):
        if "2000" in server.log:
            server.interrupt()

    with pytest.raises(PromptError, match=r"(?i)interrupted"):
        server.wait(long, timeout=60, on_progress=interrupt_once_it_samples)
    graph = graphs.ksampler(graphs.base({}), seed=8)
    graph["sampler"]["inputs"]["steps"] = 7
    run(server, graph)
    graph["sampler"]["inputs"]["steps"] = 6
    assert np.array_equal(picture(server, run(server, graph)), expected)
