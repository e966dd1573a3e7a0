"""What a server tells the browser, and the pack under other options, paths and names."""

import io
import urllib.error

import base_directory
import graphs
import pytest
from comfy_server import ComfyServer
from PIL import Image
from served import run

pytestmark = pytest.mark.server

QUESTION = {"clock": 2, "cut": "stage 1", "start_percent": 0.0, "end_percent": 1.0, "steps": 4}


def shown(server, entry, node="report"):
    """The text of a report node and the picture under it."""
    output = entry["outputs"][node]
    (picture,) = output["images"]
    return output["text"][0], Image.open(io.BytesIO(server.view(**picture)))


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_plan(server, prefix):
    answer = server._json(f"{prefix}/clockwork/plan", QUESTION)
    assert (answer["kinds"], answer["schedule"]) == ("FaFa", "clock 2")
    assert "clock is 0" in server._json(f"{prefix}/clockwork/plan", {**QUESTION, "clock": 0})["error"]


def test_the_editor_gets_the_pack(server):
    listed = server._json("/extensions")
    assert "/extensions/ComfyUI-Clockwork/clockwork.js" in listed


def test_reports_of_two_samplers_and_of_none(server):
    """One model, three reports: each of its own sampler; one of a latent that no sampler made, before any ran."""
    graph = graphs.ksampler(graphs.base({"clock": 3}), seed=91, steps=4)
    graph["second"] = graphs.node("KSampler", **{**graph["sampler"]["inputs"], "steps": 2})
    graph["second report"] = graphs.node("ClockworkReport", model=["clockwork", 0], latent=["second", 0])
    graph["other"] = graphs.node("ClockworkApply", model=["loader", 0], **{**graphs.APPLY, "clock": 5})
    graph["none"] = graphs.node("ClockworkReport", model=["other", 0], latent=["latent", 0])
    graph["plain"] = graphs.node("ClockworkReport", model=["loader", 0], latent=["latent", 0])
    graph["timeline"] = graphs.node("SaveImage", images=["second report", 2], filename_prefix="timeline")
    entry = run(server, graph)
    pictures = {}
    for node, words in {
        "report": "4 evaluations, 2 full + 2",
        "second report": "2 evaluations, 1 full + 1",
        "none": "No data yet",
        "plain": "This model has no Clockwork",
    }.items():
        text, picture = shown(server, entry, node)
        assert words in text
        assert picture.size == (768, 400)
        pictures[node] = picture.convert("RGB").tobytes()
    assert len(set(pictures.values())) == len(pictures)
    (saved,) = entry["outputs"]["timeline"]["images"]
    assert Image.open(io.BytesIO(server.view(**saved))).convert("RGB").tobytes() == pictures["second report"]
    # The sampler is cached, the report is not: another latent node stands between.
    graph["copy"] = graphs.node("LatentFromBatch", samples=["sampler", 0], batch_index=0, length=1)
    graph["report"]["inputs"]["latent"] = ["copy", 0]
    again = run(server, graph)
    assert "sampler" in dict(again["status"]["messages"])["execution_cached"]["nodes"]
    text, picture = shown(server, again)
    assert "4 evaluations, 2 full + 2" in text
    assert picture.convert("RGB").tobytes() == pictures["report"]


def test_under_other_options_in_a_path_with_spaces_and_by_another_name(tmp_path, monkeypatch):
    # Without a space: the host lists the scripts of such a folder, but its web server does not find them.
    name = "My-CLOCKWORK-Pack"
    monkeypatch.setattr(base_directory, "PACK_NAME", name)
    with ComfyServer(tmp_path / "a path with spaces", ["--disable-metadata", "--multi-user"]) as server:
        assert "ClockworkApply" in server.object_info()
        script = f"/extensions/{name}/clockwork.js"
        assert script in server._json("/extensions")
        assert b"registerExtension" in server._read(script)
        entry = run(server, graphs.ksampler(graphs.base({}), steps=2))
        text, picture = shown(server, entry)
        assert "2 evaluations, 1 full + 1" in text
        assert picture.info == {}, "no metadata, as the user has asked for"
        ours = [line for line in server.log.splitlines() if "lockwork" in line and ("rror" in line or "WARN" in line)]
        assert ours == []


def test_a_request_that_is_no_json(server):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        server._opener.open(f"{server.url}/clockwork/plan", data=b"{", timeout=60)
