"""What a run holds at SDXL's true geometry: 1024 x 1024, batch 1 with CFG, fp16, identity at stage 1.

The UNet is on torch's meta device: all tensors have their true shapes and dtypes, none has values. Counted are the
storages that the real engine keeps alive there, by torch's own lifetimes, not by what the trace says of itself.
"""

from __future__ import annotations

import comfy.model_patcher
import comfy.samplers
import comfy.supported_models
import pytest
import torch
from clockwork import kinds, last_report, with_clockwork
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from live_bytes import LiveBytes
from make_checkpoint import _SDXL_UNET

from clockwork_pack.clockwork_core.schedule import ExplicitList

CPU = torch.device("cpu")
SIGMAS = torch.tensor([14.6, 6.0, 2.0, 0.0])
LATENT = torch.zeros(1, 4, 128, 128)
# 640 channels at 128 x 128 in two bytes, for cond and uncond.
TRACE_BYTES = 2 * 640 * 128 * 128 * 2
MOST_BYTES = 50e6


@pytest.fixture(scope="module")
def model():
    config = comfy.supported_models.SDXL(dict(_SDXL_UNET))
    config.set_inference_dtype(torch.float16, None)
    return comfy.model_patcher.ModelPatcher(config.get_model({}, device=torch.device("meta")), CPU, CPU)


def sample(patched, after_each):
    """The host's chain of calls around the UNet, without its samplers: they read values, and there are none."""
    guider = comfy.samplers.CFGGuider(patched)

    def chain(kind, innermost):
        wrappers = [each for of_key in patched.wrappers.get(kind, {}).values() for each in of_key]
        return WrapperExecutor.new_class_executor(innermost, guider, wrappers)

    def evaluate(_x, _timestep, model_options):
        wrappers = {WrappersMP.DIFFUSION_MODEL: patched.wrappers.get(WrappersMP.DIFFUSION_MODEL, {})}
        call_unet(patched.model.diffusion_model, {**model_options["transformer_options"], "wrappers": wrappers})

    def sampler(_noise, _latent, _sampler, sigmas):
        for sigma in sigmas[:-1]:
            chain(WrappersMP.PREDICT_NOISE, evaluate).execute(LATENT, sigma, guider.model_options)
            after_each()
        return LATENT

    chain(WrappersMP.OUTER_SAMPLE, sampler).execute(LATENT, LATENT, comfy.samplers.ksampler("euler"), SIGMAS)


def call_unet(unet, options):
    """The UNet as the host calls it for cond and uncond of a 1024 x 1024 picture."""

    def empty(*shape):
        return torch.empty(shape, dtype=torch.float16, device="meta")

    options = {**options, "uuids": ["a", "b"], "cond_or_uncond": [0, 1]}
    unet(empty(2, 4, 128, 128), empty(2), empty(2, 77, 2048), empty(2, 2816), transformer_options=options)


def bytes_of(patched):
    """Live bytes after each evaluation and after the run, and the peak of each evaluation."""
    held, peaks = [], []
    with torch.inference_mode(), LiveBytes() as live:

        def after_each():
            held.append(live.now)
            peaks.append(live.peak)
            live.start_peak()

        sample(patched, after_each)
        return held, live.now, peaks


def test_memory_of_a_run(model, record_property):
    _, left_by_host, (host_peak, *_) = bytes_of(model)
    patched = with_clockwork(model, schedule=ExplicitList("110"))
    held, left, peaks = bytes_of(patched)
    record_property("bytes held after each evaluation", held)
    record_property("bytes at the peak of the host and of each evaluation", [host_peak, *peaks])
    assert kinds(patched) == "FFa"

    assert held == [TRACE_BYTES] * 3
    assert last_report(patched).peak_bytes == TRACE_BYTES <= MOST_BYTES
    assert left == left_by_host == 0
    # The host's worst moment lies in the low-res part: the old features are gone by then, the new not yet there.
    assert peaks[:2] == [host_peak] * 2
    # An adaptor pass holds the trace and, as the batch that goes on, a copy of it.
    assert peaks[2] <= host_peak + TRACE_BYTES
