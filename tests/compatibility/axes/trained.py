"""Every sampler once more on a trained UNet, the demo model, with prompts instead of random conditionings."""

from __future__ import annotations

import functools
from functools import partial

import comfy.samplers
import toys
from cell import Cell, Patch
from torch import Tensor

from clockwork_pack.demo_model import DemoModel, load_demo_model

AXIS = "demo model"
STEPS = 4
CFG = 4.0


@functools.cache
def _demo() -> DemoModel:
    return load_demo_model()


@functools.cache
def _encode(text: str) -> list:
    clip = _demo().clip
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))


def _draw(patch: Patch, sampler: str) -> Tensor:
    return toys.sample(
        patch(_demo().model),
        steps=STEPS,
        cfg=CFG,
        sampler=sampler,
        scheduler="karras",
        size=(32, 32),
        positive=_encode("rocket on a blue background"),
        negative=_encode(""),
    )


CELLS = [Cell(AXIS, sampler, partial(_draw, sampler=sampler), "karras") for sampler in comfy.samplers.KSampler.SAMPLERS]
