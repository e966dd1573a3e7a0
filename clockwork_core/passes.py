"""The two ways through a UNet: the host's own full pass, with features captured, and our high-res pass.

The walk mirrors `UNetModel._forward` of ComfyUI block by block, with the host's own block functions and every
patch point, so that whatever other nodes patched into the model acts on the blocks that we keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from . import host, tap
from .capture import Capture, Captured
from .control import whole_control
from .cut import Cut, Geometry, Place


class SeamMismatchError(Exception):
    """r_out does not fit the skip connection that it is to meet: something resizes inside the UNet."""


@dataclass(frozen=True)
class UNetCall:
    """The arguments of one call of `UNetModel.forward`.

    x: latents (B, C, H, W), scaled as the UNet wants them. timesteps: (B,). context: (B, tokens, width).
    y: class or size embedding (B, width) or None. control: the ControlNet residuals, lists that the walk pops.
    extra: further keywords, such as num_video_frames, image_only_indicator and time_context of video models.
    """

    x: Tensor
    timesteps: Tensor
    context: Tensor | None = None
    y: Tensor | None = None
    control: dict[str, list] | None = None
    transformer_options: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def with_own_control(self) -> UNetCall:
        """A copy whose control lists may be popped while those of this call stay whole."""
        if self.control is None:
            return self
        return replace(self, control={name: list(residuals) for name, residuals in self.control.items()})

    def with_whole_control(self) -> UNetCall:
        """A copy for a full pass, which needs the residuals of all blocks, and of this evaluation."""
        return replace(self, control=whole_control(self.control))

    def run(self, forward: Callable[..., Tensor], transformer_options: dict[str, Any] | None = None) -> Tensor:
        """Call `forward` the way the host does, with other transformer options if some are given."""
        options = self.transformer_options if transformer_options is None else transformer_options
        return forward(self.x, self.timesteps, self.context, self.y, self.control, options, **self.extra)


@dataclass(frozen=True)
class PassParts:
    """The parts of both passes that do the work; `compile.py` puts compiled ones in their place.

    What is decided between the parts changes from one evaluation to the next, and must stay out of a graph.
    """

    forward: Callable[..., Tensor]
    forward_and_catch: Callable[..., tuple[Tensor, Captured | None]]
    enter: Callable[..., tuple[Tensor, list[Tensor], Tensor]]
    leave: Callable[..., Tensor]


def full_pass(
    forward: Callable[..., Tensor],
    call: UNetCall,
    first_kept: int,
    streams: int,
    place: Place = Place.AFTER_UPSAMPLE,
    r_in_block: int | None = None,
    parts: PassParts | None = None,
) -> tuple[Tensor, Captured | None]:
    """Run the host's own forward, and catch r_out on its way to output block `first_kept`.

    place: on which side of the upsample; before it, the UNet must have been tapped there (see `tap`).
    r_in_block: the input block whose result is r_in, to catch that as well.
    Returns None for the features if they never came by.
    """
    return (parts or EAGER).forward_and_catch(forward, call, first_kept, streams, place, r_in_block)


def high_res_pass(
    unet: host.UNetModel,
    geometry: Geometry,
    cut: Cut,
    call: UNetCall,
    stand_in: Callable[[Tensor | None, Tensor], Tensor],
    skip_shape: tuple[int, ...] | None = None,
    parts: PassParts | None = None,
) -> Tensor:
    """Run only the high-res part, with `stand_in(r_in, emb)` in place of the low-res part (paper, section 3.2).

    stand_in: gets r_in, the downsampled features (B, C, h, w), and emb (B, width), and returns r_out. With a
        cut after the upsample r_in is None, and r_out has the resolution of the kept blocks.
    skip_shape: if given, the shape (C, h, w) that the skip connection at the seam must have; SeamMismatchError
        otherwise, raised before `stand_in` is asked.
    """
    parts = parts or EAGER
    r_in, skips, emb = parts.enter(unet, geometry, cut, call)
    found_shape = tuple(skips[-1].shape[1:])
    if skip_shape is not None and found_shape != skip_shape:
        raise SeamMismatchError(f"the skip connection is {found_shape}, but was {skip_shape} in the full pass")
    r_out = stand_in(r_in if cut.place is Place.BEFORE_UPSAMPLE else None, emb)
    return parts.leave(unet, geometry, cut, call, r_out, skips, emb)


def forward_and_catch(
    forward: Callable[..., Tensor],
    call: UNetCall,
    first_kept: int,
    streams: int,
    place: Place,
    r_in_block: int | None,
) -> tuple[Tensor, Captured | None]:
    """The forward's output, and what `Capture` caught."""
    capture = Capture(first_kept, streams, place, r_in_block)
    with tap.reading(capture.read_upsample):
        output = call.run(forward, capture.options(call.transformer_options))
    return output, capture.captured()


def enter(unet: host.UNetModel, geometry: Geometry, cut: Cut, call: UNetCall) -> tuple[Tensor, list[Tensor], Tensor]:
    """The input side of the high-res part: r_in (B, C, h, w), the kept blocks' skip connections, emb (B, width)."""
    walk = _Walk(unet, geometry, call)
    h = walk.input_blocks(call.x, range(cut.kept_blocks))
    if cut.place is Place.BEFORE_UPSAMPLE:
        h = walk.downsample(h, cut.kept_blocks)
    return h, walk.skips, walk.emb


