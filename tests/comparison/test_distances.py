import math

import pytest
import torch

from clockwork_pack.comparison.distances import latent_distances, picture_distances


def test_pictures_by_hand():
    references = torch.full((2, 3, 16, 16), 0.5)
    pictures = references.clone()
    pictures[1] += 0.1
    measured = picture_distances(pictures, references, perceptual=None)
    assert measured.psnr == (math.inf, pytest.approx(20.0, abs=1e-4))
    assert measured.ssim == (1.0, pytest.approx(0.6001 / 0.6101, rel=1e-5))
    assert measured.lpips is None


def test_the_peak_of_latents_is_the_span_of_their_reference():
    """Each reference spans 10, and its latent is off by 1 everywhere: 20 dB, wherever the latents lie."""
    reference = torch.linspace(-5, 5, 4 * 16 * 16).view(1, 4, 16, 16)
    references = torch.cat([reference, reference + 100])
    measured = latent_distances(references + 1, references)
    assert measured.psnr == pytest.approx((20.0, 20.0), abs=1e-3)
    assert measured.ssim[0] == pytest.approx(measured.ssim[1], abs=1e-4)
    assert latent_distances(references, references).psnr == (math.inf, math.inf)
