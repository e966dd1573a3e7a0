"""Where a UNet's features are read and disturbed: the last output block of each resolution level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor

from ...clockwork_core.cut import Geometry


def last_blocks(unet: UNetModel) -> dict[int, int]:
    """The last output block of each resolution level, by level; 0 is the latent's own resolution."""
    return {level: block for block, level in enumerate(Geometry.of(unet).output_levels)}


@contextmanager
def on_output(unet: UNetModel, block: int, change: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """While it lasts, `change` gets what output block `block` computes (b, c, h, w) before an upsample that ends it.

    What it returns, unless None, takes the place of the features.
    """
    layers = [layer for layer in unet.output_blocks[block].children() if type(layer).__name__ != "Upsample"]
    handle = layers[-1].register_forward_hook(lambda _layer, _inputs, output: change(output))
    try:
        yield
    finally:
        handle.remove()


def perturbed(features: Tensor, alpha: float, generator: torch.Generator) -> Tensor:
    """mu + sqrt(alpha) (f - mu) + sqrt(1 - alpha) z with z from N(0, sigma_f^2) (paper, section 3.1).

    Mean and deviation are of each channel of each picture, so every alpha leaves both as they are.
    features: (b, c, h, w).
    """
    mean = features.mean((2, 3), keepdim=True)
    deviation = features.std((2, 3), keepdim=True, correction=0)
    noise = deviation * torch.randn(features.shape, generator=generator)
    return mean + alpha**0.5 * (features - mean) + (1 - alpha) ** 0.5 * noise
