"""Where training pairs come from: the teacher, prompts and seeds, one trajectory after the other, by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .high_res import HighResPart
from .losses import LOSSES
from .pairs import Batch, Pair
from .point import OperatingPoint
from .prompts import Conditioning
from .teacher import Policy, Teacher, follow_teacher

# Trajectories of held-out prompts count from here, far from all others.
HELD_OUT_SEED = 2**40


@dataclass(frozen=True)
class PairSource:
    """Trajectory n is of prompt n mod (number of prompts), of point n mod (number of points), of noise seed + n.

    latent: an empty one (1, C, H, W). device: where the high-res part lies.
    """

    teacher: Teacher
    high_res: HighResPart
    points: Sequence[OperatingPoint]
    prompts: Sequence[Conditioning]
    negative: Conditioning
    latent: Tensor
    seed: int
    device: torch.device

    def draw(self, numbers: Sequence[int], policy: Policy = follow_teacher) -> dict[int, list[Pair]]:
        """The pairs of these trajectories; those of one point and one prompt length are drawn together."""
        groups: dict[tuple, list[int]] = {}
        for number in numbers:
            groups.setdefault((self.point_of(number), self._prompt_of(number).context.shape[1]), []).append(number)
        drawn: dict[int, list[Pair]] = {}
        for (point, _), members in groups.items():
            prompts = [self._prompt_of(number) for number in members]
            seeds = [self.seed + number for number in members]
            unrolled = self.teacher.unroll(point, self.latent, prompts, self.negative, seeds, policy)
            measured = [self._measured(of_sample, point.cfg) for of_sample in unrolled]
            drawn.update(zip(members, measured, strict=True))
        return drawn

    def point_of(self, number: int) -> OperatingPoint:
        return self.points[number % len(self.points)]

    def _prompt_of(self, number: int) -> Conditioning:
        # With several points each prompt meets each of them in turn.
        return self.prompts[number // len(self.points) % len(self.prompts)]

    def _measured(self, pairs: list[Pair], cfg: float) -> list[Pair]:
        """The pairs with the identity's errors."""
        batch = Batch.of(pairs, self.device)
        with torch.no_grad():
            features, skips = self.high_res.enter(batch)
            output = self.high_res.leave(batch, features, skips, batch.r_outs[0])
            errors = torch.stack([loss(batch, batch.r_outs[0], output, cfg) for loss in LOSSES.values()])  # (3, B)
        return [replace(pair, identity_errors=errors[:, index].cpu()) for index, pair in enumerate(pairs)]
