"""What a run holds at SDXL's true geometry: 1024 x 1024, batch 1 with CFG, fp16, identity at stage 1.

The UNet is on torch's meta device: all tensors have their true shapes and dtypes, none has values. Counted are the
storages that the real engine keeps alive there, by torch's own lifetimes, not by what the trace says of itself.
"""

from __future__ import annotations

import comfy.ops
import comfy.supported_models
import pytest
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.patcher_extension import WrappersMP
from live_bytes import LiveBytes
from make_checkpoint import _SDXL_UNET

from clockwork_pack.adaptors import Identity
from clockwork_pack.clockwork_core.cut import Cut, Geometry
from clockwork_pack.clockwork_core.report import RunReport
from clockwork_pack.clockwork_core.run import Run
from clockwork_pack.clockwork_core.runtime import KEY, ClockworkConfig, Engine
from clockwork_pack.clockwork_core.schedule import EveryN, FullSteps, Window

SIGMAS = [14.6, 6.0, 2.0, 0.0]
# 640 channels at 128 x 128 in two bytes, for cond and uncond.
TRACE_BYTES = 2 * 640 * 128 * 128 * 2
MOST_BYTES = 50e6


@pytest.fixture(scope="module")
def unet():
    config = comfy.supported_models.SDXL(dict(_SDXL_UNET)).unet_config
    return UNetModel(**config, dtype=torch.float16, device="meta", operations=comfy.ops.disable_weight_init)


class MetaRun:
    """One run of the engine on a meta UNet, an evaluation at a time."""

    def __init__(self, unet, schedule):
        self.unet = unet
        geometry = Geometry.of(unet)
        config = ClockworkConfig(schedule, 3, Identity(), Window())
        self.engine = Engine(config, geometry)
        report = RunReport("SDXL", _SDXL_UNET, Cut(3), geometry.blocks, "", "", len(SIGMAS) - 1)
        self.run = Run(config.schedule, config.window, SIGMAS, config.adaptor.depth, report)

    def evaluate(self, sigma):
        with self.run.evaluating(sigma):
            call_unet(self.unet, {KEY: self.run, "wrappers": self._wrappers()})

    def _wrappers(self):
        return {WrappersMP.DIFFUSION_MODEL: {KEY: [self.engine.diffusion_model]}}


def call_unet(unet, options):
    """The UNet as the host calls it for cond and uncond of a 1024 x 1024 picture."""

    def empty(*shape):
        return torch.empty(shape, dtype=torch.float16, device="meta")

    options = {"uuids": ["a", "b"], "cond_or_uncond": [0, 1], **options}
    unet(empty(2, 4, 128, 128), empty(2), empty(2, 77, 2048), empty(2, 2816), transformer_options=options)


def test_at_most_50_mb_between_evaluations_and_nothing_after_the_run(unet):
    run = MetaRun(unet, EveryN(2))
    with torch.inference_mode(), LiveBytes() as live:
        for sigma in SIGMAS[:-1]:
            run.evaluate(sigma)
            assert live.now == TRACE_BYTES
            assert run.run.trace.size_bytes == live.now
        run.run.end()
        assert live.now == 0
    assert run.run.report.peak_bytes == TRACE_BYTES <= MOST_BYTES
    assert [e.kind.value for e in run.run.report.evaluations] == ["full", "adaptor", "full"]


def test_a_full_pass_needs_no_more_memory_than_the_hosts_own(unet):
    """At its worst moment, inside the low-res part: the old features are gone by then, the new ones not yet there."""
    run = MetaRun(unet, FullSteps(frozenset({0, 1})))
    with torch.inference_mode(), LiveBytes() as live:
        call_unet(unet, {})
        host_peak = live.peak
        assert live.now == 0
        peaks = []
        for sigma in SIGMAS[:2]:
            live.start_peak()
            run.evaluate(sigma)
            peaks.append(live.peak)
    assert [e.kind.value for e in run.run.report.evaluations] == ["full"] * 2
    assert peaks == [host_peak] * 2
