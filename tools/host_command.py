"""The command line that starts a real ComfyUI with the pack; shared by `./run serve`, the tests and the demo."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCALHOST = "127.0.0.1"

# Covers CUDA, ROCm, MPS and XPU; false for a CUDA build of torch on a machine without a GPU.
_DEVICE_PROBE = "import torch; print('accelerator' if torch.accelerator.is_available() else 'cpu')"


def host_folder() -> Path:
    """The ComfyUI in use: the user's own if COMFYUI_PATH names one, else the one that ./run fetched."""
    return Path(os.environ.get("COMFYUI_PATH") or ROOT / ".comfyui").expanduser().resolve()


@functools.cache
def has_accelerator(python: str) -> bool:
    """Whether the torch of this Python sees anything faster than the CPU."""
    probe = subprocess.run([python, "-c", _DEVICE_PROBE], capture_output=True, text=True, check=True)
    return probe.stdout.strip().endswith("accelerator")


def device_arguments(accelerator: bool, extra: Sequence[str] = ()) -> list[str]:
    """What the host needs to be told where there is only a CPU; `extra` is what the user said."""
    if accelerator and "--cpu" not in extra:
        return []
    attention_chosen = any(argument.startswith("--use-") and "attention" in argument for argument in extra)
    # Left alone, the host picks its slow sub-quadratic attention on a CPU.
    return ["--cpu", *([] if attention_chosen else ["--use-pytorch-cross-attention"])]


def host_command(python: Path | str, host: Path, base: Path, port: int, extra: Sequence[str] = ()) -> list[str]:
    """The arguments for a server at `port` of this machine that keeps all its files in `base`."""
    return [
        str(python),
        str(host / "main.py"),
        "--base-directory",
        str(base),
        # Not moved by --base-directory: without this the database is made inside the ComfyUI.
        "--database-url",
        f"sqlite:///{(base / 'user' / 'comfyui.db').as_posix()}",
        "--listen",
        LOCALHOST,
        "--port",
        str(port),
        "--disable-auto-launch",
        "--disable-api-nodes",
        *device_arguments(has_accelerator(str(python)), extra),
        *extra,
    ]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return probe.getsockname()[1]


def port_is_taken(port: int) -> bool:
    """Whether somebody listens on this port of this machine already."""
    with socket.socket() as probe:
        return probe.connect_ex((LOCALHOST, port)) == 0
