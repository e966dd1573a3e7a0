"""Distances between pictures and between latents, for comparisons and benchmarks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Of Wang et al. (2004): the window's side and deviation in pixels, and what keeps the quotients finite.
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03


def psnr(image: Tensor, reference: Tensor, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture, (B,); infinite where the two are equal.

    image, reference: (B, ...) of the same shape, values spanning `peak`.
    Raises ValueError if the shapes differ.
    """
    _require_same_shape(image, reference)
    error = (image.double() - reference.double()).square().flatten(1).mean(1)  # (B,)
    return 10.0 * torch.log10(peak * peak / error)


def ssim(image: Tensor, reference: Tensor, peak: float = 1.0) -> Tensor:
    """Structural similarity of each picture, (B,), at most 1 (Wang et al. 2004, "Image Quality Assessment").

    image, reference: (B, C, H, W) of the same shape, values spanning `peak`. Each channel by itself, averaged over
    channels and over the windows that lie wholly inside; in a picture smaller than the window, the window is cropped.
    Raises ValueError if the shapes differ.
    """
    _require_same_shape(image, reference)
    x, y = image.double(), reference.double()
    stacked = torch.cat([x, y, x * x, y * y, x * y])  # (5 B, C, H, W)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _windowed_means(stacked).chunk(5)
    variances = mean_xx - mean_x * mean_x + mean_yy - mean_y * mean_y
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = (SSIM_K1 * peak) ** 2, (SSIM_K2 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).flatten(1).mean(1)


def relative_error(latent: Tensor, reference: Tensor) -> Tensor:
    """||latent - reference|| / ||reference|| of each sample, (B,).

    latent, reference: (B, ...) of the same shape. Raises ValueError if the shapes differ.
    """
    _require_same_shape(latent, reference)
    difference = (latent.double() - reference.double()).flatten(1).norm(dim=1)
    return difference / reference.double().flatten(1).norm(dim=1)


def _windowed_means(images: Tensor) -> Tensor:
    """Means (N, C, H - 10, W - 10) of images (N, C, H, W) under the Gaussian window, one axis after the other."""
    means = images.flatten(0, 1)[:, None]  # (N C, 1, H, W)
    for axis in (2, 3):
        window = _window(min(SSIM_WINDOW, images.shape[axis])).to(images)
        means = F.conv2d(means, window.view(1, 1, *((-1, 1) if axis == 2 else (1, -1))))
    return means.view(*images.shape[:2], *means.shape[2:])


def _window(side: int) -> Tensor:
    offsets = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    weights = torch.exp(-0.5 * (offsets / SSIM_SIGMA).square())
    return weights / weights.sum()


def _require_same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(f"The shapes {tuple(first.shape)} and {tuple(second.shape)} differ; they must be the same.")
