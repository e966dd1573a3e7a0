"""Load ComfyUI and the pack into this process, the way the host itself does, for tests and benchmarks."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from host_command import ROOT, host_folder

PACK = "clockwork_pack"


def prepare_host(cpu: bool) -> None:
    """Make `import comfy` work. cpu: as the host's --cpu, which keeps a CUDA torch from looking for a driver.

    Raises FileNotFoundError if there is no ComfyUI.
    """
    host = host_folder()
    if not (host / "main.py").is_file():
        raise FileNotFoundError(f"There is no ComfyUI at {host}: run ./run test once, or set COMFYUI_PATH.")
    if str(host) not in sys.path:
        sys.path.insert(0, str(host))
    # Before anything else of comfy is imported, for that reads the arguments.
    from comfy.cli_args import args

    if cpu:
        args.cpu = True
        args.use_pytorch_cross_attention = True


def load_pack() -> ModuleType:
    """Import the pack as the package `clockwork_pack`.

    The repository's root never gets onto the path: its folder `nodes` would hide the host's nodes.py.
    """
    if PACK not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            PACK, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[PACK] = module
        spec.loader.exec_module(module)
    return sys.modules[PACK]
