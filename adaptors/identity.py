"""The identity adaptor: phi = r_out of the previous full pass. No training (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..clockwork_core.adaptor import Past, Present
from ..clockwork_core.cut import Place
from .base import TrainingFree


@dataclass(frozen=True)
class Identity(TrainingFree):
    """Reuse the newest r_out as it is. Taken after the upsample: the same numbers for less work."""

    name: str = "identity"
    place: Place = Place.AFTER_UPSAMPLE
    depth: int = 1

    def predict(self, past: Sequence[Past], present: Present) -> Tensor:  # noqa: ARG002
        return past[0].r_out
