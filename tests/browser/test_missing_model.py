"""An example opened without its model."""

import pytest
from host_command import ROOT

pytestmark = [pytest.mark.server, pytest.mark.browser]


def test_the_model_is_named_with_its_address_and_a_substitute(page):
    """By the host's own message, from what the loader node says of its model, and by our note."""
    page.drop(ROOT / "example_workflows" / "text-to-image-sd15.json")
    for part in ("v1-5-pruned-emaonly-fp16.safetensors", "Load Clockwork Demo Model"):
        page.wait("return document.body.innerText.includes(arguments[0])", f"{part} is named", part)
    assert page.script("return [...document.querySelectorAll('.p-dialog')].some((d) => d.innerText.includes('v1-5'))")
    page.screenshot("example without its model")
