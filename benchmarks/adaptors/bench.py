"""Makes an experiment's adaptor, unless an earlier call did, and measures it beside the identity and fewer steps."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...adaptors import BUILT_IN
from ...adaptors.files import load_adaptor, save_adaptor
from ...adaptors.learned import LearnedAdaptor
from ...adaptors.training.fit import FitPlan, fit
from ...adaptors.training.session import Progress, train
from ...clockwork_core.metrics import psnr
from ...clockwork_core.runtime import ClockworkConfig, attach
from ...clockwork_core.schedule import Window
from ..yardsticks.intervals import bootstrap
from ..yardsticks.studio import LATENT, Drawn
from .errors import errors_of
from .experiments import Experiment
from .plans import Lessons, encoded, plan_of, point_of

WHOLE_RUN = Window(0.0, 1.0)
# Pictures that a fit looks at.
FITTED_ON = 32
# Pictures that errors are taken of.
ERRORS_ON = 16


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a variant drew: PSNR in dB of each case (cases,) against the uncached picture; cost in full passes."""

    variant: str
    psnr: Tensor
    cost: float

    def facts(self) -> dict[str, Any]:
        """Plain data; psnr as [mean, low, high]."""
        return {"variant": self.variant, "psnr": list(bootstrap(self.psnr.numpy())), "cost": self.cost}


