"""Prompts for the nodes that look at many of them: from a widget, a text file or a CONDITIONING."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import folder_paths

from ..adaptors.training.prompts import Conditioning
from ..clockwork_core.checks import require_text, shown
from .contained import path_inside

SUFFIX = ".txt"


def read_prompts(clip: Any, prompts: str, prompts_file: str, positive: object) -> list[Conditioning]:
    """The encoded prompts of `positive` if it is connected, else of the text and the file, a line each.

    Raises ValueError or FileNotFoundError, with a sentence, if there are none.
    """
    if positive is not None:
        return Conditioning.all_of(positive, "positive")
    require_text("prompts", prompts)
    lines = [*prompts.splitlines(), *_file_lines(prompts_file)]
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ValueError("There are no prompts: write some, one a line, name a prompts_file, or connect positive.")
    return [prompt for text in texts for prompt in encode(clip, text)]


def read_negative(clip: Any, negative: object) -> Conditioning:
    """The negative prompt: the first of `negative` if it is connected, else the empty text."""
    return encode(clip, "")[0] if negative is None else Conditioning.all_of(negative, "negative")[0]


def encode(clip: Any, text: str) -> list[Conditioning]:
    """A text as the host encodes it. Raises ValueError if there is no CLIP to do it."""
    if not callable(getattr(clip, "encode_from_tokens_scheduled", None)):
        raise ValueError(
            f"clip is {shown(clip)}, but must be a CLIP, as a loader of ComfyUI gives it out, "
            "unless positive and negative are both connected."
        )
    return Conditioning.all_of(clip.encode_from_tokens_scheduled(clip.tokenize(text)), f"the prompt {shown(text)}")


def prompts_path(prompts_file: str) -> Path:
    """The file of that name in ComfyUI's input folder.

    Raises ValueError if the name leads out of it or is no .txt, FileNotFoundError if there is none.
    """
    root = Path(folder_paths.get_input_directory()).absolute()
    path = path_inside(root, prompts_file)
    if path is None or path.suffix.lower() != SUFFIX:
        raise ValueError(f"prompts_file is {shown(prompts_file)}, but must be the name of a {SUFFIX} file in {root}.")
    if not path.is_file():
        raise FileNotFoundError(f"prompts_file is {shown(prompts_file)}, but there is no such file in {root}.")
    return path


def fingerprint_of(prompts_file: object) -> str:
    """Changes when the file does; never fails."""
    try:
        status = prompts_path(str(prompts_file).strip()).stat()
    except (OSError, ValueError):
        return ""
    return f"{status.st_mtime_ns} {status.st_size}"


def _file_lines(prompts_file: str) -> list[str]:
    require_text("prompts_file", prompts_file)
    if not prompts_file.strip():
        return []
    path = prompts_path(prompts_file.strip())
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"prompts_file {path} is no UTF-8 text: {error}.") from error
