"""Every family of UNets, at each cut; and the models that are no UNets, refused with a sentence."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import comfy.supported_models as supported
import torch
import toys
from cell import Cell, Patch
from comfy.model_patcher import ModelPatcher
from comfy_extras import nodes_ip2p, nodes_stable3d, nodes_video_model
from torch import Tensor
from toy_graph import call, graph, sample, toy

AXIS = "families"
VIDEO = ("svd", "sv3d")
FRAMES = 3


class ToyVAE:
    """Encodes an IMAGE (B, H, W, 3) into random latents (B, 4, H/8, W/8)."""

    def encode(self, pixels: Tensor) -> Tensor:
        batch, height, width, _ = pixels.shape
        return torch.randn(batch, 4, height // 8, width // 8, generator=torch.Generator().manual_seed(40))


VISION = SimpleNamespace(
    encode_image=lambda *_args, **_kwargs: SimpleNamespace(
        image_embeds=torch.randn(1, toys.CONTEXT, generator=torch.Generator().manual_seed(41))
    )
)
IMAGE = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(42))


def _draw(patch: Patch, family: str) -> Tensor:
    return sample(patch(toy(family)), size=(8, 8) if family in VIDEO else (16, 16), batch=toys.FAMILIES[family].batch)


def _image_to_video(patch: Patch) -> Tensor:
    positive, negative, latent = call(
        nodes_video_model.SVD_img2vid_Conditioning, VISION, IMAGE, ToyVAE(), 64, 64, FRAMES, 127, 6, 0.0
    )
    return sample(patch(toy("svd")), positive=positive, negative=negative, latent=latent["samples"])


def _image_to_views(patch: Patch) -> Tensor:
    positive, negative, latent = call(nodes_stable3d.SV3D_Conditioning, VISION, IMAGE, ToyVAE(), 64, 64, FRAMES, 10.0)
    return sample(patch(toy("sv3d")), positive=positive, negative=negative, latent=latent["samples"])


def _instruct(patch: Patch) -> Tensor:
    positive, negative, latent = call(
        nodes_ip2p.InstructPixToPixConditioning, toys.conditioning(10), toys.conditioning(11), IMAGE, ToyVAE()
    )
    return sample(patch(toy("sd15 instruct-pix2pix")), positive=positive, negative=negative, latent=latent["samples"])


def _empty(config: type[supported.supported_models_base.BASE], unet_config: dict) -> ModelPatcher:
    """A model without memory for its weights: it is refused before anyone looks at them."""
    base_model = config({**unet_config, "dtype": torch.float32}).get_model({}, device=torch.device("meta"))
    return ModelPatcher(base_model, torch.device("cpu"), torch.device("cpu"))


def _refused(patch: Patch, config: type, unet_config: dict) -> Tensor:
    return sample(patch(_empty(config, unet_config)))


def _refused_flux(patch: Patch) -> Tensor:
    return sample(patch(toys.toy_transformer()))


REFUSED = {
    "Stable Diffusion 3": (
        supported.SD3,
        {
            "in_channels": 16,
            "pos_embed_scaling_factor": None,
            "depth": 1,
            "input_size": 8,
            "adm_in_channels": 8,
            "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": 8, "out_features": 64}},
            "qk_norm": "rms",
            "pos_embed_max_size": 8,
        },
    ),
    "AuraFlow": (supported.AuraFlow, {"max_seq": 16, "cond_seq_dim": 8, "n_double_layers": 1, "n_layers": 1}),
    "Stable Cascade": (supported.Stable_Cascade_C, {"stable_cascade_stage": "c"}),
    "HunyuanDiT": (supported.HunyuanDiT, {"depth": 1, "hidden_size": 16, "num_heads": 2}),
    "Wan 2.1": (supported.WAN21_T2V, {"model_type": "t2v", "dim": 16, "ffn_dim": 16, "num_heads": 2, "num_layers": 1}),
    "LTX-Video": (
        supported.LTXV,
        {"num_layers": 1, "attention_head_dim": 8, "num_attention_heads": 2, "cross_attention_dim": 16},
    ),
    "Lumina 2": (
        supported.Lumina2,
        {
            "dim": 16,
            "n_layers": 1,
            "n_heads": 2,
            "n_kv_heads": 2,
            "axes_dims": [4, 2, 2],
            "axes_lens": [8, 8, 8],
            "cap_feat_dim": 8,
        },
    ),
    "Qwen-Image": (supported.QwenImage, {"num_layers": 1}),
}
REFUSAL = r"Clockwork cannot cut the model \w+ \(its network is a \w+\): it works with UNet models, such as SD 1\.x"
TRANSFORMER_NOTE = "A transformer has no skip connections to cut at."

CELLS = [
    *(
        Cell(AXIS, family, graph(_draw, family=family), cut, cut=cut)
        for family in toys.FAMILIES
        for cut in ("stage 1", "stage 2", "custom")
        if not (family in VIDEO and cut == "custom")
    ),
    Cell(AXIS, "svd", _image_to_video, "image to video"),
    Cell(AXIS, "sv3d", _image_to_views, "image to views"),
    Cell(AXIS, "sd15 instruct-pix2pix", _instruct, "with a picture"),
    Cell(AXIS, "Flux", _refused_flux, refusal=REFUSAL, note=TRANSFORMER_NOTE),
    *(
        Cell(AXIS, name, partial(_refused, config=config, unet_config=unet_config), refusal=REFUSAL)
        for name, (config, unet_config) in REFUSED.items()
    ),
]
