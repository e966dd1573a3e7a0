"""Fits an adaptor to the user's own model in closed form: the quick way."""

from __future__ import annotations

import comfy.utils
from comfy_api.latest import io

from ..adaptors.training.fit import FEWEST_PICTURES, MOST_PICTURES, FitPlan, fit
from ..adaptors.training.point import OperatingPoint
from ..adaptors.training.settings import LARGEST_SEED
from ..clockwork_core.cut import choose_kept_blocks, geometry_of
from . import teacher_inputs
from .prompts import fingerprint_of, read_negative, read_prompts
from .teacher_inputs import MOST_GIGABYTES, empty_latent, memory_bytes, text_of
from .types import CATEGORY, Adaptor


class ClockworkFitAdaptor(io.ComfyNode):
    """Fit a linear map for each evaluation without a full pass."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkFitAdaptor",
            display_name="Fit Clockwork Adaptor",
            category=CATEGORY,
            description="Fits what stands in for the skipped part of the UNet to your own model, from prompts alone, "
            "in the time that a few pictures take. Fit it for the sampler settings that you use. Connect it to the "
            "Clockwork node, and to Save Clockwork Adaptor to keep it.",
            inputs=[*teacher_inputs.what(), *teacher_inputs.run(), *_how(), *teacher_inputs.prompts()],
            outputs=[Adaptor.Output(display_name="adaptor"), io.String.Output(display_name="text")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, prompts_file="", **_others) -> str:
        return fingerprint_of(prompts_file)

    @classmethod
    def execute(
        cls, model, prompts, latent, steps, sampler_name, scheduler, cfg, clock, cut, kept_blocks, pictures,
        memory_limit, seed, clip=None, positive=None, negative=None, prompts_file="",
    ) -> io.NodeOutput:  # fmt: skip
        kept_blocks = choose_kept_blocks(geometry_of(model), cut, kept_blocks)
        point = OperatingPoint(steps, sampler_name, scheduler, cfg, clock)
        size, memory = empty_latent(latent), memory_bytes(memory_limit)
        encoded, without = read_prompts(clip, prompts, prompts_file, positive), read_negative(clip, negative)
        bar = comfy.utils.ProgressBar(1, getattr(cls.hidden, "unique_id", None))
        plan = FitPlan(model, encoded, without, size, point, kept_blocks, pictures, seed, memory)
        fitted = fit(plan, bar.update_absolute)
        text = text_of(fitted.lines(), model)
        return io.NodeOutput(fitted.adaptor, text, ui={"text": [text]})


def _how() -> list[io.Input]:
    return [
        io.Int.Input(
            "pictures",
            default=32,
            min=FEWEST_PICTURES,
            max=MOST_PICTURES,
            tooltip="How many pictures the model draws to fit on, of the prompts in turn; each costs as much as one of "
            "yours. Every fourth is held out to see how good the fit is. More are better where prompts differ much.",
        ),
        io.Float.Input(
            "memory_limit",
            default=4.0,
            min=0.0,
            max=MOST_GIGABYTES,
            step=0.5,
            tooltip="Memory, in GB, for the pictures that are drawn at once, and what is known of them. With less, the "
            "pictures are drawn in several runs of the sampler.",
        ),
        io.Int.Input("seed", default=0, min=0, max=LARGEST_SEED, tooltip="The same seed gives the same adaptor."),
    ]
