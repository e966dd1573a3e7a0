"""Where features are read and disturbed."""

import pytest
import torch

from clockwork_pack.benchmarks.yardsticks.levels import last_blocks, on_output, perturbed
from clockwork_pack.demo_model import load_demo_model


@pytest.fixture(scope="module")
def unet():
    return load_demo_model().model.model.diffusion_model


def call(unet):
    context = torch.zeros(1, 24, unet.middle_block[1].transformer_blocks[0].attn2.to_k.in_features)
    with torch.no_grad():
        return unet(torch.ones(1, 12, 32, 32), torch.tensor([500.0]), context=context)


def test_the_last_block_of_each_level(unet):
    assert last_blocks(unet) == {3: 2, 2: 5, 1: 8, 0: 11}


def test_features_are_seen_at_their_own_resolution_and_left_alone(unet):
    seen = []
    expected = call(unet)
    with on_output(unet, 8, seen.append):
        assert torch.equal(call(unet), expected)
    assert [tuple(features.shape[2:]) for features in seen] == [(16, 16)]


def test_what_is_returned_takes_their_place_only_while_it_lasts(unet):
    expected = call(unet)
    with on_output(unet, 8, torch.zeros_like):
        assert not torch.equal(call(unet), expected)
    assert torch.equal(call(unet), expected)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.7])
def test_a_perturbation_keeps_mean_and_deviation_and_as_much_of_the_features_as_alpha_says(alpha):
    generator = torch.Generator().manual_seed(0)
    features = 3 + 2 * torch.randn(2, 3, 64, 64, generator=generator)
    noisy = perturbed(features, alpha, generator)
    torch.testing.assert_close(noisy.mean((2, 3)), features.mean((2, 3)), rtol=0, atol=0.15)
    torch.testing.assert_close(noisy.std((2, 3)), features.std((2, 3)), rtol=0.05, atol=0)
    correlation = torch.corrcoef(torch.stack([noisy.flatten(), features.flatten()]))[0, 1]
    assert correlation == pytest.approx(alpha**0.5, abs=0.03)


def test_alpha_one_changes_nothing():
    features = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(perturbed(features, 1.0, torch.Generator()), features)
