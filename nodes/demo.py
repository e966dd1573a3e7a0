"""A small trained model that comes with the pack, to try Clockwork without a download."""

from __future__ import annotations

from comfy_api.latest import io

from ..demo_model import load_demo_model
from .types import CATEGORY


class ClockworkLoadDemoModel(io.ComfyNode):
    """Load the pocket model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkLoadDemoModel",
            display_name="Load Clockwork Demo Model",
            category=CATEGORY,
            description="Loads the pocket model that comes with Clockwork: a tiny text-to-image UNet with the "
            "structure of Stable Diffusion 1.x that draws emoji-like icons. Use an empty latent of 256 × 256.",
            inputs=[],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(*load_demo_model())
