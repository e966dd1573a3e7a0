"""Puts a real ComfyUI on the path and loads the pack the way ComfyUI does, under the name `clockwork_pack`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The pack's folder `nodes` would hide the host's own nodes.py.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
# pytest's importlib mode puts nothing on the path, not even what several test files share.
sys.path += [str(ROOT / "tools"), str(ROOT / "tests" / "helpers")]

if "PYTEST_XDIST_WORKER" in os.environ:
    # One worker a core, so one thread a worker, and a server that a test starts. Torch reads it once, when imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from distribution import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: E402, F401 - hooks
from in_process import load_pack, prepare_host  # noqa: E402
from matrix_results import MatrixResults  # noqa: E402

prepare_host(cpu=True)
load_pack()

import folder_paths  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def host_temp(tmp_path_factory):
    """Nodes that show a picture write it there, and nothing is to be written into the ComfyUI under test."""
    folder_paths.set_temp_directory(str(tmp_path_factory.mktemp("host temp")))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(MatrixResults())
