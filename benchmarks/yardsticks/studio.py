"""Draws the same pictures with whatever model and step count it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.sample
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...clockwork_core.report import RunReport
from ...clockwork_core.runtime import reports_of
from ...demo_model import DEFAULT, load_demo_model, read_pocket_file
from .cases import Case

SAMPLER = "dpmpp_2m"
SCHEDULER = "karras"
CFG = 4.0
BATCH = 16
LATENT = (12, 32, 32)
PIXELS_PER_TRUE_PIXEL = 4


@dataclass(frozen=True)
class Drawn:
    """What one model drew of n cases.

    latents (n, 12, 32, 32). denoised (evaluations, n, 12, 32, 32): the sampler's estimates of the result on the way.
    reports: of Clockwork, one for each batch; empty for a model without it.
    """

    latents: Tensor
    denoised: Tensor
    reports: tuple[RunReport, ...]

    @property
    def pictures(self) -> Tensor:
        """(n, 3, 64, 64) from 0 to 1."""
        return latents_to_pictures(self.latents)


def latents_to_pictures(latents: Tensor) -> Tensor:
    """Latents (n, 12, h, w) from -1 to 1 as pictures (n, 3, 2h, 2w) from 0 to 1."""
    return (torch.nn.functional.pixel_shuffle(latents, 2) / 2 + 0.5).clamp(0, 1)


class Studio:
    """A pocket model with its text encoder.

    model: as it is loaded, without Clockwork; unet: its network. icons, colours: the words that it knows.
    batch: how many pictures are drawn at once. sampler, cfg: what all pictures are drawn with.
    """

    batch = BATCH

    def __init__(self, path: Path = DEFAULT, sampler: str = SAMPLER, cfg: float = CFG) -> None:
        self.sampler = sampler
        self.cfg = cfg
        file = read_pocket_file(path)
        self.icons = file.icons
        self.colours = file.colours
        self.model, self._clip, _ = load_demo_model(path)
        self.unet: UNetModel = self.model.model.diffusion_model

    def draw(self, model: ModelPatcher, cases: list[Case], steps: int) -> Drawn:
        """Draw all cases with `model`, a patched clone of `self.model` or itself."""
        starts = range(0, len(cases), self.batch)
        batches = [self._draw(model, cases[start : start + self.batch], steps) for start in starts]
        return Drawn(
            torch.cat([each.latents for each in batches]),
            torch.cat([each.denoised for each in batches], dim=1),
            tuple(report for each in batches for report in each.reports),
        )

    def _draw(self, model: ModelPatcher, cases: list[Case], steps: int) -> Drawn:
        empty = torch.zeros(len(cases), *LATENT)
        noise = torch.cat([comfy.sample.prepare_noise(empty[:1], case.seed) for case in cases])
        denoised: list[Tensor] = []
        with torch.inference_mode():
            latents = comfy.sample.sample(
                model, noise, steps, self.cfg, self.sampler, SCHEDULER, self.encode([case.prompt for case in cases]),
                self.encode([""]), empty, callback=lambda _step, x0, _x, _steps: denoised.append(x0.clone()),
                disable_pbar=True,
            )  # fmt: skip
        history = reports_of(model)
        report = history.latest if history is not None else None
        return Drawn(latents, torch.stack(denoised), (report,) if report is not None else ())

    def encode(self, prompts: list[str]) -> list[list[Any]]:
        """One conditioning for a whole batch, a prompt for each picture."""
        encoded = [self._clip.encode_from_tokens(self._clip.tokenize(prompt), return_pooled=True) for prompt in prompts]
        context, pooled = (torch.cat(parts) for parts in zip(*encoded, strict=True))
        return [[context, {"pooled_output": pooled}]]
