"""The folder that our hosts run in (`--base-directory`), so that nothing of ours is written into a ComfyUI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PACK_NAME = "ComfyUI-Clockwork"
PACK = Path(__file__).resolve().parents[1]

# The host ends at once if custom_nodes is missing, and cannot list its nodes without input.
FOLDERS = ("custom_nodes", "models/checkpoints", "input", "output", "user")


def prepare_base_directory(base: Path, pack: Path | None = PACK) -> Path:
    """Make the folders that a host expects in `base`, with `pack` among its custom nodes; return `base`, absolute.

    Without a `pack`, the custom nodes are what they are.
    """
    base = base.resolve()
    for folder in FOLDERS:
        (base / folder).mkdir(parents=True, exist_ok=True)
    if pack is not None:
        link_folder(base / "custom_nodes" / PACK_NAME, pack.resolve())
    return base


def link_folder(link: Path, target: Path) -> None:
    """Make `link` lead to the folder `target`; a link that leads elsewhere is made anew."""
    if link.resolve() == target and link.exists():
        return
    if os.path.lexists(link):
        _remove_link(link)
    try:
        link.symlink_to(target, target_is_directory=True)
    except OSError:
        if os.name != "nt":
            raise
        # Windows lets only privileged users make symlinks, but everybody make junctions.
        subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(target)], check=True, capture_output=True)


def _remove_link(link: Path) -> None:
    try:
        link.unlink()
    except OSError as error:
        raise FileExistsError(
            f"{link} is a folder of its own, but a link to this repository is needed there: please move it away."
        ) from error
