"""What is trained: the shapes of the UNets and of their text encoder, as the host's classes take them.

Widths are multiples of 32, for the host's normalization has 32 groups, and small at the top, where a CPU spends most
of its time.
"""

from __future__ import annotations

from typing import Any

# No caption is longer, and attention to padding costs as much as to words.
CONTEXT_TOKENS = 24
TEXT_WIDTH = 64
TEXT_CONFIG: dict[str, Any] = {
    "num_hidden_layers": 2,
    "hidden_size": TEXT_WIDTH,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "hidden_act": "quick_gelu",
    "max_position_embeddings": CONTEXT_TOKENS,
    "eos_token_id": 49407,
}
_EVERY_UNET: dict[str, Any] = {
    "image_size": 32,
    "in_channels": 12,
    "out_channels": 12,
    "model_channels": 32,
    "num_head_channels": 32,
    "context_dim": TEXT_WIDTH,
    "use_spatial_transformer": True,
    "legacy": False,
}


# As the host describes a picture's size to SDXL: height, width, crop top, crop left, target height, target width.
SIZES = (256, 256, 0, 0, 256, 256)
SIZE_WIDTH = 256

# The keywords of the host's UNetModel.
GEOMETRIES: dict[str, dict[str, Any]] = {
    # Stable Diffusion 1.x: four levels, twelve output blocks; no transformers at the two upper levels (the paper's
    # Efficient UNet has none at the first).
    "pocket": {
        **_EVERY_UNET,
        "num_res_blocks": [2, 2, 2, 2],
        "channel_mult": [1, 1, 3, 4],
        "transformer_depth": [0, 0, 0, 0, 1, 1, 0, 0],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0],
        "use_linear_in_transformer": False,
    },
    # SDXL: three levels, nine output blocks, the transformers' depth at the bottom, and the pooled prompt and the
    # picture's size added to the time embedding.
    "pocket-xl": {
        **_EVERY_UNET,
        "num_res_blocks": [2, 2, 2],
        "channel_mult": [1, 3, 5],
        "transformer_depth": [0, 0, 1, 1, 2, 2],
        "transformer_depth_middle": 2,
        "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
        "use_linear_in_transformer": True,
        "num_classes": "sequential",
        "adm_in_channels": TEXT_WIDTH + len(SIZES) * SIZE_WIDTH,
    },
}
