"""One real server and one headless Chromium for all tests of this folder.

`page` is the open editor with an empty workflow; without Chromium or its driver the tests are left out, and say so.
"""

import json

import pytest
from chromium import missing_programs, start_browser
from comfy_server import ComfyServer
from page import Page

# A new user is greeted by a dialog that covers the screen, and the map hides nodes on screenshots.
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False}


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if missing := missing_programs():
        pytest.skip(missing)
    driver = start_browser(tmp_path_factory.mktemp("browser profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("browser base")
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    with ComfyServer(base) as running:
        yield running


@pytest.fixture(scope="module")
def editor(browser, server):
    """The editor, opened once for a test module."""
    page = Page(browser, server)
    page.open()
    return page


@pytest.fixture
def page(editor):
    """The editor with an empty workflow."""
    editor.close_dialogs()
    editor.await_script("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    return editor
