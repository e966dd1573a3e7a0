"""Distances between pictures and between latents, for comparisons and benchmarks."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(image: Tensor, reference: Tensor, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture, (B,); infinite where the two are equal.

    image, reference: (B, ...) of the same shape, values spanning `peak`.
    Raises ValueError if the shapes differ.
    """
    _require_same_shape(image, reference)
    error = (image.double() - reference.double()).square().flatten(1).mean(1)  # (B,)
    return 10.0 * torch.log10(peak * peak / error)


def relative_error(latent: Tensor, reference: Tensor) -> Tensor:
    """||latent - reference|| / ||reference|| of each sample, (B,).

    latent, reference: (B, ...) of the same shape. Raises ValueError if the shapes differ.
    """
    _require_same_shape(latent, reference)
    difference = (latent.double() - reference.double()).flatten(1).norm(dim=1)
    return difference / reference.double().flatten(1).norm(dim=1)


def _require_same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(f"The shapes {tuple(first.shape)} and {tuple(second.shape)} differ; they must be the same.")
