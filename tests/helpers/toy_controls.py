"""ControlNets and their kin with random weights, of the host's own classes, to fit the toy models."""

from __future__ import annotations

import functools

import comfy.cldm.cldm
import comfy.controlnet
import comfy.ops
import comfy.t2i_adapter.adapter
import torch
import toys

import nodes


def _network(family: str, seed: int) -> torch.nn.Module:
    config = dict(toys.toy_model(family).model.model_config.unet_config)
    config.pop("out_channels")
    network = comfy.cldm.cldm.ControlNet(**config, hint_channels=3, operations=comfy.ops.disable_weight_init)
    toys.randomize(network, seed)
    return network


@functools.cache
def control_net(family: str = "sd15", seed: int = 20, **options: object) -> comfy.controlnet.ControlNet:
    return comfy.controlnet.ControlNet(_network(family, seed), load_device=torch.device("cpu"), **options)  # type: ignore[arg-type]


@functools.cache
def t2i_adapter(family: str = "sd15", seed: int = 21) -> comfy.controlnet.T2IAdapter:
    """Gives residuals to the deepest input block of each level only, as the real ones."""
    large = family == "sdxl"
    channels = [toys.WIDTH * factor for factor in (1, 2, 4, 4)]
    adapter = comfy.t2i_adapter.adapter.Adapter(
        channels, nums_rb=2, cin=768 if large else 192, ksize=1, sk=True, use_conv=False, xl=large
    )
    toys.randomize(adapter, seed)
    return comfy.controlnet.T2IAdapter(adapter, adapter.input_channels, 8, "nearest-exact")


@functools.cache
def control_lora(family: str = "sd15", seed: int = 22) -> comfy.controlnet.ControlLora:
    """The layers that a UNet has not, and low-rank changes of some that it has."""
    generator = torch.Generator().manual_seed(seed)
    weights = {"lora_controlnet": torch.tensor([])}
    for key, weight in _network(family, seed).state_dict().items():
        if key.startswith(("zero_convs", "input_hint_block", "middle_block_out")):
            weights[key] = weight
        elif key.endswith(("to_q.weight", "in_layers.2.weight")):
            name, (out, *rest) = key.removesuffix(".weight"), weight.shape
            weights[f"{name}.up"] = 0.3 * torch.randn(out, 2, generator=generator)
            weights[f"{name}.down"] = torch.randn(2, *rest, generator=generator) / weight[0].numel() ** 0.5
    return comfy.controlnet.ControlLora(weights)


def controlled(
    control: comfy.controlnet.ControlBase,
    strength: float = 0.3,
    start: float = 0.0,
    end: float = 1.0,
    onto: tuple[list, list] | None = None,
) -> tuple[list, list]:
    """Positive and negative conditionings with the ControlNet on them, as the host's node puts it there."""
    positive, negative = onto or (toys.conditioning(10), toys.conditioning(11))
    return nodes.ControlNetApplyAdvanced().apply_controlnet(positive, negative, control, hint(), strength, start, end)


def hint(seed: int = 30, batch: int = 1) -> torch.Tensor:
    """An IMAGE (batch, 128, 128, 3) for a latent of 16x16."""
    return torch.rand(batch, 128, 128, 3, generator=torch.Generator().manual_seed(seed))
