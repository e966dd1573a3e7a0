"""FLOPs of the full and the high-res pass, counted by torch on a UNet without weights.

Counted are the model's own convolutions, linear layers and attention products (a multiply-add is 2 FLOPs); what
other nodes add (ControlNet, LoRA computed on the fly) is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from . import host
from .cut import Cut, Geometry, Place
from .passes import UNetCall, full_pass, high_res_pass
from .schedule import Kind
from .tap import TappedUpsample

_ATTENTION_OPERATORS = ("bmm", "baddbmm")


@dataclass(frozen=True)
class CallShape:
    """The shapes of one call of the UNet; None where an input is absent.

    x: (B, C, H, W). context: (B, tokens, width). y: (B, width), or (B,) class labels. frames: of a video model.
    """

    x: tuple[int, ...]
    context: tuple[int, ...] | None
    y: tuple[int, ...] | None
    frames: int | None = None

    @classmethod
    def of(cls, call: UNetCall) -> CallShape:
        def shape(tensor: Tensor | None) -> tuple[int, ...] | None:
            return None if tensor is None else tuple(tensor.shape)

        shape_of_x = tuple(call.x.shape)
        return cls(shape_of_x, shape(call.context), shape(call.y), call.extra.get("num_video_frames"))


@dataclass(frozen=True)
class Flops:
    """layers: convolutions and linear layers. attention: the two matrix products of each attention."""

    layers: int
    attention: int

    @property
    def total(self) -> int:
        return self.layers + self.attention


@dataclass(frozen=True)
class PassCosts:
    """What one call of the UNet costs in full, and with an adaptor that itself costs nothing.

    r_out: shape (B, C, h, w) of what an adaptor has to give; what that costs, the adaptor itself says.
    """

    full: Flops
    adaptor: Flops
    r_out: tuple[int, ...]

    @property
    def ratio(self) -> float:
        return self.adaptor.total / self.full.total


_counted: dict[tuple, PassCosts] = {}


def count_passes(unet_config: dict, shape: CallShape, cut: Cut) -> PassCosts:
    """FLOPs of both passes of a UNet for a call of the given shape; counted once for each geometry.

    unet_config: the keywords of the host's UNetModel, as `model.model_config.unet_config` holds them.
    """
    key = (repr(sorted(unet_config.items(), key=lambda item: item[0])), shape, cut)
    if key not in _counted:
        # The executor runs in inference mode, where torch would not split operators into countable ones.
        with torch.inference_mode(False), torch.no_grad():
            _counted[key] = _count(unet_config, shape, cut)
    return _counted[key]


def saved_share(costs: PassCosts, kinds: Iterable[Kind]) -> float:
    """Share of a run's FLOPs that a schedule saves, 0 to 1."""
    kinds = list(kinds)
    adaptor_share = sum(kind is Kind.ADAPTOR for kind in kinds) / max(1, len(kinds))
    return adaptor_share * (1.0 - costs.ratio)


def _count(unet_config: dict, shape: CallShape, cut: Cut) -> PassCosts:
    unet = host.meta_unet(unet_config)
    geometry = Geometry.of(unet)
    full = _flops_of(lambda: _meta_call(shape).run(unet._forward))
    r_out = _meta_r_out(unet, geometry, cut, shape)
    adaptor = _flops_of(lambda: high_res_pass(unet, geometry, cut, _meta_call(shape), lambda _r_in, _emb: r_out))
    return PassCosts(full, adaptor, tuple(r_out.shape))


def _meta_call(shape: CallShape) -> UNetCall:
    def empty(size: tuple[int, ...] | None) -> Tensor | None:
        # Class labels are whole numbers, one for each sample.
        dtype = torch.long if size is not None and len(size) == 1 else torch.float32
        return None if size is None else torch.empty(size, dtype=dtype, device="meta")

    return UNetCall(
        x=torch.empty(shape.x, device="meta"),
        timesteps=torch.empty(shape.x[0], device="meta"),
        context=empty(shape.context),
        y=empty(shape.y),
        transformer_options={"optimized_attention_override": host.plain_attention},
        extra={} if shape.frames is None else {"num_video_frames": shape.frames},
    )


def _meta_r_out(unet: host.UNetModel, geometry: Geometry, cut: Cut, shape: CallShape) -> Tensor:
    """An r_out of the right shape: what enters the first kept output block, or its upsample."""
    first_kept = geometry.blocks - cut.kept_blocks
    if cut.place is Place.BEFORE_UPSAMPLE:
        block = cast(torch.nn.Sequential, unet.output_blocks[first_kept - 1])
        block[-1] = TappedUpsample(cast(host.Upsample, block[-1]))
    _, captured = full_pass(unet._forward, _meta_call(shape), first_kept, 1, cut.place)
    assert captured is not None
    return captured.r_out[0]


def _flops_of(run: Callable[[], object]) -> Flops:
    with FlopCounterMode(display=False) as counter:
        run()
    counts = counter.get_flop_counts()["Global"]
    attention = sum(flops for operator, flops in counts.items() if str(operator).split(".")[-1] in _ATTENTION_OPERATORS)
    return Flops(layers=sum(counts.values()) - attention, attention=attention)
