"""ComfyUI's page in a browser, used as a person does: drop a workflow, press Run, look, reload."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comfy_server import ComfyServer
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

SCREENS = Path(__file__).resolve().parents[2] / "out" / "screens"
POLL_SECONDS = 0.1
OURS = ("clockwork/", "[clockwork]", "comfyui-clockwork")

READY = "return !!(window.app?.extensionManager?.workflow?.activeWorkflow && app.graph && app.canvas)"

DROP = """
const [name, text] = arguments;
const files = new DataTransfer();
files.items.add(new File([text], name, {type: "application/json"}));
const event = (kind) => new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: files});
const canvas = document.querySelector("#graph-canvas");
canvas.dispatchEvent(event("dragover"));
canvas.dispatchEvent(event("drop"));
"""

# The path of a workflow's tab tells that it is the one that was asked for, and not the one before it.
OPENED = """
return app.extensionManager.workflow.activeWorkflow.filename.startsWith(arguments[0])
    && app.graph.nodes.length === arguments[1]
"""

MISSING_TYPES = """
const missing = new Set();
const visit = (graph) => graph.nodes.forEach((node) => {
    if (node.subgraph) visit(node.subgraph);
    else if (!(node.type in LiteGraph.registered_node_types)) missing.add(node.type);
});
visit(app.rootGraph ?? app.graph);
return [...missing];
"""

RECORD = """
window.recorded = [];
for (const kind of ["execution_start", "execution_success", "execution_error", "execution_interrupted"])
    app.api.addEventListener(kind, ({detail}) => window.recorded.push([kind, detail]));
"""


class PageError(AssertionError):
    """The page did not do what was waited for."""


class Page:
    """One tab with the host's editor. server: the host that it shows."""

    def __init__(self, driver: Chrome, server: ComfyServer) -> None:
        self.driver = driver
        self.server = server
        self._console: list[dict[str, Any]] = []

    def open(self) -> None:
        """Load the editor anew, and wait until it can be used."""
        self.driver.get(self.server.url)
        self.wait(READY, "the editor is there", seconds=180)
        self.script(RECORD)

    def script(self, code: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; `return` gives a value back."""
        return self.driver.execute_script(code, *arguments)

    def await_script(self, code: str, *arguments: Any) -> Any:
        """The value of an asynchronous JavaScript expression."""
        wrapped = f"const finish = arguments[arguments.length - 1]; Promise.resolve({code}).then(finish)"
        return self.driver.execute_async_script(wrapped, *arguments)

    def wait(self, condition: str | Callable[[], Any], what: str, *arguments: Any, seconds: float = 60.0) -> Any:
        """Wait for JavaScript, or a function, to give something true, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition() if callable(condition) else self.script(condition, *arguments)
            if found:
                return found
            time.sleep(POLL_SECONDS)
        shown = self.script("return document.body.innerText")[-500:]
        raise PageError(f"After {seconds:.0f} s it does not hold that {what}. The page ends with: {shown}")

    def drop(self, workflow: Path) -> None:
        """Drag a workflow file from the desktop onto the canvas, and wait until it is open."""
        self.drop_data(workflow.stem, json.loads(workflow.read_text(encoding="utf-8")))

    def drop_data(self, name: str, workflow: dict[str, Any]) -> None:
        """The same for a workflow (UI format) that is in no file."""
        self.script(DROP, f"{name}.json", json.dumps(workflow))
        self.wait(OPENED, f"the workflow {name} is open", name, len(workflow["nodes"]))

    def missing_node_types(self) -> list[str]:
        """Types of nodes in the open workflow, in its subgraphs too, that the page does not know."""
        return self.script(MISSING_TYPES)

    def queue(self) -> str:
        """Press Run, and wait until the prompt has begun; return its id."""
        self.script("window.recorded.length = 0")
        # A message of the host's may lie over the button for some seconds.
        self.script("arguments[0].click()", self.button("Run"))
        begun = "return window.recorded.find(([kind]) => kind === 'execution_start')?.[1].prompt_id"
        return self.wait(begun, "the prompt has begun")

    def queue_and_wait(self, seconds: float = 120.0) -> dict[str, Any]:
        """Press Run, wait for the end, and return the server's history of the prompt. Raises PromptError."""
        return self.server.wait(self.queue(), seconds)

    def button(self, label: str) -> Any:
        """The visible button with this text or aria-label."""
        return self.wait(lambda: self._find_button(label), f"there is a button {label}")

    def close_dialogs(self) -> None:
        """Close what covers the editor, such as the host's list of missing nodes."""
        self.script("document.querySelectorAll('.p-dialog-close-button').forEach((button) => button.click())")
        self.wait("return !document.querySelector('.p-dialog-mask')", "no dialog covers the editor")

    def click_text(self, text: str) -> None:
        """Click on what shows exactly this text."""
        xpath = f"//*[text()[normalize-space()='{text}']]"

        def visible() -> Any:
            return next((found for found in self.driver.find_elements(By.XPATH, xpath) if found.is_displayed()), None)

        self.wait(visible, f"there is {text}").click()

    def _find_button(self, label: str) -> Any:
        for button in self.driver.find_elements(By.CSS_SELECTOR, "button"):
            if label in (button.get_attribute("aria-label"), button.text.strip()) and button.is_displayed():
                return button
        return None

    def screenshot(self, name: str) -> Path:
        """A picture of the page in out/screens/, for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        path = SCREENS / f"{name}.png"
        if not self.driver.save_screenshot(str(path)):
            raise WebDriverException(f"{path} could not be written")
        return path

    def fit_view(self) -> None:
        """Show the whole workflow."""
        self.await_script("app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        time.sleep(0.5)  # the host glides there

    def our_console_errors(self) -> list[str]:
        """What the console has said so far about files, routes or events of ours, warnings included."""
        self._console += self.driver.get_log("browser")
        return [
            entry["message"]
            for entry in self._console
            if entry["level"] in ("SEVERE", "WARNING") and any(word in entry["message"].lower() for word in OURS)
        ]
