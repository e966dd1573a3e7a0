"""Make the pictures of the example workflows and of the help pages, in a real editor in headless Chromium.

To run when nodes or examples have changed: .venv/bin/python tools/pictures.py [NAME ...]

NAME is an example's or a node's; without one all are made. An example that runs here shows what it drew, another one
its graph; a node looks as it does in the first example that has it, after the run if it runs, or alone.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from comfy_server import ComfyServer
from host_command import ROOT, host_folder
from PIL import Image

sys.path.append(str(ROOT / "tests" / "helpers"))
from chromium import missing_programs, start_browser
from page import Page

EXAMPLES = ROOT / "example_workflows"
FIRST = EXAMPLES / "text-to-image-demo-model.json"
HELP = ROOT / "web" / "docs" / "images"
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "LiteGraph.Canvas.MinFontSizeForLOD": 0}
WINDOW = (2200, 1500)
THUMBNAIL_WIDTH = 640
COLOURS = 128
MARGIN = 8
SECONDS_TO_DRAW = 0.8
OURS = "Clockwork"
SHOWING = ("SaveImage", "PreviewImage")

# Left, top, right and bottom of what is drawn of some nodes, in pixels of the page.
BOX_ON_SCREEN = """
const node = app.graph.nodes.find(({type}) => type === arguments[0]);
const nodes = node ? [node] : [...app.graph.nodes, ...app.graph.groups];
const {scale, offset} = app.canvas.ds;
const {left, top} = app.canvas.canvas.getBoundingClientRect();
const edge = (axis, far) => nodes.map((node) => (far
    ? node.pos[axis] + node.size[axis] : node.pos[axis] - (axis ? LiteGraph.NODE_TITLE_HEIGHT : 0)));
