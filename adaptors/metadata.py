"""A learned adaptor's description as the text entries of a safetensors file, and back. Nothing in a file is trusted."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar, get_type_hints

from ..clockwork_core.checks import shown
from ..clockwork_core.cut import Seam
from .description import ARCHITECTURES, Description, TrainedFor

FORMAT = "clockwork adaptor"
FORMAT_VERSION = 1
LARGEST_NUMBER = 10**9
LARGEST_CHANNELS = 2**16
LONGEST_TEXT = 200

_Settings = TypeVar("_Settings")


def to_metadata(description: Description) -> dict[str, str]:
    """The entries of a file. trained_for and loss are left out while the adaptor is untrained."""
    entries = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "architecture": description.architecture,
        "config": json.dumps(asdict(description.config)),
        "fits": json.dumps(asdict(description.seam)),
    }
    if description.trained_for is not None:
        entries["trained_for"] = json.dumps(asdict(description.trained_for))
    if description.loss is not None:
        entries["loss"] = json.dumps(description.loss)
    return entries


def from_metadata(entries: dict[str, str]) -> Description:
    """The description that a file's entries hold. Raises ValueError with a sentence that begins with "it"."""
    _require_known_format(entries)
    architecture = _entry(entries, "architecture")
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"it holds the architecture {shown(architecture)}, but this version of Clockwork knows "
            f"{', '.join(ARCHITECTURES)}: update ComfyUI-Clockwork if the file is newer."
        )
    trained_for = _settings(TrainedFor, entries, "trained_for") if "trained_for" in entries else None
    return Description(
        architecture=architecture,
        config=_settings(ARCHITECTURES[architecture].config, entries, "config"),
        seam=_seam(entries),
        trained_for=trained_for,
        loss=_value(float, _json(entries, "loss"), "loss") if "loss" in entries else None,
    )


def _require_known_format(entries: dict[str, str]) -> None:
    if entries.get("format") != FORMAT:
        raise ValueError(f"it is not one: its format is {shown(entries.get('format'))}, not {FORMAT!r}.")
    version = _entry(entries, "format_version")
    if version != str(FORMAT_VERSION):
        newer = version.isdecimal() and len(version) < 10 and int(version) > FORMAT_VERSION
        advice = ": update ComfyUI-Clockwork." if newer else "."
        raise ValueError(
            f"it has format version {shown(version)}, but this version of Clockwork reads {FORMAT_VERSION}{advice}"
        )


def _seam(entries: dict[str, str]) -> Seam:
    seam = _settings(Seam, entries, "fits")
    for part, value in asdict(seam).items():
        if not 1 <= value <= LARGEST_CHANNELS:
            raise ValueError(f"its {part} is {value}, but must lie between 1 and {LARGEST_CHANNELS}.")
    return seam


def _settings(kind: type[_Settings], entries: dict[str, str], name: str) -> _Settings:
    """A dataclass of plain values, each of the type that it says; what a file leaves out has its default.

    So a setting that a later version adds with a default leaves the files of earlier ones as they are.
    """
    values = _json(entries, name)
    if not isinstance(values, dict):
        raise ValueError(f"its entry {name!r} is {shown(values)}, but must be a JSON object.")
    known = {field.name: field.default is MISSING for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    missing = [part for part, is_required in known.items() if is_required and part not in values]
    strange = sorted(set(values) - set(known))
    for parts, words in ((missing, "lacks"), (strange, "holds")):
        if parts:
            raise ValueError(f"its entry {name!r} {words} {shown(parts[0])}, but must hold {', '.join(known)}.")
    types = get_type_hints(kind)
    try:
        return kind(**{part: _value(types[part], value, f"{name}.{part}") for part, value in values.items()})
    except ValueError as error:
        raise ValueError(f"its settings are wrong: {error}") from error


def _value(kind: type, value: Any, name: str) -> Any:
    """`value` if it is a plain one of the wanted kind and of a sane size."""
    if kind is float and type(value) in (int, float):
        good = -LARGEST_NUMBER <= value <= LARGEST_NUMBER and math.isfinite(value)
    elif kind is int and type(value) is int:
        good = 0 <= value <= LARGEST_NUMBER
    elif kind is str and type(value) is str:
        good = len(value) <= LONGEST_TEXT and value.isprintable()
    else:
        good = kind is bool and type(value) is bool
    if not good:
        raise ValueError(f"{name} is {shown(value)}, but must be a {kind.__name__} of reasonable size.")
    return float(value) if kind is float else value


def _entry(entries: dict[str, str], name: str) -> str:
    if name not in entries:
        raise ValueError(f"its entry {name!r} is missing.")
    return entries[name]


def _json(entries: dict[str, str], name: str) -> Any:
    text = _entry(entries, name)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # Also for numbers of thousands of digits, which Python refuses to read.
        raise ValueError(f"its entry {name!r} is no JSON that can be read: {shown(text)}.") from error
