"""Toy models: the host's own UNet class with the structure of each family, a few channels wide, random weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import comfy.model_patcher
import comfy.sample
import comfy.supported_models as supported
import torch
from comfy.supported_models_base import BASE
from torch import Tensor

WIDTH = 32
CONTEXT = 16
HEADS = {"num_heads": 4, "num_head_channels": -1}

_COMMON = {
    "image_size": 32,
    "out_channels": 4,
    "use_spatial_transformer": True,
    "legacy": False,
    "model_channels": WIDTH,
    "context_dim": CONTEXT,
    "dtype": torch.float32,
}
_FOUR_LEVELS = {
    **_COMMON,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "in_channels": 4,
    "adm_in_channels": None,
}
_THREE_LEVELS = {
    **_COMMON,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "in_channels": 4,
    "num_classes": "sequential",
    "adm_in_channels": 2816,
    "use_linear_in_transformer": True,
}
_VIDEO = {
    **_FOUR_LEVELS,
    "in_channels": 8,
    "num_classes": "sequential",
    "use_linear_in_transformer": True,
    "use_temporal_attention": True,
    "use_temporal_resblock": True,
    "extra_ff_mix_layer": True,
    "use_spatial_context": True,
    "merge_strategy": "learned_with_images",
    "merge_factor": 0.0,
    "video_kernel_size": [3, 1, 1],
    "disable_temporal_crossattention": False,
}


@dataclass(frozen=True)
class Family:
    """How to build one family's toy. model_config: the host's class that real checkpoints get."""

    model_config: type[BASE]
    unet_config: dict = field(hash=False)
    batch: int = 1


FAMILIES = {
    "sd15": Family(supported.SD15, _FOUR_LEVELS),
    "sd15 inpaint": Family(supported.SD15, {**_FOUR_LEVELS, "in_channels": 9}),
    "sd15 instruct-pix2pix": Family(supported.SD15_instructpix2pix, {**_FOUR_LEVELS, "in_channels": 8}),
    "sd20": Family(supported.SD20, {**_FOUR_LEVELS, "use_linear_in_transformer": True}),
    "sdxl": Family(
        supported.SDXL,
        {
            **_THREE_LEVELS,
            "transformer_depth": [0, 0, 2, 2, 3, 3],
            "transformer_depth_output": [0, 0, 0, 2, 2, 2, 3, 3, 3],
            "transformer_depth_middle": 3,
        },
    ),
    "sdxl refiner": Family(
        supported.SDXLRefiner,
        {
            **_FOUR_LEVELS,
            "transformer_depth": [0, 0, 2, 2, 2, 2, 0, 0],
            "transformer_depth_output": [0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0],
            "transformer_depth_middle": 2,
            "num_classes": "sequential",
            "adm_in_channels": 2560,
            "use_linear_in_transformer": True,
        },
    ),
    "ssd-1b": Family(
        supported.SSD1B,
        {
            **_THREE_LEVELS,
            "transformer_depth": [0, 0, 2, 2, 4, 4],
            "transformer_depth_output": [0, 0, 0, 1, 1, 2, 4, 4, 4],
            "transformer_depth_middle": -1,
        },
    ),
    "vega": Family(
        supported.Segmind_Vega,
        {
            **_THREE_LEVELS,
            "transformer_depth": [0, 0, 1, 1, 2, 2],
            "transformer_depth_output": [0, 0, 0, 1, 1, 1, 2, 2, 2],
            "transformer_depth_middle": -1,
        },
    ),
    "koala 700m": Family(
        supported.KOALA_700M,
        {
            **_THREE_LEVELS,
            "num_res_blocks": [1, 1, 1],
            "transformer_depth": [0, 2, 5],
            "transformer_depth_output": [0, 0, 2, 2, 5, 5],
            "transformer_depth_middle": -2,
        },
    ),
    "svd": Family(supported.SVD_img2vid, {**_VIDEO, "adm_in_channels": 768}, batch=3),
    "sv3d": Family(supported.SV3D_p, {**_VIDEO, "adm_in_channels": 1280}, batch=3),
    "x4 upscaler": Family(
        supported.SD_X4Upscaler,
        {
            **_FOUR_LEVELS,
            "in_channels": 7,
            "num_classes": 1000,
            "channel_mult": [1, 2, 2, 4],
            "transformer_depth": [0, 0, 1, 1, 1, 1, 1, 1],
            "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
            "disable_self_attentions": [True, True, True, False],
            "use_linear_in_transformer": True,
        },
    ),
}


# Two levels of one block: for what takes long for each block, such as compiling.
TINIEST = Family(
    supported.SD15,
    {
        **_FOUR_LEVELS,
        "num_res_blocks": [1, 1],
        "channel_mult": [1, 2],
        "transformer_depth": [0, 1],
        "transformer_depth_output": [0, 0, 1, 1],
    },
)


def toy_model(name: str = "sd15", seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """A MODEL of the named family, as the host's loader would hand it out."""
    return model_of(FAMILIES[name], seed)


