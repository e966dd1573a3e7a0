"""The two networks that are trained together, built from the host's classes: the UNet and the text encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.ops
import torch
from comfy.clip_model import CLIPLayer, CLIPTextModel_
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from torch import Tensor, nn

from ...demo_model import PocketFile
from .geometry import SIZE_WIDTH, SIZES, TEXT_CONFIG

# Zero at the start, so that each residual branch, and the whole network, begins as nothing.
_ZERO_AT_FIRST = ("out_layers.3", "proj_out", ".out.2")
_EMBEDDING_STD = 0.3

_HOST_OPERATIONS = comfy.ops.disable_weight_init


def matmul_attention(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Attention (b, n, c) written out: on a CPU, flash attention's backward pass is slow for small heads."""
    batch, length, channels = query.shape
    query, key, value = (
        tensor.reshape(batch, -1, heads, channels // heads).transpose(1, 2) for tensor in (query, key, value)
    )
    scores = query @ key.transpose(-1, -2) * (channels // heads) ** -0.5  # (b, heads, n, m)
    if mask is not None:
        scores = scores + mask
    mixed = scores.softmax(-1).to(value.dtype) @ value
    return mixed.transpose(1, 2).reshape(batch, length, channels)


def _attention_override(_hosts_own: Callable[..., Tensor], *tensors_and_heads: Any, **_options: Any) -> Tensor:
    return matmul_attention(*tensors_and_heads)


class TrainableCLIPLayer(CLIPLayer):
    """The host's layer with the same weights and results; the host's own adds in place, which forbids training."""

    def forward(self, x: Tensor, mask: Tensor | None = None, optimized_attention: object = None) -> Tensor:  # noqa: ARG002
        x = x + self.self_attn(self.layer_norm1(x), mask, matmul_attention)
        return x + self.mlp(self.layer_norm2(x))


class PocketNetworks(nn.Module):
    """Both networks in one module, whose weights have the names of the pocket file.

    unet_config: one of GEOMETRIES. tokens: how many tokens the embedding has a row for, end_token: the row of the one
    that ends a prompt (see `Captions`).
    """

    def __init__(self, unet_config: dict[str, Any], tokens: int, end_token: int) -> None:
        super().__init__()
        self._unet_config = unet_config
        self.unet = UNetModel(**unet_config, dtype=torch.float32, operations=_HOST_OPERATIONS)
        self.unet.to(memory_format=torch.channels_last)
        self.text = _text_encoder(tokens, end_token)
        self.requires_grad_(True)

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        """The predicted v (b, 12, h, w) for noisy latents of that shape, timesteps (b,) and tokens
        (b, CONTEXT_TOKENS)."""
        context, _, pooled = self.text(tokens, dtype=torch.float32)
        y = _label(pooled) if self.unet.num_classes is not None else None
        options = {"optimized_attention_override": _attention_override}
        noisy = noisy.to(memory_format=torch.channels_last)
        return self.unet(noisy, timesteps, context=context, y=y, transformer_options=options)

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Fresh weights; the host's layers come without any."""
        for name, module in self.named_modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
                if name.endswith(_ZERO_AT_FIRST):
                    module.weight.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(std=_EMBEDDING_STD, generator=generator)
            elif isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
                module.weight.fill_(1.0)
                module.bias.zero_()

    @torch.no_grad()
    def load_pocket(self, file: PocketFile, token_ids: Tensor) -> None:
        """Take over a pocket file's text encoder, and its UNet if that has the same geometry.

        Tokens that the file does not know keep what they have. token_ids (n,): the token of each row of the embedding.
        Raises ValueError if the file has another kind of text encoder.
        """
        if file.text_config != TEXT_CONFIG:
            raise ValueError(f"{file.path} has another text encoder than this recipe trains: {file.text_config}.")
        if file.unet_config == self._unet_config:
            self.unet.load_state_dict(file.unet)
        rows = self.text.embeddings.token_embedding.weight.clone()
        row_of = {token: row for row, token in enumerate(token_ids.tolist())}
        for token, values in zip(file.token_ids.tolist(), file.token_rows, strict=True):
            if token in row_of:
                rows[row_of[token]] = values.to(rows)
        self.text.load_state_dict({**file.text, "embeddings.token_embedding.weight": rows})


def _label(pooled: Tensor) -> Tensor:
    """What SDXL's label embedding gets (b, adm_in_channels): the pooled prompts (b, width) and the pictures' size."""
    sizes = timestep_embedding(torch.tensor(SIZES, device=pooled.device), SIZE_WIDTH).flatten()
    return torch.cat([pooled, sizes.expand(len(pooled), -1)], dim=1)


def _text_encoder(tokens: int, end_token: int) -> CLIPTextModel_:
    text = CLIPTextModel_({**TEXT_CONFIG, "eos_token_id": end_token}, torch.float32, "cpu", _HOST_OPERATIONS)
    width = TEXT_CONFIG["hidden_size"]
    text.embeddings.token_embedding = _HOST_OPERATIONS.Embedding(tokens, width, dtype=torch.float32)
    layer = (width, TEXT_CONFIG["num_attention_heads"], TEXT_CONFIG["intermediate_size"], TEXT_CONFIG["hidden_act"])
    text.encoder.layers = nn.ModuleList(
        TrainableCLIPLayer(*layer, torch.float32, "cpu", _HOST_OPERATIONS) for _ in text.encoder.layers
    )
    return text