const shown = (value, axis) => (value + offset[axis]) * scale + (axis ? top : left);
return [
    shown(Math.min(...edge(0, false)), 0), shown(Math.min(...edge(1, false)), 1),
    shown(Math.max(...edge(0, true)), 0), shown(Math.max(...edge(1, true)), 1),
];
"""

TOGGLE_BARS = "app.extensionManager.command.execute('Workspace.ToggleFocusMode')"

ALONE = "app.graph.clear(); app.graph.add(LiteGraph.createNode(arguments[0]))"

CENTRE_ON = """
const node = app.graph.nodes.find(({type}) => type === arguments[0]);
const room = app.canvas.canvas.getBoundingClientRect().height - 100;
app.canvas.ds.scale = Math.min(1.25, room / node.size[1]);
app.canvas.centerOnNode(node);
app.canvas.setDirty(true, true);
"""


def read(example: Path) -> dict[str, Any]:
    """A workflow in UI format."""
    return json.loads(example.read_text(encoding="utf-8"))


def places(examples: list[Path], nodes: set[str]) -> dict[str, Path]:
    """The example in which each node is to be seen: the first that has it, of those that run if there are some."""
    found: dict[str, Path] = {}
    for example in sorted(examples, key=lambda path: (bool(models_of(read(path))), path != FIRST, path)):
        for node in read(example)["nodes"]:
            if node["type"] in nodes:
                found.setdefault(node["type"], example)
    return found


def models_of(workflow: dict[str, Any]) -> list[dict[str, str]]:
    """The models that have to be downloaded before a workflow runs."""
    return [model for node in workflow["nodes"] for model in node["properties"].get("models", [])]


def stock(base: Path, workflows: list[dict[str, Any]]) -> None:
    """Give a new base directory our settings, ComfyUI's own picture, and empty files for the models to choose."""
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS), encoding="utf-8")
    (base / "input").mkdir()
    shutil.copy(host_folder() / "input" / "example.png", base / "input")
    for model in (model for workflow in workflows for model in models_of(workflow)):
        file = base / "models" / model["directory"] / model["name"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def shot(page: Page, node_type: str | None = None) -> Image.Image:
    """What the page shows of the graph, or of its first node of a type."""
    whole = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    left, top, right, bottom = page.script(BOX_ON_SCREEN, node_type)
    return whole.crop((int(left) - MARGIN, int(top) - MARGIN, int(right) + MARGIN, int(bottom) + MARGIN))


def drawn(server: ComfyServer, workflow: dict[str, Any], entry: dict[str, Any]) -> Image.Image:
    """What a prompt drew: up to four pictures of its one node that shows some, or the first of each, side by side."""
    shown = [entry["outputs"][str(node["id"])]["images"] for node in workflow["nodes"] if node["type"] in SHOWING]
    chosen = shown[0][:4] if len(shown) == 1 else [files[0] for files in shown]
    side = THUMBNAIL_WIDTH // 2
    sheet = Image.new("RGB", (THUMBNAIL_WIDTH, side * (-(-len(chosen) // 2))))
    for number, file in enumerate(chosen):
        picture = Image.open(io.BytesIO(server.view(**file))).convert("RGB")
        place = (number % 2 * side, number // 2 * side)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), place)
    return sheet


def beginning(graph: Image.Image) -> Image.Image:
    """The left square of a graph: all of it would be too small to see in the list of templates."""
    side = min(graph.size)
    return graph.crop((0, 0, side, side))


def pictures_of(page: Page, example: Path, nodes: list[str]) -> Iterator[tuple[Path, Image.Image]]:
    """Open an example, run it if it can, and look at it and at some of its nodes."""
    page.drop(example)
    workflow = read(example)
    entry = None if models_of(workflow) else page.queue_and_wait()
    # Without the editor's bars, which cover a part of the graph.
    page.await_script(TOGGLE_BARS)
    page.fit_view()
    yield example.with_suffix(".jpg"), drawn(page.server, workflow, entry) if entry else beginning(shot(page))
    for node_type in nodes:
        yield look_at(page, node_type)
    page.await_script(TOGGLE_BARS)


def look_at(page: Page, node_type: str) -> tuple[Path, Image.Image]:
    """The picture of one node of the open workflow."""
    page.script(CENTRE_ON, node_type)
    time.sleep(SECONDS_TO_DRAW)
    return HELP / f"{node_type}.png", shot(page, node_type)


def all_pictures(page: Page, wanted: set[str]) -> Iterator[tuple[Path, Image.Image]]:
    """The pictures of all examples that are wanted, or of whose nodes some are; then those of nodes without example."""
    examples = sorted(EXAMPLES.glob("*.json"))
    nodes = {name for name in page.server.object_info() if name.startswith(OURS)}
    place = places(examples, nodes)
    for example in examples:
        here = [node for node in place if place[node] == example]
        if not wanted or wanted & {example.stem, *here}:
            yield from pictures_of(page, example, here)
    page.await_script(TOGGLE_BARS)
    for node in sorted(nodes - place.keys()):
        page.script(ALONE, node)
        yield look_at(page, node)


def save(path: Path, picture: Image.Image) -> None:
    """A thumbnail as .jpg, or a help page's picture as a small .png."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg":
        height = round(picture.height * THUMBNAIL_WIDTH / picture.width)
        picture.resize((THUMBNAIL_WIDTH, height), Image.Resampling.LANCZOS).save(path, quality=85, optimize=True)
    else:
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def main(wanted: set[str]) -> int:
    """Make the pictures; return the exit status."""
    if missing := missing_programs():
        print(f"error: {missing}")
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        stock(base, [read(example) for example in EXAMPLES.glob("*.json")])
        browser = start_browser(Path(scratch) / "profile")
        try:
            browser.set_window_size(*WINDOW)
            with ComfyServer(base) as server:
                page = Page(browser, server)
                page.open()
                for path, picture in all_pictures(page, wanted):
                    if not wanted or path.stem in wanted:
                        save(path, picture)
        finally:
            browser.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))
