"""Schedules by the names and values that people choose them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .checks import require_text, shown
from .schedule import DenseEarly, EveryN, ExplicitList, FullSteps, Schedule

# The names are saved in workflow files: add new ones, never change one.
BUILDERS: dict[str, Callable[[Mapping[str, Any]], Schedule]] = {
    "every N": lambda values: EveryN(values["clock"], values["offset"]),
    "explicit list": lambda values: ExplicitList.parse(values["pattern"]),
    "full steps": lambda values: FullSteps.parse(values["full_steps"]),
    "dense early": lambda values: DenseEarly(values["full_passes"]),
}


def build_schedule(values: Mapping[str, Any]) -> Schedule:
    """The schedule of values["mode"], from the values that this mode reads; others may be anything.

    Raises ValueError, naming the value and what is valid.
    """
    mode = values["mode"]
    require_text("mode", mode)
    if mode not in BUILDERS:
        raise ValueError(f"mode is {shown(mode)}, but must be one of {', '.join(BUILDERS)}.")
    return BUILDERS[mode](values)
