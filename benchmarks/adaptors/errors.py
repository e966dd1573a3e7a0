"""How far an adaptor is off at the evaluations of runs that the model itself draws: the errors that training knows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...adaptors.learned import LearnedAdaptor
from ...adaptors.training import host
from ...adaptors.training.high_res import HighResPart
from ...adaptors.training.losses import LOSSES, relative
from ...adaptors.training.pairs import Batch, Pair
from ...adaptors.training.point import OperatingPoint
from ...adaptors.training.prompts import Conditioning
from ...adaptors.training.source import PairSource
from ...adaptors.training.teacher import Teacher
from ...clockwork_core.host import ModelPatcher

# Pairs that are looked at together.
AT_ONCE = 8


def errors_of(
    adaptor: LearnedAdaptor,
    model: ModelPatcher,
    point: OperatingPoint,
    prompts: Sequence[Conditioning],
    negative: Conditioning,
    latent: Tensor,
    seed: int,
) -> dict[str, float]:
    """Mean squared errors by the names of `losses.LOSSES`, as shares of the identity's; a picture for each prompt."""
    kept_blocks = adaptor.description.seam.kept_blocks
    teacher = Teacher(model, kept_blocks, adaptor.depth, adaptor.remembers_r_in)
    device = host.load([teacher.model])
    try:
        high_res = HighResPart(teacher.model, kept_blocks)
        source = PairSource(teacher, high_res, [point], prompts, negative, latent, seed, device)
        pairs = [pair for drawn in source.draw(range(len(prompts))).values() for pair in drawn]
        parts = [pairs[start : start + AT_ONCE] for start in range(0, len(pairs), AT_ONCE)]
        shares = torch.cat([_shares(adaptor, source, part) for part in parts])
    finally:
        teacher.close()
    return dict(zip(LOSSES, shares.mean(dim=0).tolist(), strict=True))


@torch.no_grad()
def _shares(adaptor: LearnedAdaptor, source: PairSource, pairs: Sequence[Pair]) -> Tensor:
    """Of each pair, and of each loss (pairs, losses)."""
    batch = Batch.of(pairs, source.device)
    features, skips = source.high_res.enter(batch)
    r_out = adaptor.r_out(features)
    output = source.high_res.leave(batch, features, skips, r_out)
    errors = [loss(batch, r_out, output, source.points[0].cfg) for loss in LOSSES.values()]
    compared = zip(errors, batch.identity_errors, strict=True)
    return torch.stack([relative(error, identity, 1.0, 1.0) for error, identity in compared], dim=1)