def leave(
    unet: host.UNetModel, geometry: Geometry, cut: Cut, call: UNetCall, r_out: Tensor, skips: list[Tensor], emb: Tensor
) -> Tensor:
    """The output side of the high-res part, from r_out (B, C, h, w) to the output (B, C, H, W)."""
    walk = _Walk(unet, geometry, call, skips, emb)
    first_kept = geometry.blocks - cut.kept_blocks
    h = walk.upsample(r_out, first_kept - 1) if cut.place is Place.BEFORE_UPSAMPLE else r_out
    walk.drop_control(first_kept)
    return walk.head(walk.output_blocks(h, range(first_kept, geometry.blocks)))


EAGER = PassParts(UNetCall.run, forward_and_catch, enter, leave)


def walk_all_blocks(unet: host.UNetModel, geometry: Geometry, call: UNetCall) -> Tensor:
    """A full pass by our own walk. The contract with the host: equal to its forward, bit for bit."""
    walk = _Walk(unet, geometry, call)
    h = walk.input_blocks(call.x, range(geometry.blocks))
    h = walk.middle(h)
    return walk.head(walk.output_blocks(h, range(geometry.blocks)))


class _Walk:
    """One walk over blocks of a UNet: what the host's forward keeps in local variables.

    skips, emb: of a walk that this one goes on from.
    """

    def __init__(
        self,
        unet: host.UNetModel,
        geometry: Geometry,
        call: UNetCall,
        skips: list[Tensor] | None = None,
        emb: Tensor | None = None,
    ) -> None:
        self.unet = unet
        self.geometry = geometry
        self.call = call
        self.options = call.transformer_options
        self.options["original_shape"] = list(call.x.shape)
        self.options["transformer_index"] = 0
        self.patches: dict[str, list] = self.options.get("patches", {})
        self.skips: list[Tensor] = [] if skips is None else skips
        self.emb = self._embed() if emb is None else emb  # (B, width)

    def _embed(self) -> Tensor:
        call = self.call
        t_emb = host.timestep_embedding(call.timesteps, self.unet.model_channels, repeat_only=False)
        emb = self.unet.time_embed(t_emb.to(call.x.dtype))
        for patch in self.patches.get("emb_patch", ()):
            emb = patch(emb, self.unet.model_channels, self.options)
        if self.unet.num_classes is not None:
            emb = emb + self.unet.label_emb(call.y)
        return emb

    def input_blocks(self, h: Tensor, ids: Iterable[int]) -> Tensor:
        """Run input blocks from the first on, and stack their skip connections."""
        for index in ids:
            self.options["block"] = ("input", index)
            h = self._run_block(self.unet.input_blocks[index], h)
            h = host.apply_control(h, self.call.control, "input")
            h = self._patched("input_block_patch", h)
            self.skips.append(h)
            h = self._patched("input_block_patch_after_skip", h)
        return h

    def middle(self, h: Tensor) -> Tensor:
        self.options["block"] = ("middle", 0)
        if self.unet.middle_block is not None:
            h = self._run_block(self.unet.middle_block, h)
        return host.apply_control(h, self.call.control, "middle")

    def output_blocks(self, h: Tensor, ids: range) -> Tensor:
        """Run output blocks up to the last, each on h and the skip connection on top of the stack."""
        self.options["transformer_index"] = self.geometry.transformers_before_output(ids.start)
        for index in ids:
            self.options["block"] = ("output", index)
            skip = host.apply_control(self.skips.pop(), self.call.control, "output")
            for patch in self.patches.get("output_block_patch", ()):
                h, skip = patch(h, skip, self.options)
            h = torch.cat([h, skip], dim=1)
            h = self._run_block(self.unet.output_blocks[index], h, self._next_skip_shape())
        return h

    def downsample(self, h: Tensor, block: int) -> Tensor:
        """Run the input block that leads into the low-res part; its skip belongs to a block that we leave out."""
        self.options["block"] = ("input", block)
        h = self._run_block(self.unet.input_blocks[block], h)
        return host.apply_control(h, self.call.control, "input")

    def upsample(self, h: Tensor, block: int) -> Tensor:
        """Run only the last layer, the upsample, of the output block that leads out of the low-res part."""
        self.options["block"] = ("output", block)
        layer = list(self.unet.output_blocks[block].children())[-1]
        return self._run_block(torch.nn.Sequential(layer), h, self._next_skip_shape())

    def drop_control(self, blocks: int) -> None:
        """Take off the residuals of the first `blocks` output blocks, so that each kept block gets its own."""
        residuals = (self.call.control or {}).get("output", [])
        for _ in range(min(blocks, len(residuals))):
            residuals.pop()

    def head(self, h: Tensor) -> Tensor:
        h = h.type(self.call.x.dtype)
        return self.unet.id_predictor(h) if self.unet.predict_codebook_ids else self.unet.out(h)

    def _next_skip_shape(self) -> torch.Size | None:
        return self.skips[-1].shape if self.skips else None

    def _patched(self, name: str, h: Tensor) -> Tensor:
        for patch in self.patches.get(name, ()):
            h = patch(h, self.options)
        return h

    def _run_block(self, block: torch.nn.Module, h: Tensor, output_shape: torch.Size | None = None) -> Tensor:
        extra = self.call.extra
        return host.forward_timestep_embed(
            block,
            h,
            self.emb,
            self.call.context,
            self.options,
            output_shape,
            time_context=extra.get("time_context"),
            num_video_frames=extra.get("num_video_frames", self.unet.default_num_video_frames),
            image_only_indicator=extra.get("image_only_indicator"),
        )
