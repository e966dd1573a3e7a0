"""Where a UNet is cut in two (paper, section 3.2, table "Where SD v1.5 is cut").

Output block j consumes the skip connection of input block (blocks - 1 - j). Keeping the last k output blocks
therefore keeps exactly the first k input blocks; everything between them is the low-res part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch

from . import host
from .checks import require_text, require_whole_number, shown

STAGES = {"stage 1": 1, "stage 2": 2}
CUSTOM = "custom"
CUT_CHOICES = (*STAGES, CUSTOM)

SUPPORTED = "SD 1.x, SD 2.x, SDXL and its refiner, SSD-1B, Segmind Vega, KOALA, SVD, SV3D or the x4 upscaler"


class Place(str, Enum):
    """Where r_out is taken and put back."""

    AFTER_UPSAMPLE = "after the upsample"
    BEFORE_UPSAMPLE = "before the upsample"


@dataclass(frozen=True)
class Geometry:
    """What the cut must know of a UNet.

    blocks: number of input blocks, which equals that of output blocks.
    output_levels: resolution level of each output block, 0 = the latent's own.
    input_transformers, middle_transformers, output_transformers: transformers per block, in execution order.
    downsamples, upsamples: ids of the input / output blocks that end a level.
    """

    blocks: int
    output_levels: tuple[int, ...]
    input_transformers: tuple[int, ...]
    middle_transformers: int
    output_transformers: tuple[int, ...]
    downsamples: frozenset[int]
    upsamples: frozenset[int]

    @classmethod
    def of(cls, unet: host.UNetModel) -> Geometry:
        """Read the geometry of a UNet of the host's class."""
        upsamples = _blocks_with(unet.output_blocks, host.Upsample)
        blocks = len(unet.output_blocks)
        return cls(
            blocks=blocks,
            output_levels=tuple(sum(1 for up in upsamples if up >= block) for block in range(blocks)),
            input_transformers=tuple(map(_transformers, unet.input_blocks)),
            middle_transformers=0 if unet.middle_block is None else _transformers(unet.middle_block),
            output_transformers=tuple(map(_transformers, unet.output_blocks)),
            downsamples=_blocks_with(unet.input_blocks, host.Downsample),
            upsamples=upsamples,
        )

    @property
    def levels(self) -> int:
        return len(self.upsamples) + 1

    def blocks_above(self, level: int) -> int:
        """How many output blocks work at a higher resolution than `level`."""
        return sum(1 for own in self.output_levels if own < level)

    def transformers_before_output(self, block: int) -> int:
        """The host's `transformer_index` when it enters output block `block`."""
        return sum(self.input_transformers) + self.middle_transformers + sum(self.output_transformers[:block])


@dataclass(frozen=True)
class Cut:
    """How many output blocks stay in the high-res part, and on which side of the upsample r_out is taken."""

    kept_blocks: int
    place: Place = Place.AFTER_UPSAMPLE


def geometry_of(model: host.ModelPatcher) -> Geometry:
    """The geometry of a MODEL's network.

    Raises ValueError, naming the model's class and what works, if it is not a UNet of the host.
    """
    require_model(model)
    network = host.diffusion_model_of(model)
    if not isinstance(network, host.UNetModel):
        raise ValueError(
            f"Clockwork cannot cut the model {type(model.model).__name__} "
            f"(its network is a {type(network).__name__}): "
            f"it works with UNet models, such as {SUPPORTED}."
        )
    return Geometry.of(network)


def require_model(model: object) -> None:
    """Raise ValueError unless `model` is what the host calls a MODEL."""
    if not isinstance(model, host.ModelPatcher):
        raise ValueError(f"model is {shown(model)}, but must be a MODEL, as a loader of ComfyUI gives it out.")


