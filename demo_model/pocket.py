"""Loads the pocket model as the three objects that ComfyUI's own nodes work with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import comfy.sd
from comfy.model_patcher import ModelPatcher

from .file import read_pocket_file
from .text import text_encoder
from .unet import unet_patcher
from .vae import PocketVAE

DEFAULT = Path(__file__).with_name("pocket.safetensors")


class DemoModel(NamedTuple):
    """What a checkpoint loader gives: MODEL, CLIP, VAE."""

    model: ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE


def load_demo_model(path: Path = DEFAULT) -> DemoModel:
    """Build the pocket model from the host's own classes, so that all of the host's nodes work unchanged.

    It was trained at 256x256 (64x64 true pixels) on the captions that `read_pocket_file(path)` lists.
    Raises FileNotFoundError if there is no file at `path`, ValueError if it is damaged or something else.
    """
    file = read_pocket_file(path)
    return DemoModel(model=unet_patcher(file), clip=text_encoder(file), vae=PocketVAE())
