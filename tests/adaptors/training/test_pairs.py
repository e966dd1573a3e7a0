"""Pairs side by side: all cond, then all uncond."""

import pytest
import torch
from training import CPU, random_pair

from clockwork_pack.adaptors.training.pairs import Batch, Pair, without_r_out


def test_all_cond_come_before_all_uncond():
    pairs = [random_pair(0), random_pair(1), random_pair(2)]
    batch = Batch.of(pairs, CPU)
    assert (batch.size, batch.streams) == (3, 2)
    for name in ("x", "timesteps", "context", "r_out", "output"):
        expected = torch.stack([getattr(pair, name)[side] for side in (0, 1) for pair in pairs])
        assert torch.equal(getattr(batch, name), expected), name
    for index in range(2):
        expected = torch.stack([pair.r_outs[index][side] for side in (0, 1) for pair in pairs])
        assert torch.equal(batch.r_outs[index], expected)
    assert torch.equal(batch.sigma, torch.cat([pair.sigma for pair in pairs] * 2))
    assert torch.equal(batch.gaps, torch.stack([pair.gaps for pair in pairs] * 2))
    assert torch.equal(batch.identity_errors, torch.stack([pair.identity_errors for pair in pairs], dim=1))
    assert batch.r_ins == ()
    assert batch.y is None


def test_without_guidance_there_is_one_side():
    batch = Batch.of([random_pair(0, streams=1), random_pair(1, streams=1)], CPU)
    assert (batch.size, batch.streams, len(batch.x)) == (2, 1, 2)


def test_pairs_with_and_without_guidance_do_not_mix():
    with pytest.raises(ValueError, match="Guidance is switched on or off"):
        Batch.of([random_pair(streams=1), random_pair(streams=2)], CPU)


def test_prompts_of_different_lengths_are_repeated_to_a_common_one():
    batch = Batch.of([random_pair(0, tokens=4), random_pair(1, tokens=6)], CPU)
    assert batch.context.shape == (4, 12, 5)
    assert torch.equal(batch.context[0], random_pair(0, tokens=4).context[0].repeat(3, 1))


def test_half_precision_comes_back_as_float32():
    pair = random_pair()
    half = random_pair(r_outs=pair.r_outs.half(), x=pair.x.bfloat16())
    batch = Batch.of([half], CPU)
    assert {batch.r_outs[0].dtype, batch.x.dtype} == {torch.float32}
    assert torch.equal(batch.r_outs[0], pair.r_outs[0].half().float())


def test_what_is_not_there_is_left_out_of_the_tensors_and_of_the_size():
    whole, slim = random_pair(), without_r_out(random_pair())
    assert "r_ins" not in whole.tensors()
    assert whole.nbytes - slim.nbytes == 2 * 3 * 2 * 2 * 4
    again = Pair.from_tensors(slim.tensors())
    assert again.r_out is None
    assert torch.equal(again.x, slim.x)
