"""Unrolls the teacher: whole runs of the host's own sampler, of which the adaptor evaluations become training pairs.

The teacher is the user's model as it is, with its LoRAs, patches, quantisation and offloading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...clockwork_core import host as core_host
from ...clockwork_core import tap
from ...clockwork_core.adaptor import Adaptor, Past, Present
from ...clockwork_core.cut import Cut, Geometry, Place, geometry_of, seam_of
from ...clockwork_core.passes import UNetCall, full_pass, high_res_pass
from ...clockwork_core.runtime import detach
from ...clockwork_core.schedule import Kind, ScheduleRun, Window
from ...clockwork_core.steps import log_snr, step_of
from . import host
from .pairs import Pair
from .point import OperatingPoint
from .prompts import Conditioning

KEY = "clockwork training"
WHOLE_RUN = Window(0.0, 1.0)


class TeacherError(ValueError):
    """The teacher's run is of a kind that no adaptor can be trained on; the message says why."""


@dataclass
class Stream:
    """What one side, cond or uncond, of one evaluation brought (B, …): arguments, both ends of the cut, output."""

    x: Tensor
    timesteps: Tensor
    context: Tensor | None
    y: Tensor | None
    r_out: Tensor
    r_in: Tensor
    output: Tensor


@dataclass
class Evaluated:
    """One evaluation of the teacher. streams: by the host's number of the side, 0 = cond, 1 = uncond."""

    sigma: float
    kind: Kind
    streams: dict[int, Stream] = field(default_factory=dict)

    @property
    def log_snr(self) -> float:
        return log_snr(self.sigma)

    def in_order(self) -> list[Stream]:
        """Cond, then uncond."""
        return [self.streams[side] for side in sorted(self.streams)]


# Called on each adaptor evaluation, with it and the past full ones, newest first; returns what to sample on with:
# an adaptor, or None for the teacher itself.
Policy = Callable[[Evaluated, Sequence[Evaluated]], "Adaptor | None"]


def follow_teacher(_now: Evaluated, _past: Sequence[Evaluated]) -> None:
    """The policy of unrolled distillation in the paper: the teacher alone draws the trajectory."""


