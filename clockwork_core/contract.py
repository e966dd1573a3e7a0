"""The contract with the host: our walk over a UNet's blocks computes what its own forward computes.

Checked once, on a tiny UNet of the host's class, when the nodes are loaded. A ComfyUI that has changed its UNet would
otherwise get wrong pictures from adaptor passes, without any error; full passes are the host's own and stay right.
"""

from __future__ import annotations

import functools
import logging

import torch
from torch import Tensor

from . import host
from .cut import Geometry
from .passes import UNetCall, walk_all_blocks

_TINY_UNET = {
    "image_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 1],
    "transformer_depth": [0, 1],
    "transformer_depth_output": [0, 0, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 8,
    "num_heads": 1,
    "num_head_channels": -1,
    "num_classes": "sequential",
    "adm_in_channels": 8,
    "use_spatial_transformer": True,
    "legacy": False,
}


@functools.cache
def breach() -> str | None:
    """What the host does otherwise than we expect, as a sentence; None if the contract holds."""
    found = _find_breach()
    if found is not None:
        logging.warning("[Clockwork] %s Sampling works, but nothing is saved: update ComfyUI-Clockwork.", found)
    return found


def _find_breach() -> str | None:
    changed = host.changed_functions()
    if changed:
        return f"This ComfyUI is newer than this Clockwork: {'; '.join(changed)}."
    try:
        return _compare_blocks()
    except Exception as error:
        return f"This ComfyUI's UNet cannot be walked block by block ({type(error).__name__}: {error})."


@torch.inference_mode()
def _compare_blocks() -> str | None:
    """Run one call both ways and compare what each block gives."""
    unet = _tiny_unet()
    theirs, ours = _Witness(), _Witness()
    expected = theirs.call().run(unet._forward)
    output = walk_all_blocks(unet, Geometry.of(unet), ours.call())
    for (block, h), (own_block, own_h) in zip(theirs.seen, ours.seen, strict=True):
        if block != own_block or not torch.equal(h, own_h):
            return f"This ComfyUI's UNetModel computes another thing than Clockwork expects at its block {block}."
    if not torch.equal(output, expected):
        return "This ComfyUI's UNetModel computes another thing than Clockwork expects behind its last block."
    return None


class _Witness:
    """Makes the same call each time, with control and patches, and sees what enters or leaves each block."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[str, int], Tensor]] = []
        self._generator = torch.Generator().manual_seed(0)

    def call(self) -> UNetCall:
        def random(*shape: int) -> Tensor:
            return torch.randn(shape, generator=self._generator)

        sizes = [(32, 8, 8), (32, 8, 8), (32, 4, 4), (32, 4, 4)]
        return UNetCall(
            x=random(1, 4, 8, 8),
            timesteps=torch.tensor([500.0]),
            context=random(1, 3, 8),
            y=random(1, 8),
            control={
                "input": [random(1, *size) for size in reversed(sizes)],
                "middle": [random(1, *sizes[-1])],
                "output": [random(1, *size) for size in sizes],
            },
            transformer_options={
                # The user's own attention may not run on the CPU.
                "optimized_attention_override": host.plain_attention,
                "patches": {
                    "input_block_patch": [self._see],
                    "input_block_patch_after_skip": [self._see],
                    "output_block_patch": [self._see_both],
                },
            },
        )

    def _see(self, h: Tensor, options: dict) -> Tensor:
        self.seen.append((options["block"], h.clone()))
        return h

    def _see_both(self, h: Tensor, skip: Tensor, options: dict) -> tuple[Tensor, Tensor]:
        return self._see(h, options), self._see(skip, options)


def _tiny_unet() -> host.UNetModel:
    """With weights from a generator of its own: the user's random numbers stay what they would have been."""
    unet = host.UNetModel(**_TINY_UNET, dtype=torch.float32, device="cpu", operations=host.plain_operations)
    generator = torch.Generator().manual_seed(1)
    for parameter in unet.parameters():
        parameter.requires_grad_(False)
        parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return unet
