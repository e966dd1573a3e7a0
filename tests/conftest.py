"""Puts a real ComfyUI on the path and loads the pack the way ComfyUI does, under the name `clockwork_pack`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMFYUI = Path(os.environ.get("COMFYUI_PATH", ROOT / ".comfyui"))


def _prepare_host() -> None:
    if not (COMFYUI / "main.py").is_file():
        raise RuntimeError(f"There is no ComfyUI at {COMFYUI}: run ./run test, or set COMFYUI_PATH.")
    # The folder `nodes` of the pack would hide the host's own nodes.py.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    sys.path.insert(0, str(COMFYUI))
    # Before anything else of comfy is imported: a CUDA build of torch would otherwise look for a driver.
    from comfy.cli_args import args

    args.cpu = True
    args.use_pytorch_cross_attention = True


def _load_pack() -> None:
    spec = importlib.util.spec_from_file_location(
        "clockwork_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["clockwork_pack"] = module
    spec.loader.exec_module(module)


_prepare_host()
_load_pack()
# Helpers that several test files share; they are not test files, and not on the path in importlib mode.
sys.path.append(str(ROOT / "tests" / "helpers"))
