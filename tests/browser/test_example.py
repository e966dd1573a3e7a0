"""The example that needs no download, as a new user meets it: found, dropped, run, looked at, reloaded."""

import json
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

pytestmark = [pytest.mark.server, pytest.mark.browser]

EXAMPLE = Path(__file__).resolve().parents[2] / "example_workflows" / "text-to-image-demo-model.json"

# Looking from here would miss what lasts shorter than a look takes.
WATCH = """
window.filled = new Set();
const strip = document.querySelector(".clockwork-strip");
const note = () => window.filled.add(Number(strip.dataset.done));
new MutationObserver(note).observe(strip, {attributeFilter: ["data-done"]});
"""
REPORT_TEXT = "return document.querySelector('.clockwork-report').innerText"
REPORT_PICTURE = "return app.graph.nodes.find(({type}) => type === 'ClockworkReport').imgs?.[0]?.naturalWidth"


def strip(page):
    """Kinds, how many of them have run, and the words of the first strip."""
    element = page.driver.find_element(By.CLASS_NAME, "clockwork-strip")
    return element.get_attribute("data-kinds"), int(element.get_attribute("data-done") or 0), element.text


def wait_for_strip(page, words):
    return page.wait(lambda: strip(page) if words in strip(page)[2] else None, f"the strip says {words!r}")


def test_dropped_run_and_reloaded(page):
    workflow = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    # One picture instead of four: the server tests run the example as it is.
    next(node for node in workflow["nodes"] if node["type"] == "EmptyLatentImage")["widgets_values"][2] = 1
    page.drop_data(EXAMPLE.stem, workflow)
    assert page.missing_node_types() == []
    kinds, done, words = wait_for_strip(page, "saves")
    assert (kinds, done) == ("Fa" * 10, 0)
    assert words == "20 evaluations: 10 full + 10 adaptor\nsaves about 47% on SDXL, 31% on SD 1.5"
    page.fit_view()
    page.screenshot("example-dropped")

    page.script(WATCH)
    prompt_id = page.queue()
    page.wait("return window.filled.size > 2", "the strip fills")
    page.screenshot("example-while-sampling")
    entry = page.server.wait(prompt_id)
    told = json.loads(entry["outputs"]["7"]["clockwork_report"][0])
    kinds, done, words = wait_for_strip(page, "of compute saved")
    assert len(page.script("return [...window.filled]")) >= 10, "it fills one by one"
    assert (kinds, done) == ("Fa" * 10, 20)
    first, second = words.splitlines()
    assert first == "20 evaluations: 10 full + 10 adaptor"
    assert second.startswith(f"{told['flops_saved_percent']:.0f}% of compute saved · ")
    assert f"{told['seconds']:.1f}" in second or f"{told['seconds']:.2f}" in second
    report = page.script(REPORT_TEXT)
    assert report == entry["outputs"]["7"]["text"][0]
    assert page.wait(REPORT_PICTURE, "the timeline is shown") == 768
    page.screenshot("example-after-its-run")

    page.open()
    assert wait_for_strip(page, "of compute saved") == (kinds, done, words)
    assert page.script(REPORT_TEXT) == report
    assert page.wait(REPORT_PICTURE, "the timeline is shown again") == 768
    page.screenshot("example-reloaded")
    assert page.our_console_errors() == []


def test_from_the_template_browser(page):
    page.button("Templates").click()
    page.click_text("ComfyUI-Clockwork")
    cards = page.wait(
        lambda: page.driver.find_elements(By.CSS_SELECTOR, f"h3[title='{EXAMPLE.stem}']"), "our templates are listed"
    )
    page.screenshot("template-browser")
    cards[0].click()
    page.wait("return app.graph.nodes.some(({type}) => type === 'ClockworkApply')", "the template is open")
    assert page.missing_node_types() == []
    wait_for_strip(page, "20 evaluations")
    page.screenshot("template-opened")
    assert page.our_console_errors() == []


def test_a_node_that_is_missing_is_seen(page):
    """Or the checks above would pass whatever is dropped."""
    page.drop_data("with a stranger", {"version": 0.4, "nodes": [{"id": 1, "type": "NotInstalled"}], "links": []})
    assert page.missing_node_types() == ["NotInstalled"]
