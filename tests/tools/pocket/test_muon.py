"""The optimizer: what it makes of matrices whose orthogonal factor is known."""

import pytest
import torch
from torch import nn

from clockwork_pack.tools.pocket.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8)])
def test_singular_values_all_become_about_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_the_directions_stay():
    u, _, v = torch.linalg.svd(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))
    # All singular values are 1, and the quintic maps equal ones to equal ones: only the scale may differ.
    result = orthogonalize((u @ v)[None])[0]
    torch.testing.assert_close(result / result.norm() * 6**0.5, u @ v, rtol=0, atol=1e-4)


def test_the_first_update_is_the_orthogonal_factor_times_the_rate():
    weight = nn.Parameter(torch.zeros(4, 4, 1, 1))
    weight.grad = torch.eye(4)[:, :, None, None]
    Muon([weight], lr=0.5).step()
    diagonal = weight.detach().flatten(1).diagonal()
    # rate * 0.2 * sqrt(4) = 0.2, by a factor that the quintic brings near 1
    assert diagonal.min() > -0.2 * 1.3
    assert diagonal.max() < -0.2 * 0.6
    assert weight.detach().flatten(1).tril(-1).abs().max() < 1e-6


def test_a_weight_without_a_gradient_stays():
    weight = nn.Parameter(torch.ones(2, 2))
    Muon([weight], lr=0.5).step()
    assert torch.equal(weight.detach(), torch.ones(2, 2))
