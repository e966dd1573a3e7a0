"""Workflows as the editor saves them become prompts as the server takes them."""

from typing import Any

import pytest
from workflow import BYPASSED, MUTED, to_api_prompt, widget_values

OBJECT_INFO: dict[str, Any] = {
    "Loader": {"input": {"required": {"file": [["a.safetensors", "b.safetensors"]]}}},
    "Patch": {"input": {"required": {"model": ["MODEL"], "clock": ["INT", {"default": 2}]}}},
    "Sampler": {
        "input": {
            "required": {
                "model": ["MODEL", {}],
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
                "steps": ["INT", {"default": 20}],
                "sampler": ["COMBO", {"options": ["euler", "dpmpp_2m"]}],
            },
            "optional": {"text": ["STRING", {"forceInput": True}], "denoise": ["FLOAT", {"default": 1.0}]},
            "hidden": {"prompt": "PROMPT"},
        }
    },
}


def make_node(node_id: int, kind: str, widgets: Any = (), inputs: Any = (), outputs: Any = ("MODEL",), mode=0):
    """inputs: (name, type, link)."""
    return {
        "id": node_id,
        "type": kind,
        "mode": mode,
        "widgets_values": list(widgets) if isinstance(widgets, tuple) else widgets,
        "inputs": [{"name": name, "type": kind, "link": link} for name, kind, link in inputs],
        "outputs": [{"name": kind, "type": kind} for kind in outputs],
    }


def loader(**more):
    return make_node(1, "Loader", ("b.safetensors",), **more)


def patch(**more):
    return make_node(2, "Patch", (3,), inputs=[("model", "MODEL", 10)], **more)


def sampler(link=11, widgets=(7, "fixed", 8, "euler", 0.5), more_inputs=()):
    return make_node(3, "Sampler", widgets, inputs=[("model", "MODEL", link), *more_inputs], outputs=())


FIRST_LINK = [10, 1, 0, 2, 0, "MODEL"]
SECOND_LINK = [11, 2, 0, 3, 0, "MODEL"]


def convert(nodes, links=(FIRST_LINK, SECOND_LINK)):
    return to_api_prompt({"nodes": nodes, "links": list(links)}, OBJECT_INFO)


def test_widgets_get_their_names_and_links_their_nodes():
    prompt = convert([loader(), patch(), sampler()])
    assert {node_id: node["class_type"] for node_id, node in prompt.items()} == {
        "1": "Loader",
        "2": "Patch",
        "3": "Sampler",
    }
    assert prompt["1"]["inputs"] == {"file": "b.safetensors"}
    assert prompt["2"]["inputs"] == {"model": ["1", 0], "clock": 3}
    assert prompt["3"]["inputs"] == {
        "model": ["2", 0],
        "seed": 7,
        "steps": 8,
        "sampler": "euler",
        "denoise": 0.5,
    }


def test_links_saved_as_objects_are_read_too():
    links = [{"id": 10, "origin_id": 1, "origin_slot": 0}, {"id": 11, "origin_id": 2, "origin_slot": 0}]
    assert convert([loader(), patch(), sampler()], links) == convert([loader(), patch(), sampler()])


def test_a_seed_without_a_control_value_shifts_nothing():
    values = widget_values(sampler(widgets=(7, 8, "euler", 0.5)), OBJECT_INFO["Sampler"])
    assert values == {"seed": 7, "steps": 8, "sampler": "euler", "denoise": 0.5}


def test_a_seed_is_known_by_its_name_alone():
    info = {"input": {"required": {"noise_seed": ["INT", {}], "steps": ["INT", {}]}}}
    assert widget_values({"widgets_values": [7, "randomize", 8]}, info) == {"noise_seed": 7, "steps": 8}


def test_a_controlled_combo_saves_a_filter_as_well():
    info = {"input": {"required": {"file": ["COMBO", {"control_after_generate": True}], "steps": ["INT", {}]}}}
    assert widget_values({"widgets_values": ["a", "fixed", "", 8]}, info) == {"file": "a", "steps": 8}


def test_missing_values_have_their_defaults():
    values = widget_values({"widgets_values": [7, "fixed"]}, OBJECT_INFO["Sampler"])
    assert values == {"seed": 7, "steps": 20, "sampler": "euler", "denoise": 1.0}
    assert widget_values({}, OBJECT_INFO["Loader"]) == {"file": "a.safetensors"}


def test_values_saved_by_name():
    assert widget_values({"widgets_values": {"steps": 4, "preview": None}}, OBJECT_INFO["Sampler"]) == {"steps": 4}


def test_a_list_as_a_value_is_not_taken_for_a_link():
    assert widget_values({"widgets_values": [["1", 0]]}, OBJECT_INFO["Loader"]) == {"file": {"__value__": ["1", 0]}}


def test_a_bypassed_node_passes_its_input_on():
    prompt = convert([loader(), patch(mode=BYPASSED), sampler()])
    assert "2" not in prompt
    assert prompt["3"]["inputs"]["model"] == ["1", 0]


def test_a_bypassed_node_passes_on_what_has_the_type_of_its_output():
    node = make_node(2, "Patch", inputs=[("a", "CLIP", 12), ("model", "MODEL", 10)], outputs=("MODEL",), mode=BYPASSED)
    assert convert([loader(), node, sampler()])["3"]["inputs"]["model"] == ["1", 0]


def test_the_input_at_the_outputs_own_place_comes_first():
    node = make_node(
        2, "Patch", inputs=[("a", "MODEL", 12), ("b", "MODEL", 10)], outputs=("CLIP", "MODEL"), mode=BYPASSED
    )
    links = [FIRST_LINK, [11, 2, 1, 3, 0, "MODEL"], [12, 9, 0, 2, 0, "MODEL"]]
    assert convert([loader(), node, sampler()], links)["3"]["inputs"]["model"] == ["1", 0]


def test_what_hangs_on_a_muted_node_is_left_out():
    prompt = convert([loader(), patch(mode=MUTED), sampler()])
    assert "2" not in prompt
    assert "model" not in prompt["3"]["inputs"]


def test_reroutes_and_notes_leave_no_trace():
    reroute = make_node(2, "Reroute", inputs=[("", "*", 10)], outputs=("*",))
    note = make_node(8, "MarkdownNote", ("Hello",), outputs=())
    prompt = convert([loader(), reroute, note, sampler()])
    assert set(prompt) == {"1", "3"}
    assert prompt["3"]["inputs"]["model"] == ["1", 0]


def test_a_widget_that_was_made_an_input():
    linked = {"name": "steps", "type": "INT", "link": 13, "widget": {"name": "steps"}}
    shown = {"name": "seed", "type": "INT", "link": None, "widget": {"name": "seed"}}
    node = sampler()
    node["inputs"] += [linked, shown]
    primitive = make_node(4, "PrimitiveNode", (30, "fixed"), outputs=("INT",))
    links = [FIRST_LINK, SECOND_LINK, [13, 4, 0, 3, 1, "INT"]]
    prompt = convert([loader(), patch(), node, primitive], links)
    assert "4" not in prompt
    assert prompt["3"]["inputs"]["steps"] == 30
    assert prompt["3"]["inputs"]["seed"] == 7
    assert prompt["3"]["inputs"]["sampler"] == "euler"


def test_a_missing_node_type_is_named():
    with pytest.raises(ValueError, match="node 5 is a 'Unheard'"):
        convert([make_node(5, "Unheard")])
