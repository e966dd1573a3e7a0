"""Pixels in the place of a VAE: nothing is learned, and decoding loses nothing.

The model draws pictures of 2x2 pixels to a latent cell. Everything in ComfyUI counts eight pixels to a cell, so
each true pixel is shown as a 4x4 square.
"""

from __future__ import annotations

import comfy.model_management as management
import comfy.sd
import torch
import torch.nn.functional as F
from comfy.model_patcher import ModelPatcher
from comfy.pixel_space_convert import PixelspaceConversionVAE
from torch import Tensor

COLOURS = 3
FOLD = 2
SQUARE = 4
PIXELS_PER_CELL = FOLD * SQUARE
LATENT_CHANNELS = COLOURS * FOLD**2


class PixelSquares(PixelspaceConversionVAE):
    """Latents (batch, 12, h, w) and pictures (batch, 3, 8h, 8w), both in [-1, 1]."""

    def encode(self, pixels: Tensor, *_args: object, **_kwargs: object) -> Tensor:
        return F.pixel_unshuffle(F.avg_pool2d(pixels, SQUARE), FOLD)

    def decode(self, samples: Tensor, *_args: object, **_kwargs: object) -> Tensor:
        return F.interpolate(F.pixel_shuffle(samples, FOLD), scale_factor=SQUARE, mode="nearest")


class PocketVAE(comfy.sd.VAE):
    """The host's VAE around `PixelSquares`: batches, tiles, previews and memory are the host's business."""

    def __init__(self) -> None:
        # Built as the host's pixel-space VAE, the one kind that needs no weights, then given our squares.
        # float32, for bfloat16 (its choice on a GPU) has fewer shades than a picture.
        pixel_space = PixelspaceConversionVAE().state_dict()
        super().__init__(sd=pixel_space, dtype=torch.float32)
        self.first_stage_model = PixelSquares().to(self.vae_dtype)
        self.patcher = ModelPatcher(
            self.first_stage_model, load_device=self.device, offload_device=management.vae_offload_device()
        )
        self.latent_channels = LATENT_CHANNELS
        self.downscale_ratio = PIXELS_PER_CELL
        self.upscale_ratio = PIXELS_PER_CELL
        self.memory_used_encode = lambda shape, dtype: _picture_bytes(shape[2], shape[3], dtype)
        self.memory_used_decode = lambda shape, dtype: _picture_bytes(
            shape[2] * PIXELS_PER_CELL, shape[3] * PIXELS_PER_CELL, dtype
        )


def _picture_bytes(height: int, width: int, dtype: torch.dtype) -> int:
    """Room for one picture (in pixels) and what it is made from."""
    return 2 * COLOURS * height * width * management.dtype_size(dtype)