class Bench:
    """One model, its adaptors, and held-out cases of icons that no adaptor has seen.

    folder: where adaptors and checkpoints are kept. budget: what every training has in common.
    """

    def __init__(self, lessons: Lessons, folder: Path, count: int, budget: dict[str, Any]) -> None:
        self._lessons = lessons
        self._folder = folder
        self._budget = budget
        self._cases = lessons.held_out_cases(count)
        self._drawn: dict[tuple[str, int], Drawn] = {}
        self._built_in: dict[tuple, list[Measured]] = {}

    def adaptor(self, experiment: Experiment, report: Callable[[str], None]) -> tuple[LearnedAdaptor, float | None]:
        """The experiment's adaptor, and the processor seconds that it took, if that was now."""
        path = self._folder / f"{experiment.key}.safetensors"
        if path.exists():
            return load_adaptor(path), None
        self._folder.mkdir(parents=True, exist_ok=True)
        begun = time.process_time()
        make = self._fitted if experiment.architecture == "affine" else self._trained
        save_adaptor(make(experiment, path.with_suffix(".checkpoint"), report), path)
        return load_adaptor(path), time.process_time() - begun

    def point(
        self, experiment: Experiment, adaptor: LearnedAdaptor, steps: int, clock: int, report: Callable[[str], None]
    ) -> dict[str, Any]:
        """The adaptor at one kind of run, the built-in ones, and fewer steps, as plain data.

        lead: in dB over fewer steps of the same cost, [mean, low, high] of the differences case by case. Such a step
        count is rarely whole: the PSNR of each case is interpolated between its neighbours.
        """
        measured = self._measured(experiment.name, experiment, adaptor, steps, clock)
        evaluations = self._evaluations(experiment.sampler, steps)
        fewer = self._fewer_steps(experiment.sampler, steps, measured.cost / evaluations * steps)
        lead = lead_of(measured, fewer)
        report(f"{experiment.key}: {steps} steps, clock {clock}: {measured.facts()['psnr'][0]:.2f} dB, lead {lead}")
        return {
            "steps": steps,
            "clock": clock,
            **measured.facts(),
            "lead": lead,
            "beside": [each.facts() for each in self._beside(experiment, steps, clock)],
            "fewer_steps": [each.facts() for each in fewer],
        }

    def errors(self, experiment: Experiment, adaptor: LearnedAdaptor, steps: int, clock: int) -> dict[str, float]:
        """Of the adaptor at that kind of run, as shares of the identity's, on the first few of the held-out cases."""
        studio = self._lessons.studio(experiment.sampler)
        point = point_of(experiment, steps, clock)
        prompts = [prompt for case in self._cases[:ERRORS_ON] for prompt in encoded(studio, case.prompt)]
        latent, seed = torch.zeros(1, *LATENT), self._cases[0].seed
        return errors_of(adaptor, studio.model, point, prompts, encoded(studio, "")[0], latent, seed)

    def _fitted(self, experiment: Experiment, _checkpoint: Path, report: Callable[[str], None]) -> LearnedAdaptor:
        plan = plan_of(experiment, self._lessons, self._budget, None)
        fitted = fit(
            FitPlan(
                plan.model, plan.prompts, plan.negative, plan.latent, plan.points[0], experiment.kept_blocks,
                pictures=FITTED_ON, seed=plan.settings.seed, guided=experiment.guided,
            )
        )  # fmt: skip
        for line in fitted.lines():
            report(line)
        return fitted.adaptor

    def _trained(self, experiment: Experiment, checkpoint: Path, report: Callable[[str], None]) -> LearnedAdaptor:
        def tell(progress: Progress) -> None:
            if progress.checked is not None and progress.checked.iteration == progress.iteration:
                errors = {name: round(error, 3) for name, error in progress.checked.errors.items()}
                report(f"{experiment.key}: {progress.iteration} {errors}")

        trained = train(plan_of(experiment, self._lessons, self._budget, checkpoint), tell)
        checkpoint.unlink(missing_ok=True)
        return trained.adaptor

    def _beside(self, experiment: Experiment, steps: int, clock: int) -> list[Measured]:
        """The built-in adaptors, drawn once for all experiments of that kind of run."""
        key = (experiment.sampler, experiment.kept_blocks, experiment.schedule(clock), steps)
        if key not in self._built_in:
            made = ((name, make()) for name, make in BUILT_IN.items())
            self._built_in[key] = [self._measured(name, experiment, each, steps, clock) for name, each in made]
        return self._built_in[key]

    def _fewer_steps(self, sampler: str, steps: int, equal: float) -> list[Measured]:
        """Plain runs of the step counts around `equal`, which would cost the same, against the same pictures."""
        reference = self._uncached(sampler, steps)
        counts = [fewer for fewer in (int(equal), int(equal) + 1) if 2 <= fewer < steps]
        return [
            Measured(
                f"{fewer} steps",
                psnr(self._uncached(sampler, fewer).pictures, reference.pictures),
                float(self._evaluations(sampler, fewer)),
            )
            for fewer in counts
        ]

    def _measured(self, name: str, experiment: Experiment, adaptor: Any, steps: int, clock: int) -> Measured:
        studio = self._lessons.studio(experiment.sampler)
        config = ClockworkConfig(experiment.schedule(clock), experiment.kept_blocks, adaptor, WHOLE_RUN)
        drawn = studio.draw(attach(studio.model, config), self._cases, steps)
        spent, full = (
            sum(parts) for parts in zip(*(report.flops() or (0, 0) for report in drawn.reports), strict=True)
        )
        reference = self._uncached(experiment.sampler, steps)
        cost = self._evaluations(experiment.sampler, steps) * spent / full
        return Measured(name, psnr(drawn.pictures, reference.pictures), cost)

    def _uncached(self, sampler: str, steps: int) -> Drawn:
        if (sampler, steps) not in self._drawn:
            studio = self._lessons.studio(sampler)
            self._drawn[sampler, steps] = studio.draw(studio.model, self._cases, steps)
        return self._drawn[sampler, steps]

    def _evaluations(self, sampler: str, steps: int) -> int:
        """Of one run: most samplers make one for each step, some two for each but the last."""
        return steps if sampler in ("dpmpp_2m", "euler") else 2 * steps - 1


def lead_of(measured: Measured, fewer: list[Measured]) -> list[float] | None:
    """In dB, [mean, low, high]; fewer: the step counts around; None if one of them is out of the range."""
    if len(fewer) < 2:
        return None
    below, above = fewer
    share = (measured.cost - below.cost) / (above.cost - below.cost)
    equal = below.psnr + share * (above.psnr - below.psnr)
    return list(bootstrap((measured.psnr - equal).numpy()))
