"""What a run did and saved, as text, as a picture and as data."""

from __future__ import annotations

import json

import torch
from comfy_api.latest import io, ui

from ..clockwork_core.checks import shown
from ..clockwork_core.runtime import reports_of
from ..comparison.canvas import to_tensor
from ..display.timeline import draw_message, draw_timeline
from .types import CATEGORY

NO_CLOCKWORK = "This model has no Clockwork: connect the MODEL that the Clockwork node gives out."
NO_DATA = "No data yet: no sampler has run this model since the server started."


class ClockworkReport(io.ComfyNode):
    """Tell how the sampler that made a latent went."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkReport",
            display_name="Clockwork Report",
            category=CATEGORY,
            description="Passes a latent through and tells how the run that made it went: full and adaptor "
            "evaluations, compute and seconds. Put it behind the sampler.",
            inputs=[
                io.Model.Input("model", tooltip="The model that the sampler used, from the Clockwork node."),
                io.Latent.Input("latent", tooltip="The sampler's result; passes through unchanged."),
            ],
            outputs=[
                io.Latent.Output(display_name="latent"),
                io.String.Output(display_name="text"),
                io.Image.Output(display_name="timeline", tooltip="Seconds of each evaluation, and its FLOPs."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, model, latent) -> io.NodeOutput:
        reports = reports_of(model)
        report = None if reports is None else reports.find(samples_of(latent))
        if report is None:
            text, data = NO_CLOCKWORK if reports is None else NO_DATA, None
            picture = to_tensor(draw_message(text))
        else:
            text, data = report.text(), report.to_dict()
            picture = to_tensor(draw_timeline(data))
        preview = ui.PreviewImage(picture, cls=cls).as_dict()
        return io.NodeOutput(
            latent, text, picture, ui={**preview, "text": [text], "clockwork_report": [json.dumps(data)]}
        )


def samples_of(latent: object) -> torch.Tensor:
    """The tensor (B, C, H, W) in a LATENT. Raises ValueError if there is none."""
    samples = latent.get("samples") if isinstance(latent, dict) else None
    if not isinstance(samples, torch.Tensor):
        raise ValueError(f"latent is {shown(latent)}, but must be a LATENT, as a sampler gives it out.")
    return samples
