"""Puts a real ComfyUI on the path and loads the pack the way ComfyUI does, under the name `clockwork_pack`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The pack's folder `nodes` would hide the host's own nodes.py.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
# pytest's importlib mode puts nothing on the path, not even what several test files share.
sys.path += [str(ROOT / "tools"), str(ROOT / "tests" / "helpers")]

from in_process import load_pack, prepare_host  # noqa: E402

prepare_host(cpu=True)
load_pack()

import folder_paths  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def host_temp(tmp_path_factory):
    """Nodes that show a picture write it there, and nothing is to be written into the ComfyUI under test."""
    folder_paths.set_temp_directory(str(tmp_path_factory.mktemp("host temp")))
