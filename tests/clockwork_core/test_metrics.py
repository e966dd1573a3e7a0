import math

import numpy as np
import pytest
import torch
from kornia.metrics import ssim as kornia_ssim

from clockwork_pack.clockwork_core.metrics import psnr, relative_error, ssim


def test_psnr_by_hand():
    reference = torch.zeros(2, 4, 4, 3)
    image = reference.clone()
    image[1] += 0.1
    assert psnr(image, reference).tolist() == [math.inf, pytest.approx(20.0)]
    assert psnr(image, reference, peak=2.0)[1] == pytest.approx(20.0 + 20 * math.log10(2))


def test_relative_error_by_hand():
    reference = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    latent = torch.tensor([[3.0, 4.0], [0.0, 3.0]])
    assert relative_error(latent, reference).tolist() == [0.0, 0.5]


def random_pictures(height, width):
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(2, 3, height, width, generator=generator)
    return (reference + 0.2 * torch.randn(reference.shape, generator=generator)).clamp(0, 1), reference


def test_ssim_of_flat_pictures_by_hand():
    """Without variance only the luminance is left: (2 * 0.5 * 0.6 + c1) / (0.25 + 0.36 + c1), c1 = 0.01²."""
    reference = torch.full((2, 3, 16, 16), 0.5)
    image = torch.stack([reference[0], reference[0] + 0.1])
    assert ssim(image, reference).tolist() == [1.0, pytest.approx(0.6001 / 0.6101, rel=1e-6)]


def test_ssim_of_an_inverted_checkerboard_is_negative_by_hand():
    """Means 0.5 and variances 0.25 under any even spread of weights, covariance -0.25: (c2 - 0.5) / (c2 + 0.5)."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    checkerboard = ((rows + columns) % 2).float().expand(1, 1, -1, -1)
    c2 = 0.03**2
    assert ssim(1 - checkerboard, checkerboard).item() == pytest.approx((c2 - 0.5) / (c2 + 0.5), abs=1e-5)


def test_ssim_equals_a_naive_loop_over_windows():
    image, reference = random_pictures(14, 17)
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    expected = []
    for x, y in zip(image.double().numpy(), reference.double().numpy(), strict=True):
        values = []
        for channel in range(3):
            for top in range(14 - 10):
                for left in range(17 - 10):
                    a = x[channel, top : top + 11, left : left + 11]
                    b = y[channel, top : top + 11, left : left + 11]
                    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                    var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
                    covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
                    above = (2 * mean_a * mean_b + 0.0001) * (2 * covariance + 0.0009)
                    values.append(above / ((mean_a**2 + mean_b**2 + 0.0001) * (var_a + var_b + 0.0009)))
        expected.append(np.mean(values))
    np.testing.assert_allclose(ssim(image, reference).numpy(), expected, rtol=1e-10)


def test_ssim_equals_kornia_on_whole_windows():
    image, reference = random_pictures(40, 30)
    expected = kornia_ssim(image, reference, 11, padding="valid").flatten(1).mean(1)
    torch.testing.assert_close(ssim(image, reference).float(), expected, rtol=1e-4, atol=1e-5)
    scaled = ssim(255 * image, 255 * reference, peak=255.0)
    torch.testing.assert_close(scaled, ssim(image, reference), rtol=1e-5, atol=0)


@pytest.mark.parametrize("size", [(1, 1), (4, 30), (10, 11)])
def test_ssim_of_pictures_smaller_than_the_window(size):
    image, reference = random_pictures(*size)
    assert torch.equal(ssim(reference, reference), torch.ones(2, dtype=torch.float64))
    assert (ssim(image, reference) < 1).all()


@pytest.mark.parametrize("metric", [psnr, relative_error, ssim])
def test_shapes_must_agree(metric):
    with pytest.raises(ValueError, match=r"\(1, 4\) and \(2, 4\) differ"):
        metric(torch.zeros(1, 4), torch.zeros(2, 4))
