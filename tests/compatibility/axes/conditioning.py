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
import pytest
import torch
import toys
from cell import Cell, Expectation, Outcome, Patch
from checks import agrees_with_the_naive_reference
from comfy_extras import nodes_hooks
from torch import Tensor
from toy_graph import SMALL, call, sample, small, toy

import nodes as host_nodes
from clockwork_pack.clockwork_core.act import NOTHING_TO_REUSE

AXIS = "conditioning"
STEPS = 6  # so that ranges can begin and end between full evaluations
FIRST, SECOND, NEGATIVE = toys.conditioning(10), toys.conditioning(12), toys.conditioning(11)
UNCLIP = toys.Family(
    supported.SD21UnclipL,
    {
        **SMALL.unet_config,
        "use_linear_in_transformer": True,
        "num_classes": "sequential",
        "adm_in_channels": 1536,
    },
)


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


def _unclip(patch: Patch, strength: float) -> Tensor:
    embedding = torch.randn(1, 768, generator=torch.Generator().manual_seed(6))
    vision = SimpleNamespace(image_embeds=embedding)
    positive = call(host_nodes.unCLIPConditioning, FIRST, vision, strength, 0.1)
    return sample(patch(toy(UNCLIP)), positive=positive, steps=STEPS)


def _starts_late(outcome: Outcome) -> None:
    agrees_with_the_naive_reference(outcome)
    assert NOTHING_TO_REUSE in outcome.reasons


STARTS_LATE = Expectation(
    "A conditioning that starts between full passes gets a full pass of its own; all else as the naive reference.",
    _starts_late,
)
PLAIN = partial(_draw, positive=FIRST)
POSITIVES = {
    ("areas", "left and right"): LEFT + RIGHT,
    ("areas", "one over a whole"): FIRST + _area(SECOND, 8, 8, 4, 6),
    ("areas", "in percent"): call(host_nodes.ConditioningSetAreaPercentage, FIRST, 0.5, 0.5, 0.25, 0.25, 1.0),
    ("areas", "with a timestep range"): _range(LEFT, 0, 0.45) + RIGHT + SECOND,
    ("masks", "default"): _mask(FIRST, "default") + SECOND,
    ("masks", "mask bounds"): _mask(FIRST, "mask bounds") + SECOND,
    ("timestep ranges", "ends in the middle"): FIRST + _range(SECOND, 0, 0.4),
    ("combine", ""): call(host_nodes.ConditioningCombine, FIRST, SECOND),
    ("average", ""): call(host_nodes.ConditioningAverage, FIRST, SECOND, 0.6),
    ("concat", ""): call(host_nodes.ConditioningConcat, FIRST, SECOND),
    ("lengths that differ", "77 and 154 tokens"): toys.conditioning(13, 154),
    ("lengths that differ", "77 and 70 tokens"): toys.conditioning(13, 70),
}
LATE_POSITIVES = {
    "starts in the middle": FIRST + _range(SECOND, 0.4, 1),
    "one after the other": _range(FIRST, 0, 0.4) + _range(SECOND, 0.4, 1),
}
ON_BOTH_SIDES = partial(_draw, positive=LEFT + RIGHT, negative=_area(NEGATIVE, 12, 12, 2, 2))
ZERO_OUT = partial(_draw, positive=FIRST, negative=call(host_nodes.ConditioningZeroOut, NEGATIVE))

CELLS = [
    Cell(AXIS, "cond and uncond", PLAIN, "batched"),
    Cell(AXIS, "cond and uncond", _split_by_memory, "split for want of memory"),
    Cell(AXIS, "cond and uncond", _split_now_and_then, "split now and then"),
    *(
        Cell(AXIS, subject, partial(_draw, positive=positive), variant, without=PLAIN)
        for (subject, variant), positive in POSITIVES.items()
    ),
    *(
        Cell(
            AXIS, "timestep ranges", partial(_draw, positive=positive), variant, expectation=STARTS_LATE, without=PLAIN
        )
        for variant, positive in LATE_POSITIVES.items()
    ),
    Cell(AXIS, "areas", ON_BOTH_SIDES, "on both sides", without=PLAIN),
    Cell(AXIS, "zero out", ZERO_OUT, without=PLAIN),
    Cell(AXIS, "hooks", partial(_hooked, keyframes=False), "a LoRA on one conditioning", without=PLAIN),
    Cell(AXIS, "hooks", partial(_hooked, keyframes=True), "a LoRA with keyframes", without=PLAIN),
    Cell(AXIS, "hooks", partial(_hooked, keyframes=True, default=True), "with a default conditioning", without=PLAIN),
    Cell(AXIS, "GLIGEN", _gligen, without=PLAIN),
    Cell(AXIS, "unCLIP", partial(_unclip, strength=1.0), without=partial(_unclip, strength=0.0)),
]
