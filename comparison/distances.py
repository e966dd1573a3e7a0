"""How far pictures, or latents where no VAE is at hand, lie from those of the uncached run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..clockwork_core.metrics import psnr, ssim
from .perceptual import PerceptualDistance


@dataclass(frozen=True)
class Distances:
    """Of each picture: psnr in dB (infinite where it equals its reference), ssim, and lpips (None: not measured)."""

    psnr: tuple[float, ...]
    ssim: tuple[float, ...]
    lpips: tuple[float, ...] | None


def picture_distances(pictures: Tensor, references: Tensor, perceptual: PerceptualDistance | None) -> Distances:
    """Of pictures (B, 3, H, W) from 0 to 1."""
    # One by one: the maps of SSIM take many times a picture's memory.
    pairs = list(zip(pictures.split(1), references.split(1), strict=True))
    return Distances(
        psnr=tuple(psnr(*pair).item() for pair in pairs),
        ssim=tuple(ssim(*pair).item() for pair in pairs),
        lpips=None if perceptual is None else tuple(perceptual(*pair).item() for pair in pairs),
    )


def latent_distances(latents: Tensor, references: Tensor) -> Distances:
    """Of latents (B, C, h, w); the peak of each is the span from its reference's lowest value to its highest."""
    low, high = torch.aminmax(references.flatten(1), dim=1)  # (B,)
    shift, span = (value.view(-1, 1, 1, 1) for value in (low, (high - low).clamp(min=torch.finfo(low.dtype).tiny)))
    return picture_distances((latents - shift) / span, (references - shift) / span, perceptual=None)
