"""Clockwork under torch.compile.

Seen from inside a compiled UNet, the schedule, the trace and the report are Python state that changes with each
evaluation: torch would compile anew again and again, then give up. So our wrapper is no part of the user's graph
(`runtime.Engine.diffusion_model`), and the passes are compiled here instead, as the user's own settings say.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from .capture import Captured
from .passes import EAGER, PassParts, UNetCall, enter, forward_and_catch, leave

_compiled: dict[str, PassParts] = {}


def pass_parts(settings: dict[str, Any] | None) -> PassParts:
    """The parts of both passes, compiled with these keywords of torch.compile; None stands for not at all."""
    if settings is None:
        return EAGER
    key = repr(sorted(settings.items()))
    if key not in _compiled:
        _compiled[key] = _graphs(settings)
    return _compiled[key]


def _graphs(settings: dict[str, Any]) -> PassParts:
    compiled = cast("Callable[..., Any]", partial(torch.compile, **settings))
    run_and_catch = compiled(forward_and_catch)

    def forward_and_keep(*arguments: Any) -> tuple[Tensor, Captured | None]:
        output, captured = run_and_catch(*arguments)
        # What a CUDA graph gives out is overwritten when it runs again.
        return output, None if captured is None else captured.copied()

    return PassParts(
        forward=compiled(UNetCall.run),
        forward_and_catch=forward_and_keep,
        enter=compiled(enter),
        leave=compiled(leave),
    )
