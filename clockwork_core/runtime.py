"""The run: from the sampler's start to its end, one tick per evaluation, full or high-res pass at each UNet call.

Everything hangs on three wrappers that the host calls for a patched model:

    OUTER_SAMPLE     begins a run, and ends it whatever happens
    PREDICT_NOISE    one evaluation: the schedule ticks once
    DIFFUSION_MODEL  one call of the UNet: act

The engine that owns the wrappers never changes; all that changes belongs to a `Run`, which ends with its run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

from torch import Tensor

from . import host
from .act import UNetAct
from .adaptor import Adaptor
from .cost import CallShape
from .cut import Cut, Geometry, Place, geometry_of, require_kept_blocks
from .passes import UNetCall
from .report import ReportHistory, RunReport, digest_of
from .run import Run
from .schedule import Kind, Schedule, Window

KEY = "clockwork"
UNNAMED_STREAMS = "the host did not name the conditionings in the batch"


@dataclass(frozen=True)
class ClockworkConfig:
    """What the user asked for; shared by all runs of a patched model.

    kept_blocks: output blocks of the high-res part.
    """

    schedule: Schedule
    kept_blocks: int
    adaptor: Adaptor
    window: Window


def attach(model: host.ModelPatcher, config: ClockworkConfig) -> host.ModelPatcher:
    """A clone of `model` that samples by `config`; the clone replaces an earlier Clockwork on `model`.

    Raises ValueError if the model is no UNet of the host, or the cut does not fit it.
    """
    geometry = geometry_of(model)
    require_kept_blocks(geometry, config.kept_blocks)
    if config.adaptor.place is not Place.AFTER_UPSAMPLE:
        raise ValueError(
            f"The adaptor {config.adaptor.name!r} works {config.adaptor.place.value}, "
            f"but this version of Clockwork runs only adaptors that work {Place.AFTER_UPSAMPLE.value}."
        )
    patched = detach(model)
    engine = Engine(config, geometry)
    patched.add_wrapper_with_key(host.WrappersMP.OUTER_SAMPLE, KEY, engine.outer_sample)
    patched.add_wrapper_with_key(host.WrappersMP.PREDICT_NOISE, KEY, engine.predict_noise)
    patched.add_wrapper_with_key(host.WrappersMP.DIFFUSION_MODEL, KEY, engine.diffusion_model)
    patched.set_attachments(KEY, engine.reports)
    return patched


def detach(model: host.ModelPatcher) -> host.ModelPatcher:
    """A clone of `model` without Clockwork."""
    plain = model.clone()
    for kind in (
        host.WrappersMP.OUTER_SAMPLE,
        host.WrappersMP.PREDICT_NOISE,
        host.WrappersMP.DIFFUSION_MODEL,
    ):
        plain.remove_wrappers_with_key(kind, KEY)
    plain.remove_attachments(KEY)
    return plain


def reports_of(model: host.ModelPatcher) -> ReportHistory | None:
    """The reports of a patched model's runs, or None if it has no Clockwork."""
    return model.get_attachment(KEY)


class Engine:
    """The wrappers of one patched model."""

    def __init__(self, config: ClockworkConfig, geometry: Geometry) -> None:
        self.config = config
        self.geometry = geometry
        self.cut = Cut(config.kept_blocks, config.adaptor.place)
        self.reports = ReportHistory()

    def outer_sample(self, executor: host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps CFGGuider.outer_sample(noise, latent_image, sampler, sigmas, …): one run."""
        guider = executor.class_obj
        sigmas = args[3] if len(args) > 3 else kwargs["sigmas"]
        run = self._new_run(guider, [float(sigma) for sigma in sigmas])
        run.latent_size = (args[0] if args else kwargs["noise"]).numel()
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

    def predict_noise(self, executor: host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps CFGGuider.predict_noise(x, timestep, model_options, seed): one evaluation."""
        x = args[0] if args else kwargs["x"]
        timestep = args[1] if len(args) > 1 else kwargs["timestep"]
        model_options = args[2] if len(args) > 2 else kwargs.get("model_options", {})
        run: Run | None = model_options.get("transformer_options", {}).get(KEY)
        if run is not None:
            # Samplers read their sigmas back each step anyway, so this costs a GPU no extra wait.
            run.begin_evaluation(float(timestep.max()), x.numel())
        return executor(*args, **kwargs)

    def diffusion_model(self, executor: host.WrapperExecutor, *args, **kwargs) -> Tensor:
        """Wraps UNetModel._forward: one call of the UNet, which may hold several streams."""

        def innermost(x, timesteps, context=None, y=None, control=None, transformer_options=None, **extra) -> Tensor:
            call = UNetCall(x, timesteps, context, y, control, transformer_options or {}, extra)
            return self._act(executor.class_obj, executor.original, call)

        return host.execute_around(executor, innermost, *args, **kwargs)

    def _act(self, unet: object, forward: Callable[..., Tensor], call: UNetCall) -> Tensor:
        run: Run | None = call.transformer_options.get(KEY)
        if run is None or run.evaluation is None or not self._fits(unet):
            return call.run(forward)
        streams = run.streams_of(call)
        if streams is None or self.config.schedule.always_full():
            run.record(Kind.FULL, CallShape.of(call), UNNAMED_STREAMS)
            return call.run(forward)
        act = UNetAct(run, run.evaluation, self.cut, self.geometry, self.config.adaptor, unet, forward, call, streams)
        return act.output()

    def _fits(self, unet: object) -> TypeGuard[host.UNetModel]:
        """Guiders may evaluate a second model with the first one's options; that one is left alone."""
        return isinstance(unet, host.UNetModel) and Geometry.of(unet) == self.geometry

    def _new_run(self, guider, sigmas: list[float]) -> Run:
        report = self._new_report(guider.model_patcher.model, len(sigmas) - 1)
        config = self.config
        return Run(config.schedule, config.window, sigmas, config.adaptor.depth, report)

    def _new_report(self, base_model, steps: int) -> RunReport:
        return RunReport(
            model_class=type(base_model).__name__,
            unet_config=base_model.model_config.unet_config,
            cut=self.cut,
            blocks=self.geometry.blocks,
            schedule=self.config.schedule.describe(),
            adaptor=self.config.adaptor.name,
            steps=steps,
        )