def choose_kept_blocks(geometry: Geometry, choice: str, kept_blocks: int) -> int:
    """How many output blocks to keep, as the node's widgets say.

    choice: one of CUT_CHOICES; `kept_blocks` is used with "custom" only.
    Raises ValueError naming the bad value and the valid ones.
    """
    require_text("cut", choice)
    if choice == CUSTOM:
        require_kept_blocks(geometry, kept_blocks)
        return kept_blocks
    if choice not in STAGES:
        raise ValueError(f"cut is {shown(choice)}, but must be one of {', '.join(CUT_CHOICES)}.")
    level = STAGES[choice]
    if level >= geometry.levels:
        valid = [name for name, stage in STAGES.items() if stage < geometry.levels]
        raise ValueError(
            f"cut is {choice!r}, but this UNet has only {geometry.levels} resolution levels: "
            f"choose {', '.join([*valid, CUSTOM])}."
        )
    return geometry.blocks_above(level)


def require_kept_blocks(geometry: Geometry, kept_blocks: int) -> None:
    """Raise ValueError unless `kept_blocks` leaves at least one block on each side of the cut."""
    require_whole_number("kept_blocks", kept_blocks)
    if not 1 <= kept_blocks < geometry.blocks:
        raise ValueError(
            f"kept_blocks is {shown(kept_blocks)}, but this UNet has {geometry.blocks} output blocks: "
            f"choose 1 to {geometry.blocks - 1}."
        )


@dataclass(frozen=True)
class Seam:
    """What a learned adaptor must fit: the widths where a UNet is cut before the upsample.

    r_in, r_out: channels of the features that enter and leave the low-res part. embedding: width of the UNet's
    embedding of timestep and labels. context: width of the prompt's tokens.
    """

    kept_blocks: int
    r_in: int
    r_out: int
    embedding: int
    context: int


def seam_of(unet: Any, kept_blocks: int) -> Seam:
    """The seam of a UNet of the host that is cut before the upsample.

    Raises ValueError, naming the cuts that have one, if the low-res part does not begin with a downsample and end
    with an upsample of their own.
    """
    valid = kept_blocks_before_upsample(unet)
    if kept_blocks not in valid:
        raise ValueError(
            f"kept_blocks is {kept_blocks}, but this adaptor works before the upsample that ends the low-res part; "
            f"for this UNet choose {' or '.join(map(str, valid)) or 'another adaptor: it has no such cut'}."
        )
    downsample, upsample = (
        _last_layer(unet.input_blocks[kept_blocks]),
        _last_layer(unet.output_blocks[-kept_blocks - 1]),
    )
    transformer: Any = next(layer for layer in unet.modules() if isinstance(layer, host.SpatialTransformer))
    return Seam(
        kept_blocks=kept_blocks,
        r_in=downsample.out_channels,
        r_out=upsample.channels,
        embedding=4 * unet.model_channels,
        context=transformer.transformer_blocks[0].attn2.to_k.in_features,
    )


def kept_blocks_before_upsample(unet: host.UNetModel) -> list[int]:
    """How many blocks may be kept so that the low-res part lies between a downsample and an upsample layer."""
    blocks = len(unet.output_blocks)
    return [
        kept
        for kept in range(1, blocks)
        if isinstance(_last_layer(unet.input_blocks[kept]), host.Downsample)
        and isinstance(_last_layer(unet.output_blocks[blocks - kept - 1]), host.Upsample)
    ]


def _last_layer(block: Any) -> Any:
    return list(block.children())[-1]


def _transformers(block: torch.nn.Module) -> int:
    return sum(isinstance(layer, host.SpatialTransformer) for layer in block.children())


def _blocks_with(blocks: torch.nn.ModuleList, resampler: type) -> frozenset[int]:
    """Ids of the blocks that change the resolution, by a layer of their own or inside a ResBlock."""
    return frozenset(
        index
        for index, block in enumerate(blocks)
        for layer in block.children()
        if isinstance(layer, resampler) or isinstance(getattr(layer, "h_upd", None), resampler)
    )
