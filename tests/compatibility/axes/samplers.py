"""Every sampler that the host lists, with a few schedulers; the sampler nodes; few steps."""

from __future__ import annotations

from functools import partial

import comfy.samplers
import torch
import toys
from cell import Cell, Expectation, Outcome, Patch
from comfy_extras import nodes_advanced_samplers as advanced
from comfy_extras import nodes_custom_sampler as custom
from torch import Tensor
from toy_graph import call, sample, sample_with, tiny

AXIS = "samplers"
SCHEDULERS = ("karras", "normal", "beta")
NOTES = {
    "dpm_adaptive": "It chooses its steps by what evaluations give, so their number may differ with Clockwork.",
}


def _sampler(patch: Patch, sampler: str, scheduler: str, steps: int = 4) -> Tensor:
    return sample(patch(tiny()), sampler=sampler, scheduler=scheduler, steps=steps, size=(8, 8))


def _sampler_node(patch: Patch, node: type, **inputs: object) -> Tensor:
    guider = call(custom.CFGGuider, patch(tiny()), toys.conditioning(10), toys.conditioning(11), 3.0)
    return sample_with(guider, call(node, **inputs), latent=torch.zeros(1, 4, 8, 8), steps=6)


def _inversion(patch: Patch) -> Tensor:
    guider = call(custom.CFGGuider, patch(tiny()), toys.conditioning(10), toys.conditioning(11), 1.0)
    return sample_with(guider, sigmas=call(custom.FlipSigmas, torch.tensor([10.0, 6.0, 3.0, 1.0, 0.1])))


def _one_step_is_exact(outcome: Outcome) -> None:
    assert outcome.kinds == "F"
    assert torch.equal(outcome.ours, outcome.plain)


ONE_STEP = Expectation(
    "A single evaluation is always full: the picture is the host's, bit for bit.", _one_step_is_exact
)
NODES = {
    "SamplerLCMUpscale": (
        advanced.SamplerLCMUpscale,
        {"scale_ratio": 2.0, "scale_steps": 2, "upscale_method": "bilinear"},
    ),
    "SamplerEulerCFG++": (advanced.SamplerEulerCFGpp, {"version": "alternative"}),
    "SamplerDPMPP_2M_SDE": (
        custom.SamplerDPMPP_2M_SDE,
        {"solver_type": "heun", "eta": 1.0, "s_noise": 1.0, "noise_device": "gpu"},
    ),
    "SamplerER_SDE": (custom.SamplerER_SDE, {"solver_type": "ER-SDE", "max_stage": 3, "eta": 1.0, "s_noise": 1.0}),
    "SamplerLMS": (custom.SamplerLMS, {"order": 2}),
    "SamplerDPMAdaptative": (
        custom.SamplerDPMAdaptative,
        {
            "order": 2,
            "rtol": 0.2,
            "atol": 0.1,
            "h_init": 0.3,
            "pcoeff": 0.0,
            "icoeff": 1.0,
            "dcoeff": 0.0,
            "accept_safety": 0.81,
            "eta": 0.0,
            "s_noise": 1.0,
        },
    ),
}

CELLS = [
    *(
        Cell(AXIS, sampler, partial(_sampler, sampler=sampler, scheduler=scheduler), scheduler, NOTES.get(sampler, ""))
        for sampler in comfy.samplers.KSampler.SAMPLERS
        # dpm_adaptive takes but the ends of the list.
        for scheduler in (SCHEDULERS[:1] if sampler == "dpm_adaptive" else SCHEDULERS)
    ),
    *(
        Cell(AXIS, "dpmpp_2m", partial(_sampler, sampler="dpmpp_2m", scheduler=scheduler), scheduler)
        for scheduler in comfy.samplers.KSampler.SCHEDULERS
        if scheduler not in SCHEDULERS
    ),
    *(
        Cell(AXIS, f"node {name}", partial(_sampler_node, node=node, **inputs))
        for name, (node, inputs) in NODES.items()
    ),
    Cell(AXIS, "inversion (rising sigmas)", _inversion),
    Cell(AXIS, "few steps", partial(_sampler, sampler="lcm", scheduler="sgm_uniform", steps=4), "lcm, 4"),
    Cell(AXIS, "few steps", partial(_sampler, sampler="euler", scheduler="sgm_uniform", steps=2), "euler, 2"),
    Cell(
        AXIS,
        "one step",
        partial(_sampler, sampler="euler", scheduler="sgm_uniform", steps=1),
        note="There is nothing to save in one step.",
        expectation=ONE_STEP,
    ),
]
