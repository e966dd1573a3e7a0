"""ControlNets of the host's own classes for the toy UNets, with random weights, and graphs that use them."""

from __future__ import annotations

import comfy.cldm.cldm
import comfy.controlnet
import torch
import toys

import nodes

CONFIG_KEYS = (
    "image_size", "in_channels", "model_channels", "num_res_blocks", "channel_mult", "use_spatial_transformer",
    "transformer_depth", "transformer_depth_middle", "context_dim", "legacy", "num_classes", "adm_in_channels",
    "use_linear_in_transformer", "num_heads", "num_head_channels",
)  # fmt: skip


def toy_controlnet(model, seed: int = 20, depth_of_effect: float = 0.3) -> comfy.controlnet.ControlNet:
    """A ControlNet for a toy MODEL. depth_of_effect: how much its residuals matter, 1 = as much as the skips."""
    config = model.model.model_config.unet_config
    network = comfy.cldm.cldm.ControlNet(hint_channels=3, **{key: config[key] for key in CONFIG_KEYS if key in config})
    toys.randomize(network, seed)
    with torch.no_grad():
        for convolution in [*network.zero_convs, network.middle_block_out]:
            for parameter in convolution.parameters():
                parameter.mul_(depth_of_effect)
    cpu = torch.device("cpu")
    return comfy.controlnet.ControlNet(network, load_device=cpu, manual_cast_dtype=None)


def hint(seed: int = 30, size: int = 128) -> torch.Tensor:
    """An IMAGE (1, size, size, 3)."""
    return torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(seed))


def controlled(control, strength: float = 1.0, start: float = 0.0, end: float = 1.0, onto: tuple | None = None):
    """Positive and negative conditionings with the ControlNet on them, as ControlNetApplyAdvanced makes them."""
    positive, negative = onto or (toys.conditioning(10), toys.conditioning(11))
    return nodes.ControlNetApplyAdvanced().apply_controlnet(positive, negative, control, hint(), strength, start, end)
