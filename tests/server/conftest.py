"""One real server for all tests of this folder, in a folder of its own."""

import pytest
from comfy_server import ComfyServer


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with ComfyServer(tmp_path_factory.mktemp("server base")) as running:
        yield running
