"""When to run a full pass: the rule C(t) of the paper (section 3.3).

A schedule answers for each evaluation whether the UNet runs in full or with the adaptor. Everything here is
plain arithmetic: no torch, no host. The first evaluation of a run is always full, whatever a schedule says.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from .checks import require_number, require_text, require_whole_number, shown
from .evaluations import steps_of_evaluations

MAX_CLOCK = 64
# A longer list is cut short where people read it.
SHOWN_ENTRIES = 32


class Kind(str, Enum):
    """What one evaluation runs."""

    FULL = "full"
    ADAPTOR = "adaptor"


@dataclass(frozen=True)
class Tick:
    """Where a run stands when an evaluation begins.

    evaluation: number of evaluations before this one in the run.
    since_origin: evaluations since the last one that the percent window forced to be full (or since the first).
    step: index of the interval of the sigma list that this evaluation lies in, 0 .. steps - 1.
    steps: number of intervals.
    first_in_step: no earlier evaluation of the run lay in this step (Heun-like samplers make two per step).
    """

    evaluation: int
    since_origin: int
    step: int
    steps: int
    first_in_step: bool


@runtime_checkable
class Schedule(Protocol):
    """The rule C(t): a frozen description that many runs may share."""

    def is_full(self, tick: Tick) -> bool:
        """Whether the evaluation at `tick` is to be a full pass."""
        ...

    def always_full(self) -> bool:
        """Whether no run could contain an adaptor evaluation: then nothing need be remembered."""
        ...

    def describe(self) -> str:
        """A few words for reports, such as "clock 2"."""
        ...


@dataclass(frozen=True)
class EveryN:
    """One full pass every `clock` evaluations (the paper's clock), the first of them at `offset`."""

    clock: int
    offset: int = 0

    def __post_init__(self) -> None:
        require_whole_number("clock", self.clock)
        require_whole_number("offset", self.offset)
        if not 1 <= self.clock <= MAX_CLOCK:
            raise ValueError(f"clock is {shown(self.clock)}, but must lie between 1 (always full) and {MAX_CLOCK}.")
        if not 0 <= self.offset < self.clock:
            raise ValueError(
                f"offset is {shown(self.offset)}, but with clock {self.clock} "
                f"it must lie between 0 and {self.clock - 1}."
            )

    def is_full(self, tick: Tick) -> bool:
        return (tick.since_origin - self.offset) % self.clock == 0

    def always_full(self) -> bool:
        return self.clock == 1

    def describe(self) -> str:
        return f"clock {self.clock}" + (f", offset {self.offset}" if self.offset else "")


@dataclass(frozen=True)
class ExplicitList:
    """One character for each evaluation, 1 = full, 0 = adaptor; a run that is longer repeats the list."""

    pattern: str

    def __post_init__(self) -> None:
        require_text("pattern", self.pattern)
        wrong = sorted(set(self.pattern) - {"0", "1"})
        if wrong:
            raise ValueError(
                f"The explicit list {shown(self.pattern)} contains {', '.join(map(repr, wrong[:SHOWN_ENTRIES]))}; "
                "only 1 (full) and 0 (adaptor) are allowed, such as '1000100100'."
            )
        if not self.pattern.startswith("1"):
            raise ValueError(
                f"The explicit list {shown(self.pattern)} must begin with 1: "
                "the first evaluation is always full, there is nothing to reuse before it."
            )

    @classmethod
    def parse(cls, text: str) -> ExplicitList:
        """Read a list such as "1000100100", with spaces around it allowed. Raises ValueError for anything else."""
        require_text("pattern", text)
        return cls(text.strip())

    def is_full(self, tick: Tick) -> bool:
        return self.pattern[tick.evaluation % len(self.pattern)] == "1"

    def always_full(self) -> bool:
        return "0" not in self.pattern

    def describe(self) -> str:
        return f"list {self.pattern[:SHOWN_ENTRIES]}" + ("…" if len(self.pattern) > SHOWN_ENTRIES else "")


@dataclass(frozen=True)
class FullSteps:
    """A full pass at the first evaluation of each listed step, adaptor passes everywhere else."""

    steps: frozenset[int]

    def __post_init__(self) -> None:
        if 0 not in self.steps:
            raise ValueError(
                f"The list of full steps holds {self._listed() or 'nothing'}, but must contain 0: "
                "the first step is always full, there is nothing to reuse before it."
            )
        if min(self.steps) < 0:
            raise ValueError(f"The list of full steps holds {min(self.steps)}, but steps count from 0.")

    @classmethod
    def parse(cls, text: str) -> FullSteps:
        """Read a list such as "0, 1, 2, 5, 9" (commas or spaces).

        Raises ValueError for anything that is not a whole number, and for a list without 0.
        """
        require_text("full_steps", text)
        entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
        wrong = [entry for entry in entries if not re.fullmatch(r"-?[0-9]{1,9}", entry)]
        if wrong:
            raise ValueError(
                f"The list of full steps contains {shown(wrong[0])}; "
                "only whole numbers separated by commas are allowed, such as '0, 1, 2, 5, 9'."
            )
        return cls(frozenset(map(int, entries)))

    def is_full(self, tick: Tick) -> bool:
        return tick.first_in_step and tick.step in self.steps

    def always_full(self) -> bool:
        return False

    def describe(self) -> str:
        return f"full steps {self._listed()}"

    def _listed(self) -> str:
        ordered = sorted(self.steps)
        return ", ".join(map(str, ordered[:SHOWN_ENTRIES])) + (" …" if len(ordered) > SHOWN_ENTRIES else "")


@dataclass(frozen=True)
class DenseEarly:
    """`full_passes` full passes in a run, crowded at its beginning, where an old feature hurts most.

    The i-th of n full passes comes at step floor(steps (i / n)^2), later ones moved on where two would meet.
    """

    full_passes: int

    def __post_init__(self) -> None:
        require_whole_number("full_passes", self.full_passes)
        if self.full_passes < 1:
            raise ValueError(f"full_passes is {shown(self.full_passes)}, but at least 1 full pass is needed.")

    def full_steps(self, steps: int) -> frozenset[int]:
        """The steps with a full pass in a run of `steps` steps: min(full_passes, steps) of them."""
        return _dense_early_steps(min(self.full_passes, steps), steps)

    def is_full(self, tick: Tick) -> bool:
        return tick.first_in_step and tick.step in self.full_steps(tick.steps)

    def always_full(self) -> bool:
        return False

    def describe(self) -> str:
        return f"{shown(self.full_passes)} full passes, dense early"


@functools.lru_cache(maxsize=16)
def _dense_early_steps(count: int, steps: int) -> frozenset[int]:
    """Asked again at each evaluation, which would make long runs quadratic."""
    chosen: list[int] = []
    for index in range(count):
        wanted = steps * index * index // (count * count)
        chosen.append(max(wanted, chosen[-1] + 1) if chosen else 0)
    return frozenset(chosen)


@dataclass(frozen=True)
class Window:
    """The share of a run in which the adaptor may stand in; outside it every evaluation is full.

    start, end: shares of the run's own steps, 0 = its first step, 1 = past its last.
    """

    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("start_percent", self.start), ("end_percent", self.end)):
            require_number(name, value)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {shown(value)}, but must lie between 0 and 1.")
        if self.start > self.end:
            raise ValueError(
                f"start_percent {self.start} lies after end_percent {self.end}; the start must come first."
            )

    def contains(self, step: int, steps: int) -> bool:
        return self.start <= step / steps < self.end


class ScheduleRun:
    """Follows one run through its evaluations and says of each whether it is to be full."""

    def __init__(self, schedule: Schedule, window: Window, steps: int) -> None:
        self._schedule = schedule
        self._window = window
        self._steps = max(1, steps)
        self._evaluation = 0
        self._origin = 0
        self._seen_steps: set[int] = set()

    def next(self, step: int) -> Kind:
        """Advance by one evaluation, which lies in interval `step` of the sigma list."""
        tick = Tick(
            self._evaluation,
            self._evaluation - self._origin,
            step,
            self._steps,
            first_in_step=step not in self._seen_steps,
        )
        inside = self._window.contains(step, self._steps)
        full = tick.evaluation == 0 or not inside or self._schedule.is_full(tick)
        if not inside:
            self._origin = self._evaluation
        self._evaluation += 1
        self._seen_steps.add(step)
        return Kind.FULL if full else Kind.ADAPTOR


def plan(schedule: Schedule, window: Window, steps: int, sampler: str | None = None) -> list[Kind]:
    """The kinds of all evaluations of a run to come. sampler: the host's name of it, as for `steps_of_evaluations`."""
    run = ScheduleRun(schedule, window, steps)
    return [run.next(step) for step in steps_of_evaluations(sampler, steps)]
