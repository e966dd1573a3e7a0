"""The example that needs no download, as a new user meets it: found, dropped, run, looked at, reloaded."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.server, pytest.mark.browser]

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "text-to-image-demo-model.json"


def test_dropped_and_run(page):
    page.drop(EXAMPLE)
    assert page.missing_node_types() == []
    entry = page.queue_and_wait()
    page.fit_view()
    page.screenshot("example-after-its-run")
    assert len(entry["outputs"]["9"]["images"]) == 4
    assert page.our_console_errors() == []


def test_a_node_that_is_missing_is_seen(page):
    """Or the check above would pass whatever is dropped."""
    page.drop_data("with a stranger", {"version": 0.4, "nodes": [{"id": 1, "type": "NotInstalled"}], "links": []})
    assert page.missing_node_types() == ["NotInstalled"]
