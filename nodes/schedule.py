"""A schedule of its own, where a plain clock is not enough."""

from __future__ import annotations

from comfy_api.latest import io

from ..clockwork_core.modes import BUILDERS, build_schedule
from ..clockwork_core.schedule import MAX_CLOCK
from .types import CATEGORY, Schedule


class ClockworkSchedule(io.ComfyNode):
    """Say exactly which evaluations run in full."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkSchedule",
            display_name="Clockwork Schedule",
            category=CATEGORY,
            description=(
                "Says which evaluations of the sampler run the whole UNet. The first one always does. Most samplers "
                "make one evaluation per step, Heun-like ones two."
            ),
            inputs=[
                io.Combo.Input(
                    "mode",
                    options=list(BUILDERS),
                    default="every N",
                    tooltip="every N: clock and offset. explicit list: one 1 (full) or 0 for each evaluation. "
                    "full steps: the listed steps. dense early: full_passes in all, crowded at the start.",
                ),
                io.Int.Input(
                    "clock",
                    default=2,
                    min=1,
                    max=MAX_CLOCK,
                    tooltip="every N: one full pass every so many evaluations.",
                ),
                io.Int.Input(
                    "offset",
                    default=0,
                    min=0,
                    max=MAX_CLOCK - 1,
                    tooltip="every N: number of the first evaluation, after the very first, that is full.",
                ),
                io.String.Input(
                    "pattern",
                    default="1000100100",
                    tooltip="explicit list: 1 = full, 0 = adaptor; begins with 1; repeats when the run is longer.",
                ),
                io.String.Input(
                    "full_steps",
                    default="0, 1, 2, 5, 9",
                    tooltip="full steps: numbers of the steps with a full pass, counted from 0; must contain 0.",
                ),
                io.Int.Input(
                    "full_passes",
                    default=8,
                    min=1,
                    max=1000,
                    tooltip="dense early: how many full passes the whole run makes.",
                ),
            ],
            outputs=[Schedule.Output(display_name="schedule")],
        )

    @classmethod
    def execute(cls, mode, clock, offset, pattern, full_steps, full_passes) -> io.NodeOutput:
        values = {
            "mode": mode,
            "clock": clock,
            "offset": offset,
            "pattern": pattern,
            "full_steps": full_steps,
            "full_passes": full_passes,
        }
        return io.NodeOutput(build_schedule(values))
