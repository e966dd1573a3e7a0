"""Names that people write for files, kept inside the folder that they are meant for."""

from __future__ import annotations

import os
from pathlib import Path


def path_inside(root: Path, name: str) -> Path | None:
    """The path `name` below `root`, which is absolute; None if it leads out of it, or no file can be called so.

    Without resolving links: a user may well keep such a folder elsewhere.
    """
    path = Path(os.path.normpath(root / name))
    return None if "\0" in name or not path.is_relative_to(root) else path
