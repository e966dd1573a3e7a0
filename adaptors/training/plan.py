"""What to train, on what: all that the node and the command line ask of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ...clockwork_core.checks import shown
from ...clockwork_core.cut import seam_of
from ...clockwork_core.host import ModelPatcher, diffusion_model_of
from ..description import FOR_ONE_KIND_OF_RUN, TRAINABLE, Description, describe
from . import host
from .point import OperatingPoint
from .prompts import Conditioning
from .settings import GIGABYTE, TrainingSettings

# Every eighth prompt is held out, where there are so many.
HELD_OUT_EVERY = 8


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, on what.

    model: the teacher, as the user samples with it; a Clockwork on it is taken off.
    description: of the adaptor, untrained, whose seam is the model's.
    points: the runs, alike in all but steps and clock.
    latent: an empty one (1, C, H, W) of the size to train at. memory_bytes: how much of the pairs may lie in memory.
    checkpoint: a file to go on from, if it exists, and to save to; None for neither.
    images: latents (N, C, H, W), one for each prompt, for regular distillation (see `noised`); None to unroll.
    """

    model: ModelPatcher
    description: Description
    prompts: Sequence[Conditioning]
    negative: Conditioning
    latent: Tensor
    points: Sequence[OperatingPoint]
    settings: TrainingSettings
    memory_bytes: int = 4 * GIGABYTE
    checkpoint: Path | None = None
    images: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("There are no prompts: give at least one, a line each.")
        if not self.points:
            raise ValueError("There is no kind of run to train for.")
        if self.images is not None and len(self.images) != len(self.prompts):
            raise ValueError(f"There are {len(self.images)} images, but {len(self.prompts)} prompts: one is for each.")
        if len({(point.sampler, point.scheduler, point.cfg) for point in self.points}) > 1:
            raise ValueError("All runs of one training must share sampler, scheduler and cfg.")
        for point in self.points:
            host.require_known(point)

    def facts(self) -> dict[str, str]:
        """What must be the same when a training goes on, by the words for it."""
        return {
            "an adaptor": f"{self.description.architecture}, {self.description.config}, {self.description.seam}",
            "the runs": "; ".join(map(str, self.points)),
            "a latent of the shape": str(tuple(self.latent.shape)),
            "a number of prompts of": str(len(self.prompts)),
            "images": "none" if self.images is None else str(tuple(self.images.shape)),
        }

    def require_same(self, facts: dict[str, str]) -> None:
        """Raise ValueError, naming both, if a checkpoint's training was of another plan."""
        for words, now in self.facts().items():
            if facts.get(words) != now:
                raise ValueError(
                    f"The checkpoint's training has {words} {facts.get(words)}, not {now}: resume it with the same "
                    "settings, or begin anew under another name."
                )


def describe_for(
    model: ModelPatcher, kept_blocks: int, architecture: str, points: Sequence[OperatingPoint]
) -> Description:
    """An adaptor of that architecture for a model; one for several kinds of runs is told how far the past lies back.

    Raises ValueError, naming what there is, if the architecture is none that is trained, or serves no range of runs,
    or the model cannot be cut there.
    """
    if architecture not in TRAINABLE:
        raise ValueError(f"architecture is {shown(architecture)}, but must be one of {', '.join(TRAINABLE)}.")
    if architecture in FOR_ONE_KIND_OF_RUN and len(points) > 1:
        raise ValueError(
            f"architecture is {architecture!r}, which serves one number of steps and one clock: for a range of them "
            f"choose {', '.join(name for name in TRAINABLE if name not in FOR_ONE_KIND_OF_RUN)}."
        )
    description = describe(architecture, seam_of(diffusion_model_of(model), kept_blocks))
    return replace(description, config=replace(description.config, gaps=len(points) > 1))


def split(prompts: int) -> tuple[list[int], list[int]]:
    """Which prompts to learn from, and which to check on; few serve for both, with other noise."""
    numbers = list(range(prompts))
    if prompts < HELD_OUT_EVERY:
        return numbers, numbers
    held_out = numbers[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    return [number for number in numbers if number not in held_out], held_out
