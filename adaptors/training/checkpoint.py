"""A training on disk, to go on with later: torch's own format, read without running code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

FORMAT = "clockwork training 2"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a training's state, whole or not at all. Raises OSError with a sentence if it cannot be written."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"format": FORMAT, **state}, unfinished)
        unfinished.replace(path)
    except (OSError, RuntimeError) as error:
        raise OSError(f"The checkpoint could not be saved as {path}: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A training's state. Raises ValueError with a sentence if the file is something else."""
    # What is no archive at all ends torch's reader in whatever error it meets first.
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no checkpoint that can be read: remove it, or choose another name.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} is no checkpoint that can be read: remove it, or choose another name.") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is no checkpoint of this version: remove it, or choose another name.")
    return state
