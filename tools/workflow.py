"""Turns a workflow as the ComfyUI editor saves it into the prompt that the server takes.

The editor does this in the browser; here it is for tests and the demo, which have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Node = dict[str, Any]

# The editor's numbers for "never run" and "run as if not there".
MUTED = 2
BYPASSED = 4

ONLY_IN_THE_EDITOR = {"Reroute", "PrimitiveNode", "Note", "MarkdownNote"}
WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
CONTROL_MODES = ("fixed", "increment", "decrement", "randomize")
SEED_NAMES = {"seed", "noise_seed"}

_NOTHING = object()


def to_api_prompt(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """The API-format prompt of a UI-format workflow; `object_info` is the server's answer of that name.

    Raises ValueError if the workflow has a node of a type that the server does not know.
    """
    links = _Links(workflow)
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in ONLY_IN_THE_EDITOR or node.get("mode", 0) in (MUTED, BYPASSED):
            continue
        if node["type"] not in object_info:
            raise ValueError(
                f"The workflow's node {node['id']} is a {node['type']!r}, but the server has no such node type. "
                "Is its custom node pack installed?"
            )
        prompt[str(node["id"])] = {
            "inputs": {**widget_values(node, object_info[node["type"]]), **links.inputs_of(node)},
            "class_type": node["type"],
            "_meta": {"title": node.get("title", node["type"])},
        }
    return prompt


def widget_values(node: Node, info: dict[str, Any]) -> dict[str, Any]:
    """The values that a node's widgets show, by name; what the workflow leaves out has its default."""
    saved = node.get("widgets_values") or []
    if isinstance(saved, dict):
        return {name: _wrapped(saved[name]) for name, _, _ in _widgets(info) if name in saved}
    values = {}
    position = 0
    for name, kind, options in _widgets(info):
        if position < len(saved):
            values[name] = _wrapped(saved[position])
        elif (default := _default(kind, options)) is not None:
            values[name] = _wrapped(default)
        position += 1
        controlled = _is_controlled(name, kind, options)
        if controlled and position < len(saved) and saved[position] in CONTROL_MODES:
            # What shall happen to the value after a run; a combo has a text filter behind that.
            position += 2 if kind == "COMBO" else 1
    return values


def _widgets(info: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, kind and options of the inputs that the editor shows as widgets, in its order."""
    for section in ("required", "optional"):
        for name, spec in info["input"].get(section, {}).items():
            kind, options = spec[0], spec[1] if len(spec) > 1 else {}
            if isinstance(kind, list):
                # The old way to write a combo: its choices stand where others have their type.
                kind, options = "COMBO", {**options, "options": kind}
            if kind in WIDGET_TYPES and not options.get("forceInput"):
                yield name, kind, options


def _is_controlled(name: str, kind: str, options: dict[str, Any]) -> bool:
    return bool(options.get("control_after_generate")) or (kind == "INT" and name in SEED_NAMES)


def _default(kind: str, options: dict[str, Any]) -> Any:
    if kind == "COMBO" and "default" not in options:
        return next(iter(options.get("options", [])), None)
    return options.get("default")


def _wrapped(value: Any) -> Any:
    """A list in a prompt would be read as a link."""
    return {"__value__": value} if isinstance(value, list) else value


class _Links:
    """Follows links back to the node that really makes the value."""

    def __init__(self, workflow: dict[str, Any]) -> None:
        self._nodes = {node["id"]: node for node in workflow["nodes"]}
        self._origins = dict(_origin(link) for link in workflow.get("links", []))

    def inputs_of(self, node: Node) -> dict[str, Any]:
        """What is linked to a node's inputs: [node id, slot], or the value of a PrimitiveNode."""
        found = {slot["name"]: self._resolve(slot.get("link")) for slot in node.get("inputs", [])}
        return {name: value for name, value in found.items() if value is not _NOTHING}

    def _resolve(self, link: int | None) -> Any:
        if link is None or link not in self._origins:
            return _NOTHING
        node_id, slot = self._origins[link]
        node = self._nodes[node_id]
        mode = node.get("mode", 0)
        if mode == MUTED:
            return _NOTHING
        if node["type"] == "Reroute":
            return self._resolve(node["inputs"][0].get("link"))
        if node["type"] == "PrimitiveNode":
            return _wrapped(node["widgets_values"][0])
        if mode == BYPASSED:
            return self._resolve(_link_past(node, slot))
        return [str(node_id), slot]


def _origin(link: Any) -> tuple[int, tuple[int, int]]:
    """A link's id and where it comes from; newer editors save objects, older ones lists."""
    if isinstance(link, dict):
        return link["id"], (link["origin_id"], link["origin_slot"])
    return link[0], (link[1], link[2])


def _link_past(node: Node, slot: int) -> int | None:
    """The link that a bypassed node passes on: the input at the output's place if its type fits, else the first."""
    kind = node["outputs"][slot]["type"]
    inputs = node.get("inputs", [])
    for candidate in [*inputs[slot : slot + 1], *inputs]:
        if candidate["type"] == kind:
            return candidate.get("link")
    return None
