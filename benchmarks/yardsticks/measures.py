"""What is measured on pictures: agreement with the prompt, distances to references, and Frechet distance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...clockwork_core.metrics import psnr, relative_error, ssim
from ..judge.network import Judge
from .cases import Case

# Two equal pictures have no finite PSNR; eight-bit pictures that differ nowhere would be at some 59 dB.
LARGEST_PSNR = 60.0


def agreement(judge: Judge, pictures: Tensor, cases: list[Case]) -> dict[str, np.ndarray]:
    """How well pictures (n, 3, 64, 64) show what was asked for, each measure (n,) from 0 to 1.

    prompt_agreement: the judge's probability of the right icon and colour together. icon_top1, colour_top1: whether
    the right one is the likeliest. Raises ValueError if the judge does not know an icon or a colour.
    """
    verdict = judge(pictures)
    icons = torch.tensor([_place(case.icon, judge.icons) for case in cases])
    colours = torch.tensor([_place(case.colour, judge.colours) for case in cases])
    icon = verdict.icons.softmax(1).gather(1, icons[:, None])[:, 0]
    colour = verdict.colours.softmax(1).gather(1, colours[:, None])[:, 0]
    return {
        "prompt_agreement": (icon * colour).numpy(),
        "icon_top1": (verdict.icons.argmax(1) == icons).float().numpy(),
        "colour_top1": (verdict.colours.argmax(1) == colours).float().numpy(),
    }


def _place(word: str, known: tuple[str, ...]) -> int:
    if word not in known:
        raise ValueError(f"The judge does not know {word!r}; it knows {', '.join(known)}.")
    return known.index(word)


def closeness(pictures: Tensor, references: Tensor) -> dict[str, np.ndarray]:
    """PSNR in dB and SSIM, each (n,), of pictures (n, 3, h, w) from 0 to 1 against references of that shape."""
    return {
        "psnr": psnr(pictures, references).clamp(max=LARGEST_PSNR).numpy(),
        "ssim": ssim(pictures, references).numpy(),
    }


def latent_errors(denoised: Tensor, references: Tensor) -> np.ndarray:
    """Relative errors (evaluations,), averaged over the pictures, of estimates (evaluations, n, c, h, w)."""
    return np.array([relative_error(*pair).mean().item() for pair in zip(denoised, references, strict=True)])


def frechet_distance(judge: Judge, pictures: Tensor) -> float:
    """Frechet distance of the judge's features of pictures (n, 3, 64, 64) to those of true renders.

    Both taken as Gaussian, as in FID (Heusel et al., 2017). Few pictures make it larger: compare equal numbers only.
    """
    features = judge(pictures).features.double().numpy()  # (n, width)
    mean, covariance = judge.reference_mean.double().numpy(), judge.reference_covariance.double().numpy()
    return gaussian_distance(features.mean(0), np.cov(features, rowvar=False), mean, covariance)


def gaussian_distance(mean: np.ndarray, covariance: np.ndarray, mean_2: np.ndarray, covariance_2: np.ndarray) -> float:
    """Squared Frechet (2-Wasserstein) distance of two Gaussians; means (width,), covariances (width, width)."""
    # The root of covariance @ covariance_2 has the trace of the root of this symmetric matrix, whose eigenvalues stay
    # real when there are fewer pictures than features and the product has no full rank.
    half = _symmetric_root(covariance_2)
    mixed = np.sqrt(np.linalg.eigvalsh(half @ covariance @ half).clip(min=0)).sum()
    difference = mean - mean_2
    return float(difference @ difference + np.trace(covariance) + np.trace(covariance_2) - 2 * mixed)


def _symmetric_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(min=0)) @ vectors.T
