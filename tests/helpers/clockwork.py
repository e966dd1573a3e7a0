"""Short ways to patch a model in tests."""

from __future__ import annotations

from clockwork_pack.adaptors import Identity
from clockwork_pack.clockwork_core.observer import Observer
from clockwork_pack.clockwork_core.runtime import ClockworkConfig, attach, reports_of
from clockwork_pack.clockwork_core.schedule import EveryN, Kind, Schedule, Window


def with_clockwork(
    model,
    clock: int = 2,
    kept_blocks: int = 3,
    schedule: Schedule | None = None,
    start: float = 0.0,
    end: float = 1.0,
    adaptor=None,
    reuse_control: bool = True,
    observer: Observer | None = None,
):
    """The model patched with the given adaptor, or an identity."""
    schedule = schedule or EveryN(clock)
    window = Window(start, end)
    config = ClockworkConfig(schedule, kept_blocks, adaptor or Identity(), window, reuse_control)
    return attach(model, config, observer)


def last_report(patched):
    """The report of the latest run of a patched model."""
    return reports_of(patched).latest


def kinds(patched) -> str:
    """The evaluations of the latest run, such as "FaFa": F = full, a = adaptor."""
    return "".join("F" if e.kind is Kind.FULL else "a" for e in last_report(patched).evaluations)
