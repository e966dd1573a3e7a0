"""What to compare, as a person writes it: one variant a line. Pure text: no torch, no host.

    none                            the uncached run; it is always drawn, and first, so this line may be left out
    steps 12                        the uncached run with fewer steps: what anybody can do without Clockwork
    clock 2                         one full pass every 2 evaluations
    clock 3 extrapolation           … with another adaptor: identity (the default), extrapolation, or
    clock 3 adaptor                 … adaptor, the one that is connected
    schedule                        the connected schedule; an adaptor may follow here too
    adaptor                         short for: clock 2 adaptor
    steps 12 clock 2 extrapolation  both: fewer steps, and Clockwork
    as connected                    the settings of the Clockwork node that the model comes from

Capitals and the number of spaces do not matter. Empty lines are skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ..clockwork_core.checks import require_text, shown
from ..clockwork_core.schedule import MAX_CLOCK

# Each is drawn once for each seed; more columns would not be legible side by side.
MOST_VARIANTS = 24
DEFAULT_CLOCK = 2
CONNECTED_ADAPTOR = "adaptor"
ADAPTORS = ("identity", "extrapolation", CONNECTED_ADAPTOR)

FORMS = (
    "none",
    "steps N",
    "[steps N] clock N [ADAPTOR]",
    "[steps N] schedule [ADAPTOR]",
    "[steps N] adaptor",
    "as connected",
)
GRAMMAR = f"Valid lines: {'; '.join(FORMS)} (ADAPTOR: {', '.join(ADAPTORS)})."

_LINE = (
    r"(?:steps (?P<steps>[0-9]{1,9})(?: |$))?"
    r"(?:(?:clock (?P<clock>[0-9]{1,9})|(?P<schedule>schedule))"
    rf"(?: (?P<adaptor>{'|'.join(ADAPTORS)}))?|(?P<short>{CONNECTED_ADAPTOR}))?"
)


class Source(str, Enum):
    """Where a variant's schedule comes from."""

    UNCACHED = "uncached"
    CLOCK = "clock"
    SCHEDULE = "schedule"
    MODEL = "model"


@dataclass(frozen=True)
class Variant:
    """One way to draw a picture.

    clock: only with a source CLOCK. adaptor: one of ADAPTORS. steps: None for as many as the uncached run has.
    line: the number of its line in the text, for errors; 0 for the uncached run.
    """

    source: Source
    clock: int = 1
    adaptor: str = ADAPTORS[0]
    steps: int | None = None
    line: int = 0

    @property
    def name(self) -> str:
        """The shortest line that means this variant, as tables and pictures name it."""
        steps = [] if self.steps is None else [f"steps {self.steps}"]
        if self.source is Source.UNCACHED:
            return " ".join(steps) or "uncached"
        if self.source is Source.MODEL:
            return "as connected"
        schedule = f"clock {self.clock}" if self.source is Source.CLOCK else "schedule"
        adaptor = [] if self.adaptor == ADAPTORS[0] else [self.adaptor]
        return " ".join([*steps, schedule, *adaptor])

    @property
    def place(self) -> str:
        """Where the variant stands, as errors name it."""
        return f"variants, line {self.line}: {self.name}"

    @property
    def is_fewer_steps(self) -> bool:
        """Whether it is the peer: no Clockwork, only fewer steps."""
        return self.source is Source.UNCACHED and self.steps is not None


UNCACHED = Variant(Source.UNCACHED)


def parse_variants(text: str, steps: int) -> list[Variant]:
    """Read the lines of `text`; the uncached run of `steps` steps comes first, whether it is listed or not.

    Raises ValueError, naming the line, if it is of no valid form, has a number out of bounds, or repeats another.
    """
    require_text("variants", text)
    variants = {UNCACHED.name: UNCACHED}
    for number, raw in enumerate(text.splitlines(), 1):
        words = " ".join(raw.lower().split())
        if words in ("", "none"):
            continue
        variant = _parse(words, number, steps)
        if variant.name in variants:
            raise ValueError(f"{variant.place} means the same as line {variants[variant.name].line}: leave one out.")
        if len(variants) > MOST_VARIANTS:
            raise ValueError(f"variants has more than {MOST_VARIANTS} lines, which is the most that can be compared.")
        variants[variant.name] = variant
    return list(variants.values())


def _parse(words: str, number: int, steps: int) -> Variant:
    if words == "as connected":
        return Variant(Source.MODEL, line=number)
    found = re.fullmatch(_LINE, words)
    if found is None:
        raise ValueError(f"variants, line {number}: {shown(words)} is no variant. {GRAMMAR}")
    clock = DEFAULT_CLOCK if found["short"] else int(found["clock"] or 1)
    source = Source.SCHEDULE if found["schedule"] else Source.CLOCK if clock > 1 else Source.UNCACHED
    variant = Variant(
        source=source,
        clock=clock,
        adaptor=found["adaptor"] or found["short"] or ADAPTORS[0],
        steps=None if found["steps"] is None else int(found["steps"]),
        line=number,
    )
    if found["clock"] and not 2 <= clock <= MAX_CLOCK:
        raise ValueError(f"variants, line {number}: clock is {clock}, but must lie between 2 and {MAX_CLOCK}.")
    if variant.steps is not None and not 1 <= variant.steps < steps:
        raise ValueError(
            f"variants, line {number}: steps is {variant.steps}, but must be at least 1 and fewer than "
            f"the {steps} of the uncached run."
        )
    return variant
