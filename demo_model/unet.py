"""The pocket UNet as the host's own MODEL: the host's UNetModel in its BaseModel in its ModelPatcher."""

from __future__ import annotations

from typing import ClassVar

import comfy.latent_formats
import comfy.model_base
import comfy.model_management as management
import comfy.supported_models_base
import torch
from comfy.model_patcher import ModelPatcher

from .file import PocketFile

COLOURS = 3
SUBPIXELS = 4


class PocketLatent(comfy.latent_formats.LatentFormat):
    """RGB pixels in [-1, 1], each 2x2 block folded into the channels by `pixel_unshuffle`."""

    latent_channels = COLOURS * SUBPIXELS

    def __init__(self) -> None:
        # A preview pixel is the mean of its block; pixel_unshuffle keeps the four sub-pixels of a colour together.
        self.latent_rgb_factors = [
            [1 / SUBPIXELS if channel // SUBPIXELS == colour else 0.0 for colour in range(COLOURS)]
            for channel in range(self.latent_channels)
        ]


class PocketModelConfig(comfy.supported_models_base.BASE):
    """Tells the host how to build, store and sample the pocket UNet; the geometry comes from the file."""

    # The file's configuration is complete.
    unet_extra_config: ClassVar[dict[str, int]] = {}
    latent_format = PocketLatent
    # A tenth of the channels of SD 1.x, whose factor is 1.
    memory_usage_factor = 0.1

    def model_type(self, state_dict, prefix=""):  # noqa: ARG002 (the host's signature)
        return comfy.model_base.ModelType.V_PREDICTION

    def get_model(self, state_dict, prefix="", device=None):
        if self.unet_config.get("num_classes") != "sequential":
            return super().get_model(state_dict, prefix, device)
        # The host's SDXL adds the picture's size to the pooled prompt, both of any width.
        return comfy.model_base.SDXL(self, model_type=self.model_type(state_dict, prefix), device=device)

    def inpaint_model(self):
        # The host takes any UNet with more than four input channels for an inpainting model.
        return False


def unet_patcher(file: PocketFile) -> ModelPatcher:
    """The UNet on the host's offload device, in the data type that the host chooses for fp16 weights.

    Raises ValueError if a weight is missing, unknown or of another shape than the file's configuration says.
    """
    config = PocketModelConfig(file.unet_config)
    load_device = management.get_torch_device()
    supported = list(config.supported_inference_dtypes)
    parameters = sum(tensor.numel() for tensor in file.unet.values())
    dtype = management.unet_dtype(model_params=parameters, supported_dtypes=supported, weight_dtype=torch.float16)
    config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, load_device, supported))

    offload_device = management.unet_offload_device()
    model = config.get_model(file.unet).to(offload_device)
    try:
        model.diffusion_model.load_state_dict(file.unet)
    except RuntimeError as error:
        raise ValueError(f"{file.path}: the UNet's weights do not fit its configuration. {error}") from error
    return ModelPatcher(model, load_device=load_device, offload_device=offload_device)
