"""How far an adaptor is off at the evaluations of runs that the model itself draws: the errors that training knows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...adaptors.learned import LearnedAdaptor
from ...adaptors.training import host
from ...adaptors.training.distil import Distillation
from ...adaptors.training.high_res import HighResPart
from ...adaptors.training.point import OperatingPoint
from ...adaptors.training.prompts import Conditioning
from ...adaptors.training.settings import TrainingSettings
from ...adaptors.training.source import PairSource
from ...adaptors.training.teacher import Teacher
from ...clockwork_core.host import ModelPatcher

MEMORY_BYTES = 2**32


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
        drawn = source.draw(range(len(prompts)))
        return Distillation(adaptor, source, TrainingSettings(), MEMORY_BYTES).check(drawn.values()).errors
    finally:
        teacher.close()
