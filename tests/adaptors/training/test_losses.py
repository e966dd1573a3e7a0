"""The losses, computed by hand."""

import pytest
import torch
from training import CPU, random_pair

from clockwork_pack.adaptors.training.losses import LOSSES, guided, relative
from clockwork_pack.adaptors.training.pairs import Batch

CFG = 3.0


@pytest.fixture
def batch():
    return Batch.of([random_pair(0), random_pair(1)], CPU)


def off_by(batch, cond, uncond):
    """Outputs whose error is `cond` everywhere on the cond side of the first pair, and so on."""
    error = torch.tensor([cond[0], cond[1], uncond[0], uncond[1]])
    return batch.output + error.view(-1, 1, 1, 1)


def test_guidance_cancels_what_both_sides_share(batch):
    output = off_by(batch, cond=(1.0, 1.0), uncond=(1.0, 0.0))
    # 1 + 3 * (1 - 1) = 1, and 0 + 3 * (1 - 0) = 3.
    errors = LOSSES["guided output"](batch, batch.r_out, output, CFG)
    assert torch.allclose(errors, torch.tensor([1.0, 9.0]), atol=1e-5)


def test_the_plain_output_takes_the_mean_over_both_sides(batch):
    output = off_by(batch, cond=(1.0, 1.0), uncond=(1.0, 0.0))
    errors = LOSSES["output"](batch, batch.r_out, output, CFG)
    assert torch.allclose(errors, torch.tensor([1.0, 0.5]), atol=1e-5)


def test_features(batch):
    r_out = batch.r_out + torch.tensor([1.0, 2.0, 3.0, 4.0]).view(-1, 1, 1, 1)
    errors = LOSSES["features"](batch, r_out, batch.output, CFG)
    assert torch.allclose(errors, torch.tensor([(1 + 9) / 2, (4 + 16) / 2]), atol=1e-4)


def test_without_guidance_the_guided_output_is_the_output():
    batch = Batch.of([random_pair(0, streams=1), random_pair(1, streams=1)], CPU)
    output = batch.output + 2.0
    plain, under_guidance = (LOSSES[name](batch, batch.r_out, output, CFG) for name in ("output", "guided output"))
    assert torch.allclose(plain, torch.tensor([4.0, 4.0]), atol=1e-5)
    assert torch.equal(plain, under_guidance)


def test_guided_is_what_the_host_does():
    cond, uncond = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    assert torch.equal(guided(torch.cat([cond, uncond]), 2, 7.5), uncond + 7.5 * (cond - uncond))


def test_errors_are_weighed_between_alike_and_by_the_identitys():
    error, identity = torch.tensor([2.0, 2.0]), torch.tensor([1.0, 4.0])
    assert torch.equal(relative(error, identity, 1.0, 2.5), torch.tensor([2.0, 0.5]))
    assert torch.equal(relative(error, identity, 0.0, 2.5), torch.tensor([0.8, 0.8]))
