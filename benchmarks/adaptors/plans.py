"""What an experiment's adaptor learns from: model, prompts of icons and, for regular distillation, their pictures."""

from __future__ import annotations

import dataclasses
import random
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...adaptors import ARCHITECTURES, Description
from ...adaptors.training.plan import TrainingPlan
from ...adaptors.training.point import OperatingPoint
from ...adaptors.training.prompts import Conditioning
from ...adaptors.training.settings import TrainingSettings
from ...clockwork_core.cut import seam_of
from ...clockwork_core.schedule import ExplicitList
from ...tools.pocket.data import COLOURS, FOLD, compose, premultiplied, random_placements
from ...tools.pocket.icons import load_icons
from ..yardsticks.cases import Case, Split, cases
from ..yardsticks.studio import LATENT, SCHEDULER, Studio
from .experiments import CFG, Experiment

PROMPTS = 200


@dataclasses.dataclass(frozen=True)
class PatternPoint(OperatingPoint):
    """A kind of run with an explicit schedule in place of the clock."""

    pattern: str = "10"

    @property
    def schedule(self) -> ExplicitList:
        return ExplicitList(self.pattern)


class Lessons:
    """Prompts of two thirds of a model's icons to learn from, and cases of the others to measure on.

    icons: the folder that the icons' pictures are fetched into, for regular distillation alone.
    """

    def __init__(self, model: Path, icons: Path) -> None:
        self._model = model
        self._icons = icons
        self.studio = lru_cache(self._studio)
        chance = random.Random(5)
        studio = self.studio("dpmpp_2m")
        seen = studio.icons[: self._seen]
        self._lessons = [Case(chance.choice(seen), chance.choice(studio.colours), 0) for _ in range(PROMPTS)]

    def _studio(self, sampler: str) -> Studio:
        return Studio(self._model, sampler, CFG)

    @property
    def _seen(self) -> int:
        return len(self.studio("dpmpp_2m").icons) * 2 // 3

    def held_out_cases(self, count: int) -> list[Case]:
        """Pictures of icons that are in no lesson."""
        studio = self.studio("dpmpp_2m")
        return cases(studio.icons[self._seen :], studio.colours, Split.HELD_OUT, count)

    def prompts(self, sampler: str) -> list[Conditioning]:
        studio = self.studio(sampler)
        return [prompt for case in self._lessons for prompt in encoded(studio, case.prompt)]

    @cached_property
    def images(self) -> Tensor:
        """Latents (prompts, 12, 32, 32) of what the prompts speak of, as the model was trained on.

        Raises RuntimeError with a sentence if the icons are not there and cannot be fetched.
        """
        icons = load_icons(self._icons)
        numbers = [icons.names.index(case.icon) for case in self._lessons]
        colours = torch.tensor([COLOURS[case.colour] for case in self._lessons])
        placements = random_placements(PROMPTS, torch.Generator().manual_seed(6))
        return F.pixel_unshuffle(2 * compose(premultiplied(icons.rgba)[numbers], colours, placements) - 1, FOLD)


def plan_of(experiment: Experiment, lessons: Lessons, budget: dict[str, Any], checkpoint: Path | None) -> TrainingPlan:
    """budget: settings that all experiments share."""
    studio = lessons.studio(experiment.sampler)
    seam = seam_of(studio.unet, experiment.kept_blocks)
    config = dataclasses.replace(ARCHITECTURES[experiment.architecture].scaled_to(seam), **experiment.config)
    return TrainingPlan(
        model=studio.model,
        description=Description(experiment.architecture, config, seam),
        prompts=lessons.prompts(experiment.sampler),
        negative=encoded(studio, "")[0],
        latent=torch.zeros(1, *LATENT),
        points=[point_of(experiment, steps, clock) for steps in experiment.steps for clock in experiment.clocks],
        settings=TrainingSettings(**{**budget, **experiment.training}),
        checkpoint=checkpoint,
        images=lessons.images if experiment.from_images else None,
    )


def encoded(studio: Studio, text: str) -> list[Conditioning]:
    """A prompt as the training takes it."""
    return Conditioning.all_of(studio.encode([text]), "prompts")


def point_of(experiment: Experiment, steps: int, clock: int) -> OperatingPoint:
    """A kind of run that the experiment is about."""
    shared = (steps, experiment.sampler, SCHEDULER, CFG, clock)
    return PatternPoint(*shared, experiment.pattern) if experiment.pattern else OperatingPoint(*shared)
