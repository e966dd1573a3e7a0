"""Trains an experiment's adaptor, unless an earlier call did, and measures it beside the identity and fewer steps."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ...adaptors import ARCHITECTURES, BUILT_IN, Description
from ...adaptors.files import load_adaptor, save_adaptor
from ...adaptors.learned import LearnedAdaptor
from ...adaptors.training.point import OperatingPoint
from ...adaptors.training.prompts import Conditioning
from ...adaptors.training.session import Progress, TrainingPlan, train
from ...adaptors.training.settings import TrainingSettings
from ...clockwork_core.cut import seam_of
from ...clockwork_core.metrics import psnr
from ...clockwork_core.runtime import ClockworkConfig, attach
from ...clockwork_core.schedule import EveryN, ExplicitList, Schedule, Window
from ..yardsticks.cases import Case, Split, cases
from ..yardsticks.intervals import bootstrap
from ..yardsticks.studio import LATENT, SCHEDULER, Drawn, Studio
from .experiments import CFG, Experiment

PROMPTS = 200
WHOLE_RUN = Window(0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class PatternPoint(OperatingPoint):
    """A kind of run with an explicit schedule in place of the clock."""

    pattern: str = "10"

    @property
    def schedule(self) -> Schedule:
        return ExplicitList(self.pattern)


@dataclasses.dataclass(frozen=True)
class Measured:
    """PSNR in dB against the uncached pictures [mean, low, high], and what a picture costs in full passes."""

    variant: str
    steps: int
    evaluations: int
    psnr: list[float]
    cost: float


class Bench:
    """One model, its adaptors, and held-out cases of icons that no adaptor has seen.

    folder: where adaptors and checkpoints are kept. budget: what every training has in common.
    """

    def __init__(self, model: Path, folder: Path, count: int, budget: dict[str, Any]) -> None:
        self._folder = folder
        self._budget = budget
        self._count = count
        self._studios: dict[str, Studio] = {}
        self._model = model
        self._drawn: dict[tuple[str, int], Drawn] = {}

    def studio(self, sampler: str) -> Studio:
        if sampler not in self._studios:
            self._studios[sampler] = Studio(self._model, sampler, CFG)
        return self._studios[sampler]

    @property
    def seen_icons(self) -> tuple[str, ...]:
        """Two thirds of the icons, which adaptors are trained on."""
        icons = self.studio("dpmpp_2m").icons
        return icons[: len(icons) * 2 // 3]

    @property
    def cases(self) -> list[Case]:
        """Pictures of the other icons."""
        studio = self.studio("dpmpp_2m")
        unseen = studio.icons[len(self.seen_icons) :]
        return cases(unseen, studio.colours, Split.HELD_OUT, self._count)

    def trained(self, experiment: Experiment, report: Callable[[str], None]) -> LearnedAdaptor:
        """The experiment's adaptor."""
        path = self._folder / f"{experiment.key}.safetensors"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            checkpoint = path.with_suffix(".checkpoint")

            def tell(progress: Progress) -> None:
                if progress.checked is not None and progress.checked.iteration == progress.iteration:
                    errors = {name: round(error, 3) for name, error in progress.checked.errors.items()}
                    report(f"{experiment.key}: {progress.iteration} {errors}")

            result = train(self._plan(experiment, checkpoint), tell)
            save_adaptor(result.adaptor, path)
            checkpoint.unlink(missing_ok=True)
        return load_adaptor(path)

    def point(
        self, experiment: Experiment, adaptor: LearnedAdaptor, steps: int, clock: int, report: Callable[[str], None]
    ) -> dict[str, Any]:
        """The trained adaptor at one kind of run, the built-in ones, and fewer steps, as plain data."""
        measured = self._measured(experiment.name, experiment, adaptor, steps, clock)
        beside = [self._measured(name, experiment, make(), steps, clock) for name, make in BUILT_IN.items()]
        report(f"{experiment.key}: {steps} steps, clock {clock}: {measured.psnr[0]:.2f} dB")
        return {
            "clock": clock,
            **dataclasses.asdict(measured),
            "beside": [dataclasses.asdict(each) for each in beside],
            "fewer_steps": [dataclasses.asdict(each) for each in self._fewer_steps(experiment, measured)],
        }

    def _fewer_steps(self, experiment: Experiment, measured: Measured) -> list[Measured]:
        """Plain runs of about that cost: the step counts below and above it, against the same pictures."""
        reference = self._uncached(experiment.sampler, measured.steps)
        equal = measured.cost / measured.evaluations * measured.steps
        found = []
        for fewer in sorted({int(equal), int(equal) + 1}):
            if 2 <= fewer < measured.steps:
                drawn = self._uncached(experiment.sampler, fewer)
                evaluations = fewer * measured.evaluations // measured.steps
                psnr_of_fewer = _interval(drawn, reference)
                found.append(Measured(f"{fewer} steps", measured.steps, evaluations, psnr_of_fewer, evaluations))
        return found

    def _measured(self, name: str, experiment: Experiment, adaptor: Any, steps: int, clock: int) -> Measured:
        studio = self.studio(experiment.sampler)
        config = ClockworkConfig(_schedule(experiment, clock), experiment.kept_blocks, adaptor, WHOLE_RUN)
        drawn = studio.draw(attach(studio.model, config), self.cases, steps)
        spent, full = (
            sum(parts) for parts in zip(*(report.flops() or (0, 0) for report in drawn.reports), strict=True)
        )
        evaluations = len(drawn.reports[0].evaluations)
        reference = self._uncached(experiment.sampler, steps)
        return Measured(name, steps, evaluations, _interval(drawn, reference), evaluations * spent / full)

    def _uncached(self, sampler: str, steps: int) -> Drawn:
        if (sampler, steps) not in self._drawn:
            studio = self.studio(sampler)
            self._drawn[sampler, steps] = studio.draw(studio.model, self.cases, steps)
        return self._drawn[sampler, steps]

    def _plan(self, experiment: Experiment, checkpoint: Path) -> TrainingPlan:
        studio = self.studio(experiment.sampler)
        seam = seam_of(studio.unet, experiment.kept_blocks)
        config = ARCHITECTURES[experiment.architecture].scaled_to(seam)
        config = dataclasses.replace(config, **experiment.config)
        chance = random.Random(5)
        texts = [Case(chance.choice(self.seen_icons), chance.choice(studio.colours), 0).prompt for _ in range(PROMPTS)]
        return TrainingPlan(
            model=studio.model,
            description=Description(experiment.architecture, config, seam),
            prompts=[prompt for text in texts for prompt in _encoded(studio, text)],
            negative=_encoded(studio, "")[0],
            latent=torch.zeros(1, *LATENT),
            points=_points(experiment),
            settings=TrainingSettings(**{**self._budget, **experiment.training}),
            checkpoint=checkpoint,
        )


def _points(experiment: Experiment) -> list[OperatingPoint]:
    shared = (experiment.sampler, SCHEDULER, CFG)
    if experiment.pattern:
        return [PatternPoint(experiment.steps[0], *shared, 2, experiment.pattern)]
    return [OperatingPoint(steps, *shared, clock) for steps in experiment.steps for clock in experiment.clocks]


def _schedule(experiment: Experiment, clock: int) -> Schedule:
    return ExplicitList(experiment.pattern) if experiment.pattern else EveryN(clock)


def _encoded(studio: Studio, text: str) -> list[Conditioning]:
    return Conditioning.all_of(studio.encode([text]), "prompts")


def _interval(drawn: Drawn, reference: Drawn) -> list[float]:
    return list(bootstrap(psnr(drawn.pictures, reference.pictures).numpy()))
