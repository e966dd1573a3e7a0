"""The one node that is enough: between a model loader and a sampler."""

from __future__ import annotations

from comfy_api.latest import io

from ..adaptors import Identity
from ..clockwork_core.cut import CUT_CHOICES, choose_kept_blocks, geometry_of
from ..clockwork_core.runtime import ClockworkConfig, attach
from ..clockwork_core.schedule import MAX_CLOCK, EveryN, Window
from ..display.live import LiveStrip
from .types import CATEGORY, Adaptor, Schedule


class ClockworkApply(io.ComfyNode):
    """Patch a UNet model so that most of it runs only on some steps."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkApply",
            display_name="Clockwork",
            category=CATEGORY,
            description=(
                "Makes UNet models (SD 1.x, 2.x, SDXL, SVD …) sample faster: a full pass of the UNet only on some "
                "steps, in between only its cheap high-resolution part. Put it between the loader and the sampler."
            ),
            inputs=[
                io.Model.Input("model", tooltip="A UNet model: SD 1.x, 2.x, SDXL, SSD-1B, SVD and their kin."),
                io.Int.Input(
                    "clock",
                    default=2,
                    min=1,
                    max=MAX_CLOCK,
                    tooltip="One full pass every so many evaluations. 1 = off, 2 = every other, 3 and more = faster, "
                    "less exact. Not used when a schedule is connected.",
                ),
                io.Combo.Input(
                    "cut",
                    options=list(CUT_CHOICES),
                    default=CUT_CHOICES[0],
                    tooltip="What always runs: stage 1 = the top resolution level (fastest), stage 2 = the upper two "
                    "levels (slower, closer with few steps of SDXL), custom = kept_blocks.",
                ),
                io.Int.Input(
                    "kept_blocks",
                    default=3,
                    min=1,
                    max=32,
                    tooltip="With cut = custom: how many output blocks always run, counted from the latent.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Before this share of the sampler's steps every pass is full.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="From this share of the sampler's steps on every pass is full.",
                ),
                Schedule.Input("schedule", optional=True, tooltip="From Clockwork Schedule; replaces the clock."),
                Adaptor.Input(
                    "adaptor",
                    optional=True,
                    tooltip="What stands in for the skipped part; without one, a copy of the last full pass.",
                ),
                io.Boolean.Input(
                    "reuse_control",
                    default=True,
                    optional=True,
                    tooltip="Where only the cheap part runs, ControlNets do not run either: their last result is used "
                    "again. Off: they run on every evaluation, slower and closer to the original.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="The model, patched; the input stays as it was.")],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            # Else the host gives the model of one node to its twin, whose strip would hear of no run.
            not_idempotent=True,
        )

    @classmethod
    def execute(
        cls,
        model,
        clock,
        cut,
        kept_blocks,
        start_percent,
        end_percent,
        schedule=None,
        adaptor=None,
        reuse_control=True,
    ) -> io.NodeOutput:
        config = ClockworkConfig(
            schedule=EveryN(clock) if schedule is None else schedule,
            kept_blocks=choose_kept_blocks(geometry_of(model), cut, kept_blocks),
            adaptor=Identity() if adaptor is None else adaptor,
            window=Window(start_percent, end_percent),
            reuse_control=reuse_control,
        )
        return io.NodeOutput(attach(model, config, cls._observer()))

    @classmethod
    def _observer(cls) -> LiveStrip | None:
        """What shows the runs on this node; None outside a workflow."""
        node_id = cls.hidden and cls.hidden.unique_id
        if not node_id:
            return None
        # Nodes that other nodes have made stand for one that the browser knows.
        dynprompt = cls.hidden.dynprompt
        return LiveStrip(dynprompt.get_display_node_id(node_id) if dynprompt else node_id)
