import math

import pytest
import torch

from clockwork_pack.clockwork_core.metrics import psnr, relative_error


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


@pytest.mark.parametrize("metric", [psnr, relative_error])
def test_shapes_must_agree(metric):
    with pytest.raises(ValueError, match=r"\(1, 4\) and \(2, 4\) differ"):
        metric(torch.zeros(1, 4), torch.zeros(2, 4))
