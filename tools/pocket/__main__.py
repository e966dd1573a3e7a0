"""./run pocket {train,distil,export} …"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# Python put this folder here, whose modules are meant to be imported as part of the pack.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch  # noqa: E402
from in_process import load_pack, prepare_host  # noqa: E402

COMMANDS = ("train", "distil", "export")


def main() -> int:
    """Run one of the commands; returns the exit status."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(f"usage: ./run pocket {{{','.join(COMMANDS)}}} [--help]", file=sys.stderr)
        return 2
    command, arguments = sys.argv[1], sys.argv[2:]
    prepare_host(cpu=not torch.accelerator.is_available())
    pack = load_pack()
    return importlib.import_module(f"{pack.__name__}.tools.pocket.{command}").main(arguments)


if __name__ == "__main__":
    sys.exit(main())
