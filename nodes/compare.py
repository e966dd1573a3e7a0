"""Is it worth it here? The same pictures without Clockwork and with it, side by side."""

from __future__ import annotations

import json

from comfy_api.latest import io

from ..clockwork_core.cut import CUT_CHOICES
from ..comparison import host
from ..comparison.canvas import to_tensor
from ..comparison.compare import compare
from ..comparison.grid import draw_grid
from ..comparison.patching import Connections
from ..comparison.plot import draw_plot
from ..comparison.settings import LARGEST_CFG, LARGEST_SEED, MOST_SEEDS, MOST_STEPS, Sampling, Scene, seeds_from
from ..comparison.table import markdown_table
from ..comparison.variants import FORMS, parse_variants
from .types import CATEGORY, Adaptor, Schedule

DEFAULT_VARIANTS = "none\nclock 2\nclock 3\nclock 2 extrapolation\nsteps 13\nsteps 10"


class ClockworkCompare(io.ComfyNode):
    """Draw with each variant, and measure."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ClockworkCompare",
            display_name="Clockwork Compare",
            category=CATEGORY,
            description=(
                "Draws the same pictures without Clockwork, with it at several settings, and with fewer steps, and "
                "compares seconds, compute and likeness: a table, a plot and a grid of the pictures."
            ),
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="A UNet model, from a loader or from a Clockwork node; the uncached run is without "
                    "Clockwork in either case.",
                ),
                io.Conditioning.Input("positive", tooltip="The prompt, as for a KSampler."),
                io.Conditioning.Input("negative", tooltip="The negative prompt, as for a KSampler."),
                io.Latent.Input(
                    "latent",
                    tooltip="What to start from, as for a KSampler: an empty latent, or a picture with a denoise "
                    "below 1; with a mask for inpainting.",
                ),
                *_sampling_inputs(),
                io.String.Input(
                    "variants",
                    multiline=True,
                    default=DEFAULT_VARIANTS,
                    tooltip=f"One variant a line: {'; '.join(FORMS)}. N is a number; ADAPTOR is identity (when left "
                    "out), extrapolation or adaptor (the connected one). steps N alone = no Clockwork, fewer steps. "
                    "as connected = the Clockwork node that the model comes from. The uncached run is always drawn.",
                ),
                *_clockwork_inputs(),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="Pictures are compared pixel by pixel; without a VAE, latents are compared instead.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="table"),
                io.Image.Output(display_name="plot"),
                io.Image.Output(display_name="grid"),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        latent,
        seed,
        seed_count,
        steps,
        cfg,
        sampler_name,
        scheduler,
        denoise,
        variants,
        cut=CUT_CHOICES[0],
        kept_blocks=3,
        schedule=None,
        adaptor=None,
        vae=None,
    ) -> io.NodeOutput:
        sampling = Sampling(sampler_name, scheduler, steps, cfg, denoise)
        comparison = compare(
            Connections.of(model, cut, kept_blocks, schedule, adaptor),
            sampling,
            Scene(positive, negative, latent, vae),
            seeds_from(seed, seed_count),
            parse_variants(variants, sampling.steps),
        )
        table = markdown_table(comparison.rows, comparison.notes)
        plot = draw_plot(comparison.rows, comparison.describe(), comparison.on_latents)
        grid = draw_grid(comparison.rows, comparison.seeds, comparison.thumbnails)
        ui = {"text": [table], "clockwork_compare": [json.dumps(comparison.to_dict())]}
        return io.NodeOutput(table, to_tensor(plot), to_tensor(grid), ui=ui)


def _sampling_inputs() -> list[io.Input]:
    """Those of a KSampler, and the number of seeds."""
    return [
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=LARGEST_SEED,
            control_after_generate=False,
            tooltip="The first seed; each seed is drawn by all variants from the same noise.",
        ),
        io.Int.Input(
            "seed_count",
            default=2,
            min=1,
            max=MOST_SEEDS,
            tooltip="How many seeds, counted up from the first. More make the numbers surer and take longer.",
        ),
        io.Int.Input(
            "steps",
            default=20,
            min=1,
            max=MOST_STEPS,
            tooltip="Steps of the uncached run, and of each variant that names none.",
        ),
        io.Float.Input(
            "cfg", default=7.0, min=0.0, max=LARGEST_CFG, step=0.1, tooltip="Guidance scale, as for a KSampler."
        ),
        io.Combo.Input("sampler_name", options=host.SAMPLERS, tooltip="The sampler of all runs."),
        io.Combo.Input("scheduler", options=host.SCHEDULERS, tooltip="The scheduler of all runs."),
        io.Float.Input(
            "denoise",
            default=1.0,
            min=0.01,
            max=1.0,
            step=0.01,
            tooltip="1 = from pure noise; less keeps more of the latent, as for a KSampler.",
        ),
    ]


def _clockwork_inputs() -> list[io.Input]:
    """What variants may refer to."""
    return [
        io.Combo.Input(
            "cut",
            options=list(CUT_CHOICES),
            default=CUT_CHOICES[0],
            optional=True,
            tooltip="What always runs in each variant, as in the Clockwork node (not in: as connected).",
        ),
        io.Int.Input(
            "kept_blocks",
            default=3,
            min=1,
            max=32,
            optional=True,
            tooltip="With cut = custom: how many output blocks always run, counted from the latent.",
        ),
        Schedule.Input(
            "schedule",
            optional=True,
            tooltip="What the word schedule in a variant means, from Clockwork Schedule.",
        ),
        Adaptor.Input(
            "adaptor",
            optional=True,
            tooltip="What the word adaptor in a variant means, from Load Clockwork Adaptor.",
        ),
    ]
