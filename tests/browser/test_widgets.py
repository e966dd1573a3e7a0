"""What nodes show for the values of their widgets, in the real editor."""

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.server, pytest.mark.browser]

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "text-to-image-demo-model.json"

BUILD = """
const create = (type) => { const node = LiteGraph.createNode(type); app.graph.add(node); return node; };
const [schedule, apply, sampler] = ["ClockworkSchedule", "ClockworkApply", "KSampler"].map(create);
apply.connect(0, sampler, "model");
window.built = {schedule, apply, sampler};
apply.pos = [450, 100]; schedule.pos = [50, 100]; sampler.pos = [850, 100];
"""
SET = """
const [node, name, value] = arguments;
const widget = window.built[node].widgets.find((widget) => widget.name === name);
widget.value = value;
widget.callback?.(value);
"""
VISIBLE = """
return window.built[arguments[0]].widgets.filter(({hidden}) => !hidden).map(({name}) => name);
"""
STRIP = """
const {element} = window.built[arguments[0]].widgets.find(({name}) => name === "clockwork_strip");
return [element.dataset.kinds, element.textContent];
"""
GREYED = "return window.built.apply.widgets.filter(({disabled}) => disabled).map(({name}) => name)"


@pytest.fixture
def built(page):
    """A schedule that is not connected yet, a Clockwork node and a sampler."""
    page.script(BUILD)
    return page


def set_value(page, node, name, value):
    page.script(SET, node, name, value)


def wait_for_kinds(page, node, kinds):
    page.wait(lambda: page.script(STRIP, node)[0] == kinds, f"the strip of {node} shows {kinds}")


def test_the_strip_follows_widgets_and_sampler(built):
    wait_for_kinds(built, "apply", "Fa" * 10)
    set_value(built, "sampler", "steps", 6)
    wait_for_kinds(built, "apply", "FaFaFa")
    set_value(built, "sampler", "sampler_name", "heun")
    wait_for_kinds(built, "apply", "FaFaFaFaFaF")
    set_value(built, "apply", "clock", 3)
    wait_for_kinds(built, "apply", "FaaFaaFaaFa")
    set_value(built, "apply", "cut", "custom")
    built.wait(lambda: "kept_blocks" in built.script(VISIBLE, "apply"), "a custom cut shows its blocks")
    built.wait(lambda: "the first run tells" in built.script(STRIP, "apply")[1], "no number is made up")
    assert built.our_console_errors() == []


def test_a_connected_schedule(built):
    built.wait(
        lambda: built.script(VISIBLE, "schedule") == ["mode", "clock", "offset", "clockwork_strip"], "others hide"
    )
    set_value(built, "schedule", "mode", "explicit list")
    set_value(built, "schedule", "pattern", "1100")
    set_value(built, "sampler", "steps", 8)
    built.script("window.built.schedule.connect(0, window.built.apply, 'schedule')")
    for node in ("schedule", "apply"):
        wait_for_kinds(built, node, "FFaaFFaa")
    assert built.script(VISIBLE, "schedule") == ["mode", "pattern", "clockwork_strip"]
    assert built.script(GREYED) == ["clock"]
    built.screenshot("schedule-connected")
    set_value(built, "schedule", "pattern", "0100")
    built.wait(lambda: "must begin with 1" in built.script(STRIP, "apply")[1], "the strip says what is wrong")
    built.screenshot("schedule-refused")
    assert built.our_console_errors() == []


def test_strips_are_no_part_of_the_workflow(built):
    built.wait(lambda: "kept_blocks" not in built.script(VISIBLE, "apply"), "what has no effect is hidden")
    saved = built.script("return app.graph.serialize()")
    apply = next(node for node in saved["nodes"] if node["type"] == "ClockworkApply")
    assert apply["widgets_values"] == [2, "stage 1", 3, 0, 1, True]
    prompt = built.await_script("app.graphToPrompt()")["output"]
    inputs = next(node["inputs"] for node in prompt.values() if node["class_type"] == "ClockworkApply")
    assert "clockwork_strip" not in inputs
    assert inputs["kept_blocks"] == 3


def test_a_node_inside_a_subgraph_hears_of_its_runs(page):
    workflow = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    nodes = {node["type"]: node for node in workflow["nodes"]}
    nodes["KSampler"]["widgets_values"][2] = 3
    nodes["EmptyLatentImage"]["widgets_values"] = [128, 128, 1]
    page.drop_data("inside a subgraph", workflow)
    page.script("app.graph.convertToSubgraph(new Set([app.graph.getNodeById(2)]))")
    page.queue_and_wait()
    shown = "return JSON.parse(localStorage.getItem('clockwork.shown') ?? '[]')"
    ended = page.wait(
        lambda: [run for key, run in page.script(shown) if ":" in key and run.get("state") == "ended"],
        "the run is known",
    )
    assert [run["kinds"] for run in ended] == ["FaF"]
