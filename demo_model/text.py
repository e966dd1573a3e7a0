"""The pocket text encoder as the host's own CLIP: to the host it is a CLIP-L of another size."""

from __future__ import annotations

import comfy.sd
import torch
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer
from comfy.supported_models_base import ClipTarget

from .file import PocketFile

POSITIONS = "embeddings.position_embedding.weight"
TOKENS = "embeddings.token_embedding.weight"


def text_encoder(file: PocketFile) -> comfy.sd.CLIP:
    """The text encoder with its tokenizer; a prompt becomes (1, context_tokens * sections, width).

    The UNet saw only the first `context_tokens` of 77 padded tokens. Attention is causal, so a shorter
    section gives the same embeddings; longer prompts go to further sections, as with every CLIP.
    Raises ValueError if a weight is missing, unknown or of another shape than the file's configuration says.
    """
    # The two options with which the host itself resizes a CLIP-L (see comfy/text_encoders/long_clipl.py).
    clip = comfy.sd.CLIP(
        ClipTarget(SD1Tokenizer, SD1ClipModel),
        tokenizer_data={"clip_l_max_length": file.context_tokens},
        model_options={
            "clip_l_model_config": {**file.text_config, "max_position_embeddings": file.context_tokens},
        },
        parameters=sum(tensor.numel() for tensor in file.text.values()),
    )
    _load(clip, file)
    return clip


def _load(clip: comfy.sd.CLIP, file: PocketFile) -> None:
    transformer = clip.cond_stage_model.clip_l.transformer
    if POSITIONS not in file.text:
        raise ValueError(f"{file.path}: it has no 'text.{POSITIONS}'.")
    weights = {
        **file.text,
        POSITIONS: file.text[POSITIONS][: file.context_tokens],
        TOKENS: file.token_embedding(transformer.get_input_embeddings().weight.shape[0]),
    }
    try:
        transformer.text_model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{file.path}: the text encoder's weights do not fit its configuration. {error}") from error
    # Only the pooled output passes through it, which this UNet does not read; the host leaves it uninitialised.
    with torch.no_grad():
        torch.nn.init.eye_(transformer.text_projection.weight)
