"""Write locales/en/nodeDefs.json from the nodes themselves, so that nothing is written twice.

Other languages are translations of that file. To run when a node has changed:
.venv/bin/python tools/locale_files.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from host_command import ROOT
from in_process import load_pack, prepare_host

LOCALES = ROOT / "locales"
ENGLISH = LOCALES / "en" / "nodeDefs.json"


def definitions() -> dict[str, Any]:
    """The texts of all our nodes by node id, in the layout of the ComfyUI editor."""
    from clockwork_pack.nodes import NODES

    return {node.define_schema().node_id: texts_of(node.define_schema()) for node in NODES}


def texts_of(schema: Any) -> dict[str, Any]:
    """What the editor shows of one node: its name and description, its inputs by id, its outputs by number."""
    inputs = {each.id: {"name": each.display_name or each.id, "tooltip": each.tooltip} for each in schema.inputs}
    outputs = {
        str(number): {"name": each.display_name or each.get_io_type(), "tooltip": each.tooltip}
        for number, each in enumerate(schema.outputs)
    }
    texts = {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": inputs,
        "outputs": outputs,
    }
    return without_gaps(texts)


def without_gaps(texts: dict[str, Any]) -> dict[str, Any]:
    """A copy without what is empty: a node that has no inputs, an output without a tooltip."""
    filled = {key: without_gaps(value) if isinstance(value, dict) else value for key, value in texts.items()}
    return {key: value for key, value in filled.items() if value}


def write(texts: dict[str, Any], path: Path) -> None:
    """Write a file of texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(texts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    prepare_host(cpu=True)
    load_pack()
    write(definitions(), ENGLISH)
