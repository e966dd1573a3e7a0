"""Everything that the host's nodes hang on a conditioning, and every way in which the host batches them."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import comfy.gligen
import comfy.hooks
import comfy.model_patcher
import comfy.samplers
import comfy.supported_models as supported
import nodes as host_nodes
import pytest
import torch
import toys
from cell import Cell, Patch
from comfy_extras import nodes_hooks
from torch import Tensor
from toy_graph import call, sample, small, toy

AXIS = "conditioning"
STEPS = 8  # so that ranges can begin and end between full evaluations
FIRST, SECOND, NEGATIVE = toys.conditioning(10), toys.conditioning(12), toys.conditioning(11)
RANGE_NOTE = "A conditioning that starts between full passes gets a full pass of its own."
UNCLIP = toys.Family(
    supported.SD21UnclipL,
    {**toys._COMMON, "use_linear_in_transformer": True, "num_res_blocks": [1, 1, 1], "channel_mult": [1, 2, 4],
     "transformer_depth": [1, 1, 1], "transformer_depth_output": [1] * 6, "transformer_depth_middle": 1,
     "in_channels": 4, "num_classes": "sequential", "adm_in_channels": 1536},
)  # fmt: skip


def _draw(patch: Patch, positive: list, negative: list = NEGATIVE, steps: int = STEPS) -> Tensor:
    return sample(patch(small()), positive=positive, negative=negative, steps=steps)


def _split_by_memory(patch: Patch) -> Tensor:
    """The host asks for the free memory before it batches cond and uncond; with none it runs them one by one."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(comfy.samplers.model_management, "get_free_memory", lambda *_: 1)
        return _draw(patch, FIRST)


def _split_now_and_then(patch: Patch) -> Tensor:
    """Free memory that comes and goes: batched in some evaluations, split in others."""
    answers = iter([1, 1 << 40, 1 << 40, 1, 1] * 20)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(comfy.samplers.model_management, "get_free_memory", lambda *_: next(answers))
        return _draw(patch, FIRST)


def _area(conditioning: list, width: int, height: int, x: int, y: int) -> list:
    return call(host_nodes.ConditioningSetArea, conditioning, width * 8, height * 8, x * 8, y * 8, 1.0)


def _range(conditioning: list, start: float, end: float) -> list:
    return call(host_nodes.ConditioningSetTimestepRange, conditioning, start, end)


def _mask(conditioning: list, bounds: str) -> list:
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:12, 2:10] = 1.0
    return call(host_nodes.ConditioningSetMask, conditioning, mask, bounds, 1.0)


LEFT, RIGHT = _area(FIRST, 8, 16, 0, 0), _area(SECOND, 8, 16, 8, 0)


def _lora(seed: int, keys: int = 8) -> dict[str, Tensor]:
    """A LoRA of rank 4 for some of the small model's linear and convolution layers."""
    generator = torch.Generator().manual_seed(seed)
    lora = {}
    for key, weight in list(small().model.diffusion_model.state_dict().items()):
        if key.endswith("weight") and weight.ndim == 2 and len(lora) < 2 * keys:
            name = "diffusion_model." + key.removesuffix(".weight")
            lora[f"{name}.lora_up.weight"] = 0.2 * torch.randn(weight.shape[0], 4, generator=generator)
            lora[f"{name}.lora_down.weight"] = torch.randn(4, weight.shape[1], generator=generator) / 8
    return lora


def _hooked(patch: Patch, keyframes: bool, default: bool = False) -> Tensor:
    """A LoRA on one conditioning only; its strength changes during the run if there are keyframes."""
    hooks = comfy.hooks.create_hook_lora(_lora(3), strength_model=1.0, strength_clip=0.0)
    if keyframes:
        frames = call(nodes_hooks.CreateHookKeyframe, 1.0, 0.0)
        frames = call(nodes_hooks.CreateHookKeyframe, 0.3, 0.4, frames)
        hooks = call(nodes_hooks.SetHookKeyframes, hooks, frames)
    positive = call(nodes_hooks.ConditioningSetProperties, FIRST, 1.0, "default", hooks=hooks)
    if default:
        positive = _area(positive, 8, 16, 0, 0)
        positive = call(nodes_hooks.ConditioningSetDefaultAndCombine, positive, SECOND)
    return _draw(patch, positive)


