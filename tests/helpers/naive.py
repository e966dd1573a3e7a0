"""Clockwork in a few plain lines, to hold the engine against: a loop over blocks, a dictionary, a counter."""

from __future__ import annotations

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import forward_timestep_embed, timestep_embedding


def naive_forward(unet, x, timesteps, context, kept, features):
    """A plain transcription: all blocks if `features` is empty (and fill it), else the outer `kept` with it."""
    options = {"transformer_index": 0}
    emb = unet.time_embed(timestep_embedding(timesteps, unet.model_channels))
    h, skips = x, []
    inner = "h" not in features
    for index, block in enumerate(unet.input_blocks):
        if inner or index < kept:
            h = forward_timestep_embed(block, h, emb, context, options)
            skips.append(h)
    if inner:
        h = forward_timestep_embed(unet.middle_block, h, emb, context, options)
    first_kept = len(unet.output_blocks) - kept
    for index, block in enumerate(unet.output_blocks):
        if index == first_kept:
            h = features.setdefault("h", h)
        if inner or index >= first_kept:
            h = torch.cat([h, skips.pop()], 1)
            h = forward_timestep_embed(block, h, emb, context, options, skips[-1].shape if skips else None)
    return unet.out(h)


class NaiveClock:
    """A DIFFUSION_MODEL wrapper: a full pass every `clock` calls; cond and uncond must come in one batch."""

    def __init__(self, unet, clock, kept):
        self.unet, self.clock, self.kept = unet, clock, kept
        self.features, self.calls = {}, 0

    def __call__(self, _executor, x, timesteps, context, *_others, **_extra):
        if self.calls % self.clock == 0:
            self.features = {}
        self.calls += 1
        return naive_forward(self.unet, x, timesteps, context, self.kept, self.features)
