"""The high-res part of a UNet as something that gradients can pass through.

What a loader made inside the executor's inference mode cannot take part in training, so the kept blocks, which are
few, are copied, as the host has loaded and patched them; the low-res part is not needed at all.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ...clockwork_core import host as core_host
from ...clockwork_core.cut import Cut, Geometry, Place, geometry_of
from ...clockwork_core.passes import UNetCall, enter, leave
from ..inputs import Features, pooled
from .pairs import Batch

# The parts of a UNet that a high-res pass calls, besides its blocks.
_HEADS = ("time_embed", "label_emb", "out", "id_predictor")


class HighResPart:
    """The frozen kept blocks of a model; `model` must be loaded while this is made.

    Raises ValueError for video models, whose frames depend on each other.
    """

    def __init__(self, model: core_host.ModelPatcher, kept_blocks: int) -> None:
        self.geometry: Geometry = geometry_of(model)
        self.cut = Cut(kept_blocks, Place.BEFORE_UPSAMPLE)
        unet: Any = core_host.diffusion_model_of(model)
        with torch.inference_mode(False), torch.no_grad():
            # Layers that the host patches as they are used hold all patches: those are shared, not copied.
            self._unet = _copy_of_kept(unet, self.geometry, kept_blocks, {id(model.patches): model.patches})
        self._options = model.model_options.get("transformer_options", {})

    def enter(self, batch: Batch) -> tuple[Features, list[Tensor]]:
        """What the adaptor may look at, and the kept skip connections; no gradients."""
        with torch.no_grad():
            r_in, skips, emb = enter(self._unet, self.geometry, self.cut, self._call(batch))
        return Features(r_in, batch.r_outs, batch.r_ins, emb, pooled(batch.context), batch.gaps, batch.log_snr), skips

    def leave(self, batch: Batch, features: Features, skips: list[Tensor], r_out: Tensor) -> Tensor:
        """The UNet's output (S * B, C, H, W) with this r_out, which gradients flow back to."""
        return leave(self._unet, self.geometry, self.cut, self._call(batch), r_out, list(skips), features.emb)

    def _call(self, batch: Batch) -> UNetCall:
        options = core_host.create_model_options_clone({"transformer_options": self._options})["transformer_options"]
        options |= {
            "cond_or_uncond": list(range(batch.streams)),
            "uuids": list(range(batch.streams)),
            "sigmas": batch.sigma,
            "sample_sigmas": batch.sigma,
        }
        return UNetCall(batch.x, batch.timesteps, batch.context, batch.y, None, options)


def _copy_of_kept(unet: Any, geometry: Geometry, kept_blocks: int, shared: dict[int, Any]) -> Any:
    """A UNet that has what a high-res pass needs as copies of its own, in float32, and nothing else."""
    twin = copy.copy(unet)
    twin._modules = {}

    def copied(module: torch.nn.Module) -> torch.nn.Module:
        return _frozen_copy(module, shared)

    for name in _HEADS:
        if name in unet._modules:
            setattr(twin, name, copied(unet._modules[name]))
    first_kept = geometry.blocks - kept_blocks
    inputs = [copied(block) for block in unet.input_blocks[: kept_blocks + 1]]
    outputs = [copied(block) for block in unet.output_blocks[first_kept:]]
    upsample = copied(list(unet.output_blocks[first_kept - 1].children())[-1])
    skipped = [torch.nn.Sequential() for _ in range(first_kept - 1)]
    twin.input_blocks = torch.nn.ModuleList(inputs)
    twin.output_blocks = torch.nn.ModuleList([*skipped, torch.nn.Sequential(upsample), *outputs])
    return twin


def _frozen_copy(module: torch.nn.Module, shared: dict[int, Any]) -> torch.nn.Module:
    copied = copy.deepcopy(module, dict(shared)).requires_grad_(False)
    for layer in copied.modules():
        _apply_pending_patches(layer)
    reduced = any(weight.dtype in (torch.float16, torch.bfloat16) for weight in copied.parameters())
    return copied.float() if reduced else copied


def _apply_pending_patches(layer: Any) -> None:
    """What the host, short of memory, would apply to the weights at each use (LoRA) is applied once and for all."""
    for name in ("weight", "bias"):
        functions = getattr(layer, f"{name}_function", [])
        for function in functions:
            patched = function(getattr(layer, name))
            setattr(layer, name, torch.nn.Parameter(patched, requires_grad=False))
        functions.clear()
