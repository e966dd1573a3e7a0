"""The host's sampling, progress bar and pictures. No other file here imports `comfy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ..clockwork_core.host import ModelPatcher

if TYPE_CHECKING:
    from .settings import Sampling, Scene

# The host's own lists, not copies: other packs add to them.
SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS
VAE = comfy.sd.VAE

# step, estimate of the result, present latent, number of steps.
StepCallback = Callable[[int, Tensor, Tensor, int], None]


def sample(
    model: ModelPatcher,
    sampling: Sampling,
    scene: Scene,
    seed: int,
    steps: int,
    on_step: StepCallback,
    last_step: int | None = None,
) -> Tensor:
    """What the host's KSampler node draws with these settings, (B, C, H, W) in the CPU's memory.

    steps: of this run, in place of those of `sampling`. last_step: stop after so many of them.
    """
    latent = comfy.sample.fix_empty_latent_channels(model, scene.latent["samples"])
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(latent, seed, scene.latent.get("batch_index")),
        steps,
        sampling.cfg,
        sampling.sampler,
        sampling.scheduler,
        scene.positive,
        scene.negative,
        latent,
        denoise=sampling.denoise,
        last_step=last_step,
        noise_mask=scene.latent.get("noise_mask"),
        callback=on_step,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    ).cpu()


class Progress:
    """One progress bar over many runs, with the host's previews if the user has them on."""

    def __init__(self, model: ModelPatcher, total_steps: int) -> None:
        self._bar = comfy.utils.ProgressBar(total_steps)
        self._previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)

    @contextmanager
    def stretch(self, steps: int) -> Iterator[StepCallback]:
        """The part of the bar for a run of `steps` steps. Raises the host's exception once the user has cancelled."""
        start = self._bar.current

        def on_step(step: int, denoised: Tensor, _latent: Tensor, _steps: int) -> None:
            preview = self._previewer and self._previewer.decode_latent_to_preview_image("JPEG", denoised)
            self._bar.update_absolute(start + min(step + 1, steps), preview=preview)

        yield on_step
        # Some schedulers leave steps out.
        self._bar.update_absolute(start + steps)


def decode(vae: VAE, latents: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) from 0 to 1 in the CPU's memory, as the host's VAE Decode shows them."""
    pictures = vae.decode(latents).cpu()  # (B, H, W, 3)
    return pictures[..., :3].movedim(-1, 1).float().clamp(0, 1)


def rough_pictures(model: ModelPatcher, latents: Tensor) -> Tensor:
    """What latents (B, C, h, w) look like without a VAE, (B, 3, h, w) from 0 to 1: as the host's quick previews."""
    latent_format = model.model.latent_format
    scaled = latent_format.process_in(latents).float()
    if latent_format.latent_rgb_factors is None:
        return scaled.mean(1, keepdim=True).sigmoid().expand(-1, 3, -1, -1)
    factors = torch.tensor(latent_format.latent_rgb_factors).to(scaled)  # (C, 3)
    colours = torch.einsum("bchw,cr->brhw", scaled, factors)
    if latent_format.latent_rgb_factors_bias is not None:
        colours = colours + torch.tensor(latent_format.latent_rgb_factors_bias).to(scaled).view(1, -1, 1, 1)
    return (colours / 2 + 0.5).clamp(0, 1)


def device_name(model: ModelPatcher) -> str:
    """On what a model runs, for people."""
    return comfy.model_management.get_torch_device_name(model.load_device)
