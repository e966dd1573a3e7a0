"""Each example workflow, as a user opens it: nothing missing, nothing red, nothing that covers something else."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
from host_command import ROOT, host_folder

pytestmark = [pytest.mark.server, pytest.mark.browser]

EXAMPLES = sorted((ROOT / "example_workflows").glob("*.json"))

# A value that a combo does not offer is what the editor complains about when the workflow is queued.
VALUES_THAT_ARE_NOT_OFFERED = """
const lacks = ({type, value, options}) =>
    type === "combo" && Array.isArray(options.values) && !options.values.includes(value);
return app.graph.nodes.flatMap((node) => (node.widgets ?? []).filter(lacks)
    .map(({name, value}) => `${node.type}.${name} = ${value}`))
"""

BOXES = """
return app.graph.nodes.map((node) => [node.title, ...node.pos, ...node.size])
"""

TITLE_HEIGHT = 30


def models_named_in(workflow):
    """What the loaders of a workflow name: folder and file name of each model that is to be downloaded."""
    nodes = json.loads(workflow.read_text(encoding="utf-8"))["nodes"]
    return [(each["directory"], each["name"]) for node in nodes for each in node["properties"].get("models", [])]


@pytest.fixture(scope="module")
def stock(server):
    """Files of the names that the examples ask for, so that their loaders can offer them; they hold nothing."""
    named = {name for example in EXAMPLES for name in models_named_in(example)}
    files = [server.base / "models" / folder / name for folder, name in named]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    picture = server.base / "input" / "example.png"
    shutil.copy(host_folder() / "input" / "example.png", picture)
    yield
    for file in [*files, picture]:
        file.unlink()


@pytest.mark.usefixtures("stock")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_opens_whole_and_tidy(page, example: Path):
    page.drop(example)
    page.fit_view()
    page.screenshot(f"example {example.stem}")
    assert page.missing_node_types() == []
    assert page.script(VALUES_THAT_ARE_NOT_OFFERED) == []
    boxes = page.script(BOXES)
    overlapping = [(a[0], b[0]) for a, b in itertools.combinations(boxes, 2) if overlap(a, b)]
    assert overlapping == []
    assert page.our_console_errors() == []


def overlap(first, second):
    """Whether two nodes (title, x, y, width, height), each with its bar for the title above it, cover one another."""
    _, left, top, width, height = first
    _, other_left, other_top, other_width, other_height = second
    apart_across = left + width <= other_left or other_left + other_width <= left
    apart_down = top + height <= other_top - TITLE_HEIGHT or other_top + other_height <= top - TITLE_HEIGHT
    return not (apart_across or apart_down)


def test_disorder_is_seen(page):
    """Or the checks above would pass whatever is dropped."""
    loader = {"type": "ClockworkLoadAdaptor", "size": [300, 80], "widgets_values": ["not there"]}
    page.drop_data(
        "disorder", {"version": 0.4, "nodes": [{**loader, "id": n, "pos": [n, 100]} for n in (1, 2)], "links": []}
    )
    assert page.script(VALUES_THAT_ARE_NOT_OFFERED) == ["ClockworkLoadAdaptor.adaptor_name = not there"] * 2
    assert overlap(*page.script(BOXES))
