"""The run: from the sampler's start to its end, one tick per evaluation, full or high-res pass at each UNet call.

Everything hangs on four wrappers that the host calls for a patched model:

    OUTER_SAMPLE     begins a run, and ends it whatever happens
    PREDICT_NOISE    one evaluation: the schedule ticks once
    CALC_COND_BATCH  a set of conditionings with their ControlNets; when it fails it may be tried again
    DIFFUSION_MODEL  one call of the UNet: act

The engine that owns the wrappers never changes; all that changes belongs to a `Run`, which ends with its run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

from . import host, tap
from .act import UNetAct
from .adaptor import Adaptor, RunConditions
from .checks import require_switch, shown
from .compile import pass_parts
from .contract import breach
from .control import ControlMemory
from .cost import CallShape
from .cut import Cut, Geometry, Place, geometry_of, require_kept_blocks, require_model, seam_of
from .observer import Observer, tell
from .passes import UNetCall
from .report import ReportHistory, RunReport, digest_of
from .run import Run
from .schedule import Kind, Schedule, Window

KEY = "clockwork"
UNNAMED_STREAMS = "the host did not name the conditionings in the batch"


@dataclass(frozen=True)
class ClockworkConfig:
    """What the user asked for; shared by all runs of a patched model.

    kept_blocks: output blocks of the high-res part. reuse_control: whether ControlNets rest on adaptor evaluations.
    Raises ValueError, naming the value, if one is of another type.
    """

    schedule: Schedule
    kept_blocks: int
    adaptor: Adaptor
    window: Window
    reuse_control: bool = True

    def __post_init__(self) -> None:
        require_switch("reuse_control", self.reuse_control)
        for name, kind in (("schedule", Schedule), ("adaptor", Adaptor)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ValueError(f"{name} is {shown(value)}, but must come from a Clockwork node that gives one out.")


def attach(model: host.ModelPatcher, config: ClockworkConfig, observer: Observer | None = None) -> host.ModelPatcher:
    """A clone of `model` that samples by `config`; the clone replaces an earlier Clockwork on `model`.

    observer: told of each run.
    Raises ValueError if the model is no UNet of the host, or the cut does not fit it.
    """
    geometry = geometry_of(model)
    require_kept_blocks(geometry, config.kept_blocks)
    before_upsample = config.adaptor.place is Place.BEFORE_UPSAMPLE
    if before_upsample:
        config.adaptor.require_fit(seam_of(host.diffusion_model_of(model), config.kept_blocks))
    patched = detach(model)
    engine = Engine(config, geometry, observer or Observer())
    for kind, wrapper in engine.wrappers().items():
        patched.add_wrapper_with_key(kind, KEY, wrapper)
    patched.set_attachments(KEY, engine)
    if config.adaptor.models():
        patched.set_additional_models(KEY, config.adaptor.models())
    if before_upsample:
        tap.install(patched, geometry.blocks - config.kept_blocks - 1)
    return patched


def detach(model: host.ModelPatcher) -> host.ModelPatcher:
    """A clone of `model` without Clockwork."""
    plain = model.clone()
    for kind in host.USED_WRAPPERS:
        plain.remove_wrappers_with_key(kind, KEY)
    plain.remove_attachments(KEY)
    plain.remove_additional_models(KEY)
    tap.remove(plain)
    return plain


def reports_of(model: host.ModelPatcher) -> ReportHistory | None:
    """The reports of a patched model's runs, or None if it has no Clockwork.

    Raises ValueError if `model` is no MODEL.
    """
    engine = _engine_of(model)
    return None if engine is None else engine.reports


def config_of(model: host.ModelPatcher) -> ClockworkConfig | None:
    """What a model was patched with, to patch another like it; None if it has no Clockwork.

    Raises ValueError if `model` is no MODEL.
    """
    engine = _engine_of(model)
    return None if engine is None else engine.config


def _engine_of(model: host.ModelPatcher) -> Engine | None:
    require_model(model)
    return model.get_attachment(KEY)


class Engine:
    """The wrappers of one patched model."""

    def __init__(self, config: ClockworkConfig, geometry: Geometry, observer: Observer) -> None:
        self.config = config
        self.geometry = geometry
        self.observer = observer
        self.cut = Cut(config.kept_blocks, config.adaptor.place)
        self.reports = ReportHistory()

    def wrappers(self) -> dict[str, Callable]:
        """What to add to a ModelPatcher, by the host's name of the place."""
        return {
            host.WrappersMP.OUTER_SAMPLE: self.outer_sample,
            host.WrappersMP.PREDICT_NOISE: self.predict_noise,
            host.WrappersMP.CALC_COND_BATCH: self.calc_cond_batch,
            # In a compiled UNet, torch must step over what changes from one evaluation to the next (see `compile`).
            host.WrappersMP.DIFFUSION_MODEL: torch.compiler.disable(self.diffusion_model),
        }

    def outer_sample(self, executor: host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps CFGGuider.outer_sample(noise, latent_image, sampler, sigmas, …): one run."""
        guider = executor.class_obj
        sampler = args[2] if len(args) > 2 else kwargs["sampler"]
        sigmas = args[3] if len(args) > 3 else kwargs["sigmas"]
        latent_size = (args[0] if args else kwargs["noise"]).numel()
        run = self._new_run(guider, sampler, [float(sigma) for sigma in sigmas], latent_size)
        tell(self.observer.begun, run.report)
        try:
            with host.run_value(guider, KEY, run):
                output = executor(*args, **kwargs)
            run.report.latent_digest = digest_of(output)
            run.report.finished = True
            return output
        finally:
            run.end()
            self.reports.add(run.report)
            logging.info("[Clockwork] %s", run.report.headline())
            tell(self.observer.ended, run.report)

    def predict_noise(self, executor: host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps CFGGuider.predict_noise(x, timestep, model_options, seed): one evaluation."""
        x = args[0] if args else kwargs["x"]
        timestep = args[1] if len(args) > 1 else kwargs["timestep"]
        model_options = args[2] if len(args) > 2 else kwargs.get("model_options", {})
        run = _run_in(model_options)
        if run is None:
            return executor(*args, **kwargs)
        # Samplers read their sigmas back each step anyway, so this costs a GPU no extra wait.
        with run.evaluating(float(timestep.max()), x.numel()):
            output = executor(*args, **kwargs)
        tell(self.observer.evaluated, run.report)
        return output

    def calc_cond_batch(self, executor: host.WrapperExecutor, *args, **kwargs) -> list[Tensor]:
        """Wraps calc_cond_batch(model, conds, x, timestep, model_options): all UNet calls for some conditionings."""
        run = _run_in(args[4] if len(args) > 4 else kwargs.get("model_options", {}))
        if run is None or run.evaluation is None:
            return executor(*args, **kwargs)

        def innermost(model, conds, *args, **kwargs) -> list[Tensor]:
            with run.attempting():
                return executor.original(model, run.with_resting_controls(conds), *args, **kwargs)

        return host.execute_around(executor, innermost, *args, **kwargs)

    def diffusion_model(self, executor: host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps UNetModel._forward: one call of the UNet, which may hold several streams."""

        def innermost(x, timesteps, context=None, y=None, control=None, transformer_options=None, **extra) -> Tensor:
            call = UNetCall(x, timesteps, context, y, control, transformer_options or {}, extra)
            return self._act(executor.class_obj, executor.original, call)

        return host.execute_around(executor, innermost, *args, **kwargs)

    def _act(self, unet: object, forward: Callable[..., Tensor], call: UNetCall) -> Tensor:
        run: Run | None = call.transformer_options.get(KEY)
        if run is None or run.evaluation is None or not self._fits(unet):
            return call.with_whole_control().run(forward)
        parts = pass_parts(run.compile_settings())
        with run.attempting():
            streams = run.streams_of(call)
            if streams is None or breach() is not None or self.config.schedule.always_full():
                output = parts.forward(call.with_whole_control(), forward)
                run.record(Kind.FULL, CallShape.of(call), breach() or UNNAMED_STREAMS)
                return output
            adaptor = self.config.adaptor
            act = UNetAct(run, run.evaluation, self.cut, self.geometry, adaptor, unet, forward, parts, call, streams)
            return act.output()

    def _fits(self, unet: object) -> TypeGuard[host.UNetModel]:
        """Guiders may evaluate a second model with the first one's options; that one is left alone."""
        return isinstance(unet, host.UNetModel) and Geometry.of(unet) == self.geometry

    def _new_run(self, guider, sampler, sigmas: list[float], latent_size: int) -> Run:
        config = self.config
        report = self._new_report(guider.model_patcher.model, len(sigmas) - 1)
        report.warnings = config.adaptor.warnings(self._conditions(guider, sampler, report.steps))
        for warning in report.warnings:
            logging.warning("[Clockwork] %s", warning)
        return Run(
            config.schedule,
            config.window,
            sigmas,
            config.adaptor.depth,
            report,
            latent_size,
            ControlMemory(self.cut, self.geometry.blocks) if config.reuse_control else None,
            lambda: host.compile_settings(guider),
        )

    def _conditions(self, guider, sampler, steps: int) -> RunConditions:
        return RunConditions(
            sampler=host.sampler_name(sampler),
            steps=steps,
            cfg=getattr(guider, "cfg", None),
            schedule=self.config.schedule.describe(),
        )

    def _new_report(self, base_model, steps: int) -> RunReport:
        return RunReport(
            model_class=type(base_model).__name__,
            unet_config=base_model.model_config.unet_config,
            cut=self.cut,
            blocks=self.geometry.blocks,
            schedule=self.config.schedule.describe(),
            adaptor=self.config.adaptor.name,
            steps=steps,
            adaptor_flops=self.config.adaptor.flops,
        )


def _run_in(model_options: dict) -> Run | None:
    """The run that the options belong to, if any."""
    return model_options.get("transformer_options", {}).get(KEY)
