"""The runs that an adaptor is trained for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...clockwork_core.checks import require_number, require_text, require_whole_number, shown
from ...clockwork_core.schedule import MAX_CLOCK, EveryN
from ..description import TrainedFor

MOST_STEPS = 1000
MOST_CFG = 100
# Of a range of steps, or of clocks, so many are trained on: a network told how far the past lies fills the gaps.
MOST_OF_A_RANGE = 4


@dataclass(frozen=True)
class OperatingPoint:
    """One kind of sampling run. sampler, scheduler: the host's names. cfg: 1 for a run without guidance.

    Raises ValueError, naming the bad value and the valid ones.
    """

    steps: int
    sampler: str
    scheduler: str
    cfg: float
    clock: int

    def __post_init__(self) -> None:
        require_whole_number("steps", self.steps)
        require_whole_number("clock", self.clock)
        require_number("cfg", self.cfg)
        require_text("sampler", self.sampler)
        require_text("scheduler", self.scheduler)
        if not 0.0 <= self.cfg <= MOST_CFG:
            raise ValueError(f"cfg is {shown(self.cfg)}, but must lie between 0 and {MOST_CFG}.")
        if not 2 <= self.clock <= MAX_CLOCK:
            raise ValueError(f"clock is {shown(self.clock)}, but an adaptor needs one between 2 and {MAX_CLOCK}.")
        if not 2 <= self.steps <= MOST_STEPS:
            raise ValueError(f"steps is {shown(self.steps)}, but must lie between 2 and {MOST_STEPS}.")

    @property
    def schedule(self) -> EveryN:
        return EveryN(self.clock)


def points_between(first: OperatingPoint, most_steps: int = 0, most_clock: int = 0) -> list[OperatingPoint]:
    """`first`, or where a range is wanted (not 0) runs spread over it, both of its ends among them.

    Raises ValueError if a range ends before it begins.
    """
    return [
        replace(first, steps=steps, clock=clock)
        for steps in _spread("steps", first.steps, most_steps)
        for clock in _spread("clock", first.clock, most_clock)
    ]


def _spread(name: str, least: int, most: int) -> list[int]:
    require_whole_number(f"most_{name}", most)
    if most == 0:
        return [least]
    if most < least:
        raise ValueError(f"most_{name} is {shown(most)}, but must be 0 (no range) or at least {name}, {least}.")
    count = min(MOST_OF_A_RANGE, most - least + 1)
    return [least + round((most - least) * index / max(1, count - 1)) for index in range(count)]


def trained_for(points: Sequence[OperatingPoint], prompts: int) -> TrainedFor:
    """What a file says of a training on `points`, which differ in steps and clock only."""
    steps, clocks = sorted({point.steps for point in points}), sorted({point.clock for point in points})
    return TrainedFor(
        steps=steps[0],
        sampler=points[0].sampler,
        scheduler=points[0].scheduler,
        cfg=float(points[0].cfg),
        clock=clocks[0],
        prompts=prompts,
        most_steps=steps[-1] if len(steps) > 1 else 0,
        most_clock=clocks[-1] if len(clocks) > 1 else 0,
    )
