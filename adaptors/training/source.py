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
# Pairs whose identity errors are measured at once.
MEASURED_TOGETHER = 4


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

    def of_prompts(self, indices: Sequence[int], seed: int) -> PairSource:
        """The same of some of the prompts only, with noise of another seed."""
        return replace(self, prompts=[self.prompts[index] for index in indices], seed=seed)

    def draw(self, numbers: Sequence[int], policy: Policy = follow_teacher) -> dict[int, list[Pair]]:
        """The pairs of these trajectories; those of one point and one prompt length are drawn together."""
        groups: dict[tuple, list[int]] = {}
        for number in numbers:
            groups.setdefault((self.point_of(number), self._prompt_of(number).context.shape[1]), []).append(number)
        drawn: dict[int, list[Pair]] = {}
        for (point, _), members in groups.items():
            for number, pairs in zip(members, self._drawn_together(point, members, policy), strict=True):
                drawn[number] = self._measured(pairs, point.cfg)
        return drawn

    def _drawn_together(self, point: OperatingPoint, numbers: list[int], policy: Policy) -> list[list[Pair]]:
        """The pairs of each; half of them at a time where all together need too much of the device's memory."""
        try:
            return self._unrolled(point, numbers, policy)
        except torch.cuda.OutOfMemoryError:
            if len(numbers) == 1:
                raise
        # Here, not there: what failed is kept alive as long as its exception is.
        half = len(numbers) // 2
        return [
            *self._drawn_together(point, numbers[:half], policy),
            *self._drawn_together(point, numbers[half:], policy),
        ]

    def _unrolled(self, point: OperatingPoint, numbers: list[int], policy: Policy) -> list[list[Pair]]:
        prompts = [self._prompt_of(number) for number in numbers]
        seeds = [self.seed + number for number in numbers]
        return self.teacher.unroll(point, self.latent, prompts, self.negative, seeds, policy)

    def point_of(self, number: int) -> OperatingPoint:
        return self.points[number % len(self.points)]

    def _prompt_of(self, number: int) -> Conditioning:
        return self.prompts[self._prompt_index(number)]

    def _prompt_index(self, number: int) -> int:
        # With several points each prompt meets each of them in turn.
        return number // len(self.points) % len(self.prompts)

    def _measured(self, pairs: list[Pair], cfg: float) -> list[Pair]:
        """The pairs with the identity's errors."""
        errors = []
        for start in range(0, len(pairs), MEASURED_TOGETHER):
            batch = Batch.of(pairs[start : start + MEASURED_TOGETHER], self.device)
            with torch.no_grad():
                features, skips = self.high_res.enter(batch)
                output = self.high_res.leave(batch, features, skips, batch.r_outs[0])
                of_losses = [loss(batch, batch.r_outs[0], output, cfg) for loss in LOSSES.values()]
            errors += torch.stack(of_losses, dim=1).cpu().unbind()  # (3,) for each pair
        return [replace(pair, identity_errors=error) for pair, error in zip(pairs, errors, strict=True)]
