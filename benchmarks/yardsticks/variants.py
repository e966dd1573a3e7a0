"""What is compared: taking fewer steps, and Clockwork at some settings."""

from __future__ import annotations

from dataclasses import dataclass

from comfy.model_patcher import ModelPatcher

from ...nodes.apply import ClockworkApply


@dataclass(frozen=True)
class Variant:
    """One way to draw a picture: `steps` of the sampler, one full pass every `clock` evaluations.

    cut: which blocks always run, "stage 1" or "stage 2". start_percent: before this share of the steps every pass
    is full.
    """

    steps: int
    clock: int = 1
    cut: str = "stage 1"
    start_percent: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Variant:
        """A variant from text such as "8 clock=2 cut=2 start=0.2"; the first number is the steps.

        Raises ValueError if the text is not of that form.
        """
        steps, *options = text.split()
        kinds = {"clock": int, "cut": int, "start": float}
        found: dict[str, float] = {}
        for option in options:
            name, equals, value = option.partition("=")
            if name not in kinds or not equals:
                raise ValueError(f"{option!r} in the variant {text!r} is none of clock=N, cut=1 or 2, start=0..1.")
            found[name] = kinds[name](value)
        return cls(
            int(steps), int(found.get("clock", 1)), f"stage {found.get('cut', 1)}", float(found.get("start", 0.0))
        )

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
        return f"{self.steps} steps, clock {self.clock}, {self.cut}{start}"

    def patch(self, model: ModelPatcher) -> ModelPatcher:
        """A clone of the model that samples in this way; a plain one too has Clockwork, for its report."""
        return ClockworkApply.execute(model, self.clock, self.cut, 3, self.start_percent, 1.0).result[0]


def compared(step_counts: tuple[int, ...], clocks: tuple[int, ...] = (2, 3, 4)) -> list[Variant]:
    """For each step count: uncached, and each clock at both cuts; and beside them every smaller step count."""
    plain = [Variant(steps) for steps in range(3, max(step_counts) + 1)]
    clockwork = [
        Variant(steps, clock, cut) for steps in step_counts for clock in clocks for cut in ("stage 1", "stage 2")
    ]
    return plain + clockwork
