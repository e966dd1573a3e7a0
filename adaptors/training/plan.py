"""What to train, on what: all that the node and the command line ask of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ...clockwork_core.cut import seam_of
from ...clockwork_core.host import ModelPatcher, diffusion_model_of
from ..description import Description, describe
from . import host
from .point import OperatingPoint
from .prompts import Conditioning
from .settings import TrainingSettings


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, on what.

    model: the teacher, as the user samples with it; a Clockwork on it is taken off.
    description: of the adaptor, untrained, whose seam is the model's.
    points: the runs, alike in all but steps and clock.
    latent: an empty one (1, C, H, W) of the size to train at. memory_bytes: how much of the pairs may lie in memory.
    checkpoint: a file to go on from, if it exists, and to save to; None for neither.
    """

    model: ModelPatcher
    description: Description
    prompts: Sequence[Conditioning]
    negative: Conditioning
    latent: Tensor
    points: Sequence[OperatingPoint]
    settings: TrainingSettings
    memory_bytes: int = 4 * 2**30
    checkpoint: Path | None = None

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("There are no prompts: give at least one, a line each.")
        if not self.points:
            raise ValueError("There is no kind of run to train for.")
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

    Raises ValueError, naming what there is, if the architecture is unknown or the model cannot be cut there.
    """
    description = describe(architecture, seam_of(diffusion_model_of(model), kept_blocks))
    return replace(description, config=replace(description.config, gaps=len(points) > 1))
