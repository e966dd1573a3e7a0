"""Trainings of seconds on toys, and what they begin with."""

from __future__ import annotations

from dataclasses import replace

import torch
import toys

from clockwork_pack.adaptors.training.high_res import HighResPart
from clockwork_pack.adaptors.training.host import load
from clockwork_pack.adaptors.training.pairs import Pair
from clockwork_pack.adaptors.training.plan import TrainingPlan, describe_for
from clockwork_pack.adaptors.training.point import OperatingPoint
from clockwork_pack.adaptors.training.prompts import Conditioning
from clockwork_pack.adaptors.training.settings import TrainingSettings
from clockwork_pack.adaptors.training.source import PairSource
from clockwork_pack.adaptors.training.teacher import Teacher

CPU = torch.device("cpu")
# Of toys.TINIEST and of the shallow families: the blocks of the top level.
KEPT = 2
POINT = OperatingPoint(4, "euler", "normal", 3.0, 2)
SETTINGS = TrainingSettings(iterations=6, batch=4, trajectories=8, teacher_batch=4)


def encoded(count: int = 3, first: int = 0, tokens: int = 8) -> list[Conditioning]:
    """Some prompts."""
    prompts = [Conditioning.all_of(toys.conditioning(first + index, tokens), "positive") for index in range(count)]
    return [prompt for each in prompts for prompt in each]


NEGATIVE = encoded(1, first=99)[0]


def latent(size: int = 8, channels: int = 4) -> torch.Tensor:
    return torch.zeros(1, channels, size, size)


def plan_for(model, points=(POINT,), architecture="resnet", checkpoint=None, memory_bytes=2**30, **changes):
    """A training of a toy. changes: of SETTINGS."""
    description = describe_for(model, KEPT, architecture, points)
    settings = replace(SETTINGS, **changes)
    return TrainingPlan(
        model, description, encoded(), NEGATIVE, latent(), points, settings, memory_bytes, checkpoint
    )  # fmt: skip


def source_of(model, points=(POINT,), prompts=None, depth=1, remembers_r_in=False) -> PairSource:
    teacher = Teacher(model, KEPT, depth, remembers_r_in)
    device = load([teacher.model])
    high_res = HighResPart(teacher.model, KEPT)
    return PairSource(teacher, high_res, points, prompts or encoded(), NEGATIVE, latent(), 0, device)


def random_pair(seed: int = 0, streams: int = 2, tokens: int = 8, past: int = 2, **changes) -> Pair:
    """Not of any model; r_out is (S, 3, 2, 2), output (S, 4, 4, 4)."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(shape, generator=generator)

    pair = Pair(
        x=noise(streams, 4, 4, 4),
        timesteps=noise(streams),
        sigma=noise(1),
        context=noise(streams, tokens, 5),
        y=None,
        r_outs=noise(past, streams, 3, 2, 2),
        r_ins=None,
        gaps=noise(past),
        r_out=noise(streams, 3, 2, 2),
        output=noise(streams, 4, 4, 4),
        identity_errors=noise(3).abs(),
    )
    return replace(pair, **changes)