def model_of(family: Family, seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """The same for a family that has no name."""
    config = family.model_config(copy.deepcopy(family.unet_config))
    config.unet_config.update(HEADS)
    base_model = config.get_model({}, device=torch.device("cpu"))
    randomize(base_model.diffusion_model, seed)
    return comfy.model_patcher.ModelPatcher(base_model, torch.device("cpu"), torch.device("cpu"))


def randomize(network: torch.nn.Module, seed: int) -> None:
    """Fill all weights so that every block matters and activations stay of order one."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(False)
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * fan_in**-0.5)
        elif name.endswith("bias"):
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        else:
            parameter.copy_(1 + 0.1 * torch.randn(parameter.shape, generator=generator))


def conditioning(seed: int, tokens: int = 77, **extra) -> list:
    """A CONDITIONING with random embeddings and the pooled vector that SDXL wants."""
    generator = torch.Generator().manual_seed(seed)
    cross_attention = torch.randn(1, tokens, CONTEXT, generator=generator)
    pooled = torch.randn(1, 1280, generator=generator)
    return [[cross_attention, {"pooled_output": pooled, **extra}]]


def sample(
    model: comfy.model_patcher.ModelPatcher,
    *,
    steps: int = 6,
    cfg: float = 3.0,
    sampler: str = "euler",
    scheduler: str = "normal",
    seed: int = 1,
    batch: int = 1,
    size: tuple[int, int] = (16, 16),
    positive: list | None = None,
    negative: list | None = None,
    latent: Tensor | None = None,
    **options,
) -> Tensor:
    """Run the host's KSampler from an empty latent (batch, 4, *size); returns the latent."""
    if latent is None:
        channels = model.get_model_object("latent_format").latent_channels
        latent = torch.zeros(batch, channels, *size)
    noise = comfy.sample.prepare_noise(latent, seed)
    with torch.inference_mode():
        return comfy.sample.sample(
            model,
            noise,
            steps,
            cfg,
            sampler,
            scheduler,
            conditioning(10) if positive is None else positive,
            conditioning(11) if negative is None else negative,
            latent,
            seed=seed,
            disable_pbar=True,
            **options,
        )


def toy_transformer() -> comfy.model_patcher.ModelPatcher:
    """A tiny Flux: a model of the host that is no UNet."""
    config = supported.Flux(
        {
            "image_model": "flux",
            "in_channels": 4,
            "out_channels": 4,
            "vec_in_dim": 8,
            "context_in_dim": CONTEXT,
            "hidden_size": 16,
            "mlp_ratio": 2.0,
            "num_heads": 2,
            "depth": 1,
            "depth_single_blocks": 1,
            "axes_dim": [2, 2, 4],
            "theta": 10000,
            "patch_size": 2,
            "qkv_bias": True,
            "guidance_embed": False,
            "dtype": torch.float32,
        }
    )
    base_model = config.get_model({}, device=torch.device("cpu"))
    return comfy.model_patcher.ModelPatcher(base_model, torch.device("cpu"), torch.device("cpu"))
