"""Each example workflow, sent to a real server: it runs, or lacks nothing but the models that it names."""

import json

import pytest
from comfy_server import PromptError
from host_command import ROOT
from PIL import Image
from workflow import to_api_prompt

pytestmark = pytest.mark.server

EXAMPLES = {path.stem: path for path in sorted((ROOT / "example_workflows").glob("*.json"))}
WORKFLOWS = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in EXAMPLES.items()}
COMES_WITH_COMFYUI = {"example.png"}
FEW_STEPS = 4
SHORT = {
    "KSampler": {"steps": FEW_STEPS},
    "ClockworkCompare": {"steps": FEW_STEPS, "seed_count": 1, "variants": "clock 2\nsteps 3"},
    "ClockworkFitAdaptor": {"steps": FEW_STEPS, "pictures": 4},
    "ClockworkTrainAdaptor": {"steps": FEW_STEPS, "iterations": 4, "trajectories": 4},
}


def models_of(workflow):
    return {model["name"] for node in workflow["nodes"] for model in node["properties"].get("models", [])}


def shortened(graph):
    """The same with few steps."""
    for node in graph.values():
        node["inputs"].update(SHORT.get(node["class_type"], {}))
    return graph


@pytest.mark.parametrize("name", [name for name in WORKFLOWS if not models_of(WORKFLOWS[name])])
def test_one_that_needs_no_model_runs(server, name):
    graph = shortened(to_api_prompt(WORKFLOWS[name], server.object_info()))
    outputs = server.wait(server.queue(graph), timeout=300)["outputs"]
    for key, node in graph.items():
        if node["class_type"] in ("SaveImage", "PreviewImage"):
            assert outputs[key]["images"]
        if node["class_type"] == "ClockworkReport":
            assert f"{FEW_STEPS} evaluations" in outputs[key]["text"][0]


@pytest.mark.parametrize("name", [name for name in WORKFLOWS if models_of(WORKFLOWS[name])])
def test_one_that_needs_models_lacks_nothing_else(server, name):
    with pytest.raises(PromptError) as refused:
        server.queue(to_api_prompt(WORKFLOWS[name], server.object_info()))
    complaints = str(refused.value).splitlines()[1:]
    missing = models_of(WORKFLOWS[name]) | COMES_WITH_COMFYUI
    assert complaints
    assert [
        line for line in complaints if not any(f"'{model}'" in line or f": {model}" in line for model in missing)
    ] == []


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_tells_what_it_shows_and_has_a_thumbnail(name):
    notes = [node["widgets_values"][0] for node in WORKFLOWS[name]["nodes"] if node["type"] == "MarkdownNote"]
    assert len(notes) == 1
    assert [model for model in models_of(WORKFLOWS[name]) if f"`{model}`" not in notes[0]] == []
    assert not models_of(WORKFLOWS[name]) or "demo model" in notes[0].lower(), "a substitute"
    thumbnail = EXAMPLES[name].with_suffix(".jpg")
    assert thumbnail.stat().st_size < 150_000
    assert Image.open(thumbnail).format == "JPEG"


def test_no_thumbnail_is_left_over():
    assert {path.stem for path in (ROOT / "example_workflows").glob("*.jpg")} == EXAMPLES.keys()
