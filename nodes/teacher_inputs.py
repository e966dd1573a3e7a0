"""The inputs of nodes that run a model as a teacher: which model, on what prompts, in what kind of run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io

from ..adaptors.training.point import MOST_CFG, MOST_STEPS
from ..adaptors.training.settings import GIGABYTE
from ..clockwork_core.checks import require_number, shown
from ..clockwork_core.cut import CUT_CHOICES
from ..clockwork_core.host import ModelPatcher
from ..clockwork_core.runtime import reports_of
from ..clockwork_core.schedule import MAX_CLOCK
from .report import samples_of

MOST_GIGABYTES = 1024.0
UNPATCHED = "The model came with Clockwork, which was taken off: the teacher is the model without it."


def what() -> list[Any]:
    """The model, the prompts, the size of the pictures."""
    return [
        io.Model.Input("model", tooltip="The model as you sample with it, with its LoRAs. A Clockwork is taken off."),
        io.String.Input(
            "prompts",
            multiline=True,
            tooltip="One prompt a line, of the kind that you use; the more different ones, the better.",
        ),
        io.Latent.Input(
            "latent",
            tooltip="Only its size counts: that of the pictures that you draw.",
        ),
    ]


def run() -> list[Any]:
    """The run that the adaptor is for."""
    samplers = comfy.samplers.KSampler
    return [
        io.Int.Input("steps", default=20, min=2, max=MOST_STEPS, tooltip="The number of steps that you use."),
        io.Combo.Input(
            "sampler_name", options=samplers.SAMPLERS, default="dpmpp_2m", tooltip="The sampler that you use."
        ),
        io.Combo.Input(
            "scheduler", options=samplers.SCHEDULERS, default="karras", tooltip="The scheduler that you use."
        ),
        io.Float.Input(
            "cfg", default=7.0, min=0.0, max=MOST_CFG, step=0.1, round=0.01, tooltip="The cfg that you use."
        ),
        io.Int.Input(
            "clock",
            default=2,
            min=2,
            max=MAX_CLOCK,
            tooltip="One full pass every so many evaluations, as in the Clockwork node. 2 to 4 make sense.",
        ),
        io.Combo.Input(
            "cut",
            options=list(CUT_CHOICES),
            default=CUT_CHOICES[0],
            tooltip="As in the Clockwork node: the adaptor fits this cut only.",
        ),
        io.Int.Input("kept_blocks", default=3, min=1, max=32, tooltip="With cut = custom: how many output blocks run."),
    ]


def prompts() -> list[Any]:
    """How the prompts are encoded, or given as they are."""
    return [
        io.Clip.Input("clip", optional=True, tooltip="Encodes the prompts, and the empty negative one."),
        io.Conditioning.Input(
            "positive", optional=True, tooltip="Encoded prompts in place of the text: plain ones, without ControlNets."
        ),
        io.Conditioning.Input(
            "negative", optional=True, tooltip="The negative prompt that you use; without one, the empty prompt."
        ),
        io.String.Input(
            "prompts_file",
            default="",
            optional=True,
            tooltip="A .txt file in ComfyUI's input folder with more prompts, one a line.",
        ),
    ]


def text_of(lines: Sequence[str], model: ModelPatcher) -> str:
    """What came out, for the node that ran `model` as the teacher; says so if it carried a Clockwork."""
    return "\n".join([*lines, *([UNPATCHED] if reports_of(model) is not None else [])])


def empty_latent(latent: object) -> torch.Tensor:
    """An empty latent (1, C, H, W) of a LATENT's size. Raises ValueError if it is none."""
    samples = samples_of(latent)
    if samples.ndim != 4 or not samples.numel():
        raise ValueError(f"latent has the shape {tuple(samples.shape)}, but must be of pictures: (B, C, H, W).")
    with torch.inference_mode(False):
        return torch.zeros(1, *samples.shape[1:])


def memory_bytes(gigabytes: float) -> int:
    """Raises ValueError unless it is a sane number of gigabytes."""
    require_number("memory_limit", gigabytes)
    if not 0.0 <= gigabytes <= MOST_GIGABYTES:
        raise ValueError(f"memory_limit is {shown(gigabytes)}, but must lie between 0 and {MOST_GIGABYTES:g} GB.")
    return int(gigabytes * GIGABYTE)