def _gligen_model() -> Any:
    """The host's GLIGEN for the small model: one gated attention for each of its transformers, in order."""
    unet = small().model.diffusion_model
    widths = [layer.in_channels for layer in unet.modules() if type(layer).__name__ == "SpatialTransformer"]
    gates = [comfy.gligen.GatedSelfAttentionDense(width, toys.CONTEXT, 4, width // 4) for width in widths]
    model = comfy.gligen.Gligen(gates, comfy.gligen.PositionNet(toys.CONTEXT, toys.CONTEXT), toys.CONTEXT)
    toys.randomize(model, seed=4)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, cpu, cpu)


def _gligen(patch: Patch) -> Tensor:
    text = torch.randn(1, toys.CONTEXT, generator=torch.Generator().manual_seed(8))
    clip = SimpleNamespace(tokenize=lambda text: text, encode_from_tokens=lambda *_, **__: (None, text))
    box = call(host_nodes.GLIGENTextBoxApply, FIRST, clip, _gligen_model(), "a box", 64, 64, 16, 32)
    return _draw(patch, box)


def _unclip(patch: Patch) -> Tensor:
    embedding = torch.randn(1, 768, generator=torch.Generator().manual_seed(6))
    vision = SimpleNamespace(image_embeds=embedding)
    positive = call(host_nodes.unCLIPConditioning, FIRST, vision, 1.0, 0.1)
    return sample(patch(toy(UNCLIP)), positive=positive, steps=STEPS)


CELLS = [
    Cell(AXIS, "cond and uncond", partial(_draw, positive=FIRST), "batched"),
    Cell(AXIS, "cond and uncond", _split_by_memory, "split for want of memory"),
    Cell(AXIS, "cond and uncond", _split_now_and_then, "split now and then"),
    Cell(AXIS, "lengths that differ", partial(_draw, positive=toys.conditioning(10, 154)), "77 and 154 tokens"),
    Cell(AXIS, "lengths that differ", partial(_draw, positive=toys.conditioning(10, 70)), "77 and 70 tokens"),
    Cell(AXIS, "areas", partial(_draw, positive=LEFT + RIGHT), "left and right"),
    Cell(AXIS, "areas", partial(_draw, positive=FIRST + _area(SECOND, 8, 8, 4, 6)), "one over a whole"),
    Cell(AXIS, "areas", partial(_draw, positive=LEFT + RIGHT, negative=_area(NEGATIVE, 12, 12, 2, 2)), "on both sides"),
    Cell(
        AXIS,
        "areas",
        partial(_draw, positive=call(host_nodes.ConditioningSetAreaPercentage, FIRST, 0.5, 0.5, 0.25, 0.25, 1.0)),
        "in percent",
    ),
    Cell(AXIS, "areas", partial(_draw, positive=_range(LEFT, 0, 0.45) + RIGHT + SECOND), "with a timestep range"),
    Cell(AXIS, "masks", partial(_draw, positive=_mask(FIRST, "default") + SECOND), "default"),
    Cell(AXIS, "masks", partial(_draw, positive=_mask(FIRST, "mask bounds") + SECOND), "mask bounds"),
    Cell(AXIS, "timestep ranges", partial(_draw, positive=FIRST + _range(SECOND, 0, 0.4)), "ends in the middle"),
    Cell(AXIS, "timestep ranges", partial(_draw, positive=FIRST + _range(SECOND, 0.4, 1)), "starts in the middle", RANGE_NOTE),
    Cell(AXIS, "timestep ranges", partial(_draw, positive=_range(FIRST, 0, 0.4) + _range(SECOND, 0.4, 1)), "one after the other", RANGE_NOTE),
    Cell(AXIS, "combine", partial(_draw, positive=call(host_nodes.ConditioningCombine, FIRST, SECOND))),
    Cell(AXIS, "average", partial(_draw, positive=call(host_nodes.ConditioningAverage, FIRST, SECOND, 0.6))),
    Cell(AXIS, "concat", partial(_draw, positive=call(host_nodes.ConditioningConcat, FIRST, SECOND))),
    Cell(AXIS, "zero out", partial(_draw, positive=FIRST, negative=call(host_nodes.ConditioningZeroOut, NEGATIVE))),
    Cell(AXIS, "hooks", partial(_hooked, keyframes=False), "a LoRA on one conditioning"),
    Cell(AXIS, "hooks", partial(_hooked, keyframes=True), "a LoRA with keyframes"),
    Cell(AXIS, "hooks", partial(_hooked, keyframes=True, default=True), "with a default conditioning"),
    Cell(AXIS, "GLIGEN", _gligen),
    Cell(AXIS, "unCLIP", _unclip),
]  # fmt: skip
