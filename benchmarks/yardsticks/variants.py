"""What is compared: taking fewer steps, and Clockwork at some settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from comfy.model_patcher import ModelPatcher

from ...adaptors import BUILT_IN
from ...nodes.apply import ClockworkApply


@dataclass(frozen=True)
class Variant:
    """One way to draw a picture: `steps` of the sampler, one full pass every `clock` evaluations.

    cut: which blocks always run, "stage 1" or "stage 2". start_percent: before this share of the steps every pass
    is full. adaptor: a built-in one, by its name.
    """

    steps: int
    clock: int = 1
    cut: str = "stage 1"
    start_percent: float = 0.0
    adaptor: str = "identity"

    @classmethod
    def parse(cls, text: str) -> Variant:
        """A variant from text such as "8 clock=2 cut=2 start=0.2 adaptor=extrapolation"; first come the steps.

        Raises ValueError if the text is not of that form.
        """
        steps, *options = text.split()
        found: dict[str, Any] = {}
        for option in options:
            name, equals, value = option.partition("=")
            if name not in _OPTIONS or not equals:
                raise ValueError(
                    f"{option!r} in the variant {text!r} is none of clock=N, cut=1 or 2, start=0..1, adaptor=NAME."
                )
            field, read = _OPTIONS[name]
            found[field] = read(value)
        return cls(int(steps), **found)

    @property
    def is_plain(self) -> bool:
        """Whether every pass is full."""
        return self.clock == 1

    @property
    def name(self) -> str:
        """For tables and plots."""
        if self.is_plain:
            return f"{self.steps} steps"
        start = f", from {self.start_percent:.0%}" if self.start_percent else ""
        adaptor = "" if self.adaptor == "identity" else f", {self.adaptor}"
        return f"{self.steps} steps, clock {self.clock}, {self.cut}{start}{adaptor}"

    def patch(self, model: ModelPatcher) -> ModelPatcher:
        """A clone of the model that samples in this way; a plain one too has Clockwork, for its report."""
        adaptor = BUILT_IN[self.adaptor]()
        return ClockworkApply.execute(model, self.clock, self.cut, 3, self.start_percent, 1.0, None, adaptor).result[0]


# What a person writes for each setting, and how it is read.
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "clock": ("clock", int),
    "cut": ("cut", lambda stage: f"stage {int(stage)}"),
    "start": ("start_percent", float),
    "adaptor": ("adaptor", str),
}


def compared(step_counts: tuple[int, ...], clocks: tuple[int, ...] = (2, 3, 4)) -> list[Variant]:
    """Every step count up to the largest, uncached; at the given ones each clock, adaptor and cut."""
    plain = [Variant(steps) for steps in range(3, max(step_counts) + 1)]
    clockwork = [
        Variant(steps, clock, cut, adaptor=adaptor)
        for steps in step_counts
        for clock in clocks
        for adaptor in BUILT_IN
        for cut in ("stage 1", "stage 2")
    ]
    return plain + clockwork
