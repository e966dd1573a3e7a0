"""Regular distillation, for comparison with unrolled trajectories (paper, section 4.3): images, noised forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from . import host
from .pairs import Pair
from .point import OperatingPoint
from .source import PairSource
from .teacher import Policy


@dataclass(frozen=True, kw_only=True)
class NoisedImages(PairSource):
    """Pairs of the same evaluations as in a run, but each looks at an image under noise, not at what a run made.

    Picture n is of prompt and image n mod (number of them): the image under the same noise seed + n at all of the
    run's sigmas. What a pair has of past full passes was thus taken at their sigmas.

    images: latents (N, C, H, W) as the host's VAE encodes them, one for each prompt.
    """

    images: Tensor

    def of_prompts(self, indices: Sequence[int], seed: int) -> NoisedImages:
        prompts = [self.prompts[index] for index in indices]
        return replace(self, prompts=prompts, images=self.images[list(indices)], seed=seed)

    def _unrolled(self, point: OperatingPoint, numbers: Sequence[int], policy: Policy) -> list[list[Pair]]:
        images = torch.cat([self.images[index : index + 1] for index in map(self._prompt_index, numbers)])
        prompts = [self._prompt_of(number) for number in numbers]
        seeds = [self.seed + number for number in numbers]
        return self.teacher.unroll(point, images, prompts, self.negative, seeds, policy, host.evaluate_noised)