class Teacher:
    """A model whose runs can be looked into.

    depth, remembers_r_in: what the pairs must hold of past full passes (see `Adaptor`).
    Raises ValueError if the model is no UNet of the host, is one for video, or cannot be cut there.
    """

    def __init__(self, model: core_host.ModelPatcher, kept_blocks: int, depth: int, remembers_r_in: bool) -> None:
        self.geometry: Geometry = geometry_of(model)
        unet: Any = core_host.diffusion_model_of(model)
        self.seam = seam_of(unet, kept_blocks)
        if unet.use_temporal_resblocks:
            raise ValueError("This is a video model, whose frames depend on each other: it cannot be a teacher yet.")
        self.cut = Cut(kept_blocks, Place.BEFORE_UPSAMPLE)
        self.depth = depth
        self.remembers_r_in = remembers_r_in
        # A model that carries Clockwork would teach what Clockwork made of it.
        self.model = detach(model)
        tap.install(self.model, self.geometry.blocks - kept_blocks - 1)
        self._unrolling: _Unrolling | None = None
        self.model.add_wrapper_with_key(core_host.WrappersMP.PREDICT_NOISE, KEY, self._predict_noise)
        self.model.add_wrapper_with_key(core_host.WrappersMP.DIFFUSION_MODEL, KEY, self._diffusion_model)

    def close(self) -> None:
        """Give the network back as the user's model has it, without the tap."""
        host.unload(self.model)

    def unroll(
        self,
        point: OperatingPoint,
        latent: Tensor,
        prompts: Sequence[Conditioning],
        negative: Conditioning,
        seeds: list[int],
        policy: Policy = follow_teacher,
        sample: Callable[..., Tensor] = host.sample,
    ) -> list[list[Pair]]:
        """Draw one picture for each prompt and seed; the pairs of each, in the order of the evaluations.

        latent: an empty one (1, C, H, W), or what `sample` wants for each picture (B, C, H, W).
        Raises TeacherError if no adaptor can be trained on such runs.
        """
        unrolling = _Unrolling(self, point, policy)
        self._run(unrolling, point, latent, prompts, negative, seeds, sample)
        return unrolling.pairs(len(seeds))

    def follow(
        self,
        point: OperatingPoint,
        latent: Tensor,
        prompts: Sequence[Conditioning],
        negative: Conditioning,
        seeds: list[int],
        policy: Policy,
    ) -> None:
        """Draw as `unroll` does, for a policy that sees for itself what it needs: no pairs pile up."""
        unrolling = _Unrolling(self, point, policy, keeps_pairs=False)
        self._run(unrolling, point, latent, prompts, negative, seeds, host.sample)

    def _run(
        self,
        unrolling: _Unrolling,
        point: OperatingPoint,
        latent: Tensor,
        prompts: Sequence[Conditioning],
        negative: Conditioning,
        seeds: list[int],
        sample: Callable[..., Tensor],
    ) -> None:
        self._unrolling = unrolling
        try:
            with torch.inference_mode(False), torch.no_grad():
                noise = host.noise_for(self.model, latent[:1], seeds)
                positive = Conditioning.stacked(prompts).for_host()
                sample(
                    self.model,
                    point,
                    noise,
                    latent.expand(len(seeds), -1, -1, -1).clone(),
                    positive,
                    negative.for_host(),
                    seeds[0],
                )
        finally:
            self._unrolling = None

    def _predict_noise(self, executor: core_host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps CFGGuider.predict_noise: one evaluation, once by the teacher, and again by the adaptor in force."""
        unrolling = self._unrolling
        if unrolling is None:
            return executor(*args, **kwargs)
        timestep = args[1] if len(args) > 1 else kwargs["timestep"]
        options = (args[2] if len(args) > 2 else kwargs.get("model_options", {})).get("transformer_options", {})
        unrolling.begin(float(timestep.max()), [float(sigma) for sigma in options["sample_sigmas"]])
        output = executor(*args, **kwargs)
        if unrolling.decide() is None:
            return output
        try:
            return executor(*args, **kwargs)
        finally:
            unrolling.student = None

    def _diffusion_model(self, executor: core_host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps UNetModel._forward."""

        def innermost(x, timesteps, context=None, y=None, control=None, transformer_options=None, **extra) -> Tensor:
            call = UNetCall(x, timesteps, context, y, control, transformer_options or {}, extra)
            if self._unrolling is None:
                return call.run(executor.original)
            if self._unrolling.student is None:
                return self._unrolling.full(executor.original, call)
            return self._unrolling.with_student(executor.class_obj, call)

        return core_host.execute_around(executor, innermost, *args, **kwargs)


class _Unrolling:
    """One run of the teacher, as it goes on."""

    def __init__(self, teacher: Teacher, point: OperatingPoint, policy: Policy, keeps_pairs: bool = True) -> None:
        self.student: Adaptor | None = None
        self._teacher = teacher
        self._policy = policy
        self._keeps_pairs = keeps_pairs
        self._schedule = ScheduleRun(point.schedule, WHOLE_RUN, point.steps)
        self._past: list[Evaluated] = []
        self._now: Evaluated | None = None
        self._pairs: list[list[Pair]] = []

    def begin(self, sigma: float, sigmas: list[float]) -> None:
        """An evaluation begins; the schedule ticks."""
        self._finish()
        self._now = Evaluated(sigma, self._schedule.next(step_of(sigma, sigmas)))

    def decide(self) -> Adaptor | None:
        """After the teacher's pass: who samples on."""
        assert self._now is not None
        if self._now.kind is Kind.ADAPTOR:
            if any(each.streams.keys() != self._now.streams.keys() for each in self._past):
                raise TeacherError("Guidance is switched on or off during the run, which cannot be trained on.")
            self.student = self._policy(self._now, self._past)
        return self.student

    def full(self, forward: Callable[..., Tensor], call: UNetCall) -> Tensor:
        """The teacher's pass of some streams, and what it shows."""
        sides = _sides_of(call)
        teacher, cut = self._teacher, self._teacher.cut
        first_kept = teacher.geometry.blocks - cut.kept_blocks
        output, captured = full_pass(forward, call, first_kept, len(sides), cut.place, cut.kept_blocks)
        assert captured is not None, "the tap is installed"
        assert captured.r_in is not None, "r_in was wanted"
        assert self._now is not None
        for index, side in enumerate(sides):
            if side in self._now.streams:
                raise TeacherError(
                    "The teacher's run evaluates several conditionings on one side, as areas, masks and combined "
                    "prompts do; train on plain prompts."
                )
            self._now.streams[side] = Stream(
                x=_part(call.x, index, len(sides)),
                timesteps=_part(call.timesteps, index, len(sides)),
                context=None if call.context is None else _part(call.context, index, len(sides)),
                y=None if call.y is None else _part(call.y, index, len(sides)),
                r_out=captured.r_out[index],
                r_in=captured.r_in[index],
                output=_part(output, index, len(sides)),
            )
        return output

    def with_student(self, unet: Any, call: UNetCall) -> Tensor:
        """The pass that the sampler goes on with."""
        sides, student, now = _sides_of(call), self.student, self._now
        assert student is not None
        assert now is not None

        def stand_in(r_in: Tensor | None, emb: Tensor) -> Tensor:
            past = [
                Past(
                    (each.log_snr,) * len(sides),
                    torch.cat([each.streams[side].r_out for side in sides]),
                    torch.cat([each.streams[side].r_in for side in sides]) if student.remembers_r_in else None,
                )
                for each in self._past[: student.depth]
            ]
            return student.predict(past, Present(r_in, emb, call.context, now.log_snr))

        return high_res_pass(unet, self._teacher.geometry, self._teacher.cut, call, stand_in)

    def pairs(self, batch: int) -> list[list[Pair]]:
        """All pairs of the run that has ended, of each sample."""
        self._finish()
        if not self._pairs:
            raise TeacherError("The sampler made no evaluation on which an adaptor would act: use more steps.")
        return [list(of_sample) for of_sample in zip(*self._pairs, strict=True)][:batch]

    def _finish(self) -> None:
        """Keep of the evaluation that has ended what later ones, or the training, need."""
        now, self._now = self._now, None
        if now is None:
            return
        if now.kind is Kind.FULL:
            self._past = [now, *self._past][: self._teacher.depth]
        elif self._keeps_pairs:
            self._pairs.append(self._pairs_of(now))

    def _pairs_of(self, now: Evaluated) -> list[Pair]:
        """A pair for each sample (B) of an evaluation."""
        teacher = self._teacher
        batch = len(now.in_order()[0].x)
        return [pair_of(now, self._past, sample, teacher.depth, teacher.remembers_r_in) for sample in range(batch)]


def pair_of(now: Evaluated, past: Sequence[Evaluated], sample: int, depth: int, with_r_ins: bool) -> Pair:
    """One sample of an evaluation, in memory of its own; where fewer than `depth` passes are past, the oldest again."""
    past = [*past[:depth], *[past[-1]] * (depth - len(past))]

    def sides(name: str, evaluated: Evaluated = now) -> Any:
        """One sample's (S, …)."""
        parts = [getattr(stream, name) for stream in evaluated.in_order()]
        return None if parts[0] is None else _stack_repeated([part[sample] for part in parts]).cpu()

    return Pair(
        x=sides("x"),
        timesteps=sides("timesteps"),
        sigma=torch.tensor([now.sigma]),
        context=sides("context"),
        y=sides("y"),
        r_outs=torch.stack([sides("r_out", each) for each in past]),
        r_ins=torch.stack([sides("r_in", each) for each in past]) if with_r_ins else None,
        gaps=torch.tensor([now.log_snr - each.log_snr for each in past]),
        r_out=sides("r_out"),
        output=sides("output"),
        identity_errors=torch.zeros(3),
    )


def _sides_of(call: UNetCall) -> list[int]:
    """Which side, 0 = cond, 1 = uncond, each equal slice of the batch is of."""
    if call.control is not None:
        raise TeacherError("The teacher's run has a ControlNet; train on prompts without one.")
    sides = call.transformer_options.get("cond_or_uncond")
    if not sides or call.x.shape[0] % len(sides):
        raise TeacherError("The teacher's run does not tell cond from uncond, which cannot be trained on.")
    return list(sides)


def _part(tensor: Tensor, index: int, parts: int) -> Tensor:
    return tensor.chunk(parts)[index].clone()


def _stack_repeated(parts: list[Tensor]) -> Tensor:
    """Stack; prompts of different lengths (tokens, width) are repeated to a common one."""
    if len({part.shape for part in parts}) == 1:
        return torch.stack(parts)
    length = torch.tensor([part.shape[0] for part in parts])
    common = int(torch.lcm(length[0], length[1]))
    return torch.stack([part.repeat(common // part.shape[0], 1) for part in parts])
