"""The host's layers and its memory management, for adaptors with a network. No other file here imports `comfy`."""

from __future__ import annotations

import comfy.model_management
import comfy.ops
import torch

from ..clockwork_core.host import ModelPatcher, ResBlock

__all__ = ["ModelPatcher", "ResBlock", "managed", "operations"]

# Layers that cast their weights to what they are given, wherever they lie: an adaptor computes in the dtype and on the
# device of the UNet that it stands in, which is not known when its file is loaded.
operations = comfy.ops.manual_cast


def managed(network: torch.nn.Module) -> ModelPatcher:
    """The network as a model of its own, which the host loads, offloads and counts beside the UNet."""
    return ModelPatcher(
        network,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
