"""Closed form: a linear map for each adaptor evaluation, by ridge regression, while the sampler runs.

At each adaptor evaluation the teacher shows what r_out ought to be. There the map is fitted, on all pictures at once,
and the sampler goes on with it; so the maps that follow are fitted on what the adaptor will really see.

Under classifier-free guidance g the error that counts is g * e_cond - (g - 1) * e_uncond (see `losses`). A linear map
that both sides share commutes with guidance, so what is fitted is the guided change of r_out to the guided features
(see `samples`). How strongly the map is held to zero, which is the identity, is
chosen on pictures that it was not fitted on, by the error of the guided output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...clockwork_core.checks import require_number, require_whole_number, shown
from ...clockwork_core.cut import Geometry, Seam
from ...clockwork_core.host import ModelPatcher
from ...clockwork_core.schedule import Kind
from ...clockwork_core.schedule import plan as kinds_of
from ..affine import AffineConfig
from ..description import Description, TrainedFor
from ..inputs import Features
from ..learned import LearnedAdaptor, untrained
from . import host
from .high_res import HighResPart
from .least_squares import NormalEquations, Solution
from .losses import guided
from .maps import Map, Quality
from .pairs import Batch
from .point import OperatingPoint, trained_for
from .prompts import Conditioning
from .samples import INPUTS, Samples, Scales, samples_of
from .settings import GIGABYTE, LARGEST_SEED
from .teacher import WHOLE_RUN, Evaluated, Teacher, TeacherError, pair_of

# Every fourth picture is held out.
HELD_OUT_EVERY = 4
FEWEST_PICTURES = HELD_OUT_EVERY
MOST_PICTURES = 1024
# Evaluations at one lambda, such as the two that Heun's method makes at one sigma, share a map.
LAMBDA_DIGITS = 4
# How many pictures go through the high-res part at once.
CHUNK = 4
GUIDED_STREAMS = 2


@dataclass(frozen=True)
class FitPlan:
    """What to fit on. model: the teacher, as the user samples with it; a Clockwork on it is taken off.

    latent: an empty one (1, C, H, W) of the size to fit at. pictures: how many to draw, of the prompts in turn.
    memory_bytes: for what is drawn at once; less memory means more runs of the sampler, each of which refines all maps.
    guided: whether what guidance makes of cond and uncond is fitted; False for both by themselves, for comparison.
    Raises ValueError, naming the bad value and the valid ones.
    """

    model: ModelPatcher
    prompts: Sequence[Conditioning]
    negative: Conditioning
    latent: Tensor
    point: OperatingPoint
    kept_blocks: int
    pictures: int = 32
    seed: int = 0
    memory_bytes: float = 4 * GIGABYTE
    guided: bool = True

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("There are no prompts: give at least one, a line each.")
        if self.latent.ndim != 4:
            raise ValueError(f"latent has the shape {tuple(self.latent.shape)}, but must be one of pictures.")
        require_whole_number("pictures", self.pictures)
        require_whole_number("seed", self.seed)
        if not FEWEST_PICTURES <= self.pictures <= MOST_PICTURES:
            raise ValueError(
                f"pictures is {shown(self.pictures)}, but must lie between {FEWEST_PICTURES} and {MOST_PICTURES}."
            )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"seed is {shown(self.seed)}, but must lie between 0 and {LARGEST_SEED}.")
        require_number("memory_limit", self.memory_bytes)
        host.require_known(self.point)


@dataclass(frozen=True)
class Fitted:
    """What came out. qualities: of each map, in the order of the run. runs: how many the sampler made."""

    adaptor: LearnedAdaptor
    qualities: list[Quality]
    pictures: int
    runs: int

    def lines(self) -> list[str]:
        """For people to read."""
        runs = "one run" if self.runs == 1 else f"{self.runs} runs"
        return [
            f"Fitted on {self.pictures} pictures in {runs} of the sampler.",
            "Mean squared errors on pictures held out, as shares of the identity's:",
            *(quality.line() for quality in self.qualities),
        ]


def fit(plan: FitPlan, report: Callable[[int, int], None] = lambda _done, _total: None) -> Fitted:
    """Fit an adaptor of the architecture "affine".

    report: called after each adaptor evaluation with how many are done, of about how many; what it raises, to stop
    the fit, comes out of here.
    Raises ValueError if the plan does not fit the model, or no adaptor can be fitted on such runs.
    """
    with torch.inference_mode(False), torch.no_grad():
        fitting = _Fit(plan, report)
        try:
            return fitting.run()
        finally:
            fitting.close()


def adaptor_of(
    solutions: dict[float, Solution],
    scales: Scales,
    seam: Seam,
    trained_for: TrainedFor | None = None,
    loss: float | None = None,
) -> LearnedAdaptor:
    """An adaptor with a solution for each lambda, in scaled features."""
    config = AffineConfig.of(len(solutions))
    adaptor = untrained(Description("affine", config, seam, trained_for, loss))
    weights = {
        "r_in_scale": torch.tensor([scales.r_in]),
        "r_out_scale": torch.tensor([scales.r_out]),
        # Changes are fitted in the unit of the features, at each noise level.
        "change_size": torch.tensor([-math.log(scales.r_out), 0.0, 0.0, 0.0]),
        "log_snr": torch.tensor(list(solutions)),
        "weight": torch.stack([solution.weight for solution in solutions.values()]),
        "bias": torch.stack([solution.bias for solution in solutions.values()]),
    }
    adaptor.network.load_state_dict(weights)
    return adaptor


class _Fit:
    def __init__(self, plan: FitPlan, report: Callable[[int, int], None]) -> None:
        self._plan = plan
        self._report = report
        self._teacher = Teacher(plan.model, plan.kept_blocks, INPUTS.past, remembers_r_in=True)
        self._seam = self._teacher.seam
        self._at_once = self._pictures_at_once()
        self._device = host.load([self._teacher.model])
        self._high_res = HighResPart(self._teacher.model, plan.kept_blocks)
        self._maps: dict[float, Map] = {}
        self._scales: Scales | None = None
        self._done = 0

    def run(self) -> Fitted:
        plan = self._plan
        starts = range(0, plan.pictures, self._at_once)
        for start in starts:
            numbers = range(start, min(start + self._at_once, plan.pictures))
            prompts = [plan.prompts[number % len(plan.prompts)] for number in numbers]
            seeds = [plan.seed + number for number in numbers]

            def refine(now: Evaluated, past: Sequence[Evaluated], numbers: range = numbers) -> LearnedAdaptor:
                return self._refine(numbers, now, past, len(starts))

            self._teacher.follow(plan.point, plan.latent, prompts, plan.negative, seeds, refine)
        if self._scales is None:
            raise TeacherError("The sampler made no evaluation on which an adaptor would act: use more steps.")
        return self._result(self._scales, len(starts))

    def close(self) -> None:
        """Give the user's network back as it was."""
        self._teacher.close()

    def _refine(self, numbers: range, now: Evaluated, past: Sequence[Evaluated], runs: int) -> LearnedAdaptor:
        """Fit the map of this evaluation on these pictures, and on those of earlier runs; sample on with it."""
        host.interrupted()
        log_snr = round(now.log_snr, LAMBDA_DIGITS)
        own = self._maps.setdefault(log_snr, Map(now.sigma, INPUTS.channels(self._seam), self._seam.r_out))
        held_out = [sample for sample, number in enumerate(numbers) if number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1]
        learned = [sample for sample in range(len(numbers)) if sample not in held_out]
        for batch in self._batches(learned, now, past):
            features, _ = self._high_res.enter(batch)
            own.learned.add(*self._samples(batch, features))
        self._compare(own, log_snr, held_out, now, past)
        self._done += 1
        self._report(self._done, max(self._done, runs * _adaptor_evaluations(self._plan)))
        assert self._scales is not None
        return adaptor_of({log_snr: own.solution()}, self._scales, self._seam)

    def _compare(
        self, own: Map, log_snr: float, held_out: list[int], now: Evaluated, past: Sequence[Evaluated]
    ) -> None:
        """Try each strength on the pictures held out, then learn from these too."""
        students: dict[float, LearnedAdaptor] = {}
        for batch in self._batches(held_out, now, past):
            features, skips = self._high_res.enter(batch)
            own.held_out.add(*self._samples(batch, features))
            assert self._scales is not None
            assert batch.r_out is not None
            students = students or {
                strength: adaptor_of({log_snr: solution}, self._scales, self._seam)
                for strength, solution in own.candidates().items()
            }
            for strength, student in students.items():
                r_out = student.r_out(features)
                output = self._high_res.leave(batch, features, skips, r_out)
                errors = [
                    guided(error, batch.streams, self._plan.point.cfg)
                    for error in (output - batch.output, r_out - batch.r_out)
                ]
                own.add_error(strength, *errors)

    def _samples(self, batch: Batch, features: Features) -> Samples:
        self._scales = self._scales or Scales.of(features)
        return samples_of(batch, features, self._scales, self._plan.point.cfg if self._plan.guided else None)

    def _batches(self, samples: list[int], now: Evaluated, past: Sequence[Evaluated]) -> Iterator[Batch]:
        for start in range(0, len(samples), CHUNK):
            chunk = samples[start : start + CHUNK]
            yield Batch.of([pair_of(now, past, sample, INPUTS.past, True) for sample in chunk], self._device)

    def _result(self, scales: Scales, runs: int) -> Fitted:
        plan = self._plan
        solutions = {log_snr: own.solution() for log_snr, own in self._maps.items()}
        qualities = [own.quality() for own in self._maps.values()]
        loss = sum(quality.output for quality in qualities) / len(qualities)
        adaptor = adaptor_of(solutions, scales, self._seam, trained_for([plan.point], len(plan.prompts)), loss)
        return Fitted(adaptor, qualities, plan.pictures, runs)

    def _pictures_at_once(self) -> int:
        """As many as the memory allows. Raises ValueError, naming what is needed, if that is not even one."""
        plan = self._plan
        sums, picture = memory_needed(plan, self._teacher.geometry, self._seam)
        if not plan.memory_bytes >= sums + picture:
            raise ValueError(
                f"memory_limit is {plan.memory_bytes / GIGABYTE:.2g} GB, but this fit needs "
                f"{(sums + picture) / GIGABYTE:.2g} GB: allow more, or fit to fewer steps or smaller pictures."
            )
        return int(min(plan.pictures, (plan.memory_bytes - sums) // picture))


def memory_needed(plan: FitPlan, geometry: Geometry, seam: Seam) -> tuple[int, int]:
    """Bytes: the sums of all maps, and what each picture that is drawn at once adds: its features and the sampling."""
    height, width = plan.latent.shape[2:]
    shrinking = 2 ** sum(1 for block in geometry.downsamples if block <= plan.kept_blocks)
    places = -(-height // shrinking) * -(-width // shrinking)
    features = 4 * GUIDED_STREAMS * (INPUTS.past + 1) * (seam.r_in + seam.r_out) * places
    sampling = plan.model.memory_required([GUIDED_STREAMS, *plan.latent.shape[1:]])
    sums = 2 * _adaptor_evaluations(plan) * NormalEquations.size_bytes(INPUTS.channels(seam), seam.r_out)
    return sums, int(features + sampling)


def _adaptor_evaluations(plan: FitPlan) -> int:
    """Of one run, if its sampler makes one evaluation per step."""
    return kinds_of(plan.point.schedule, WHOLE_RUN, plan.point.steps).count(Kind.ADAPTOR)
