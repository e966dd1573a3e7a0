"""A small trained adaptor for the sd15 toy, and its file with something changed."""

from __future__ import annotations

import json
from pathlib import Path

import toys
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from clockwork_pack.adaptors import Description, LearnedAdaptor, TrainedFor, untrained
from clockwork_pack.adaptors.resnet import ResNetConfig
from clockwork_pack.clockwork_core.cut import Seam

SEAM = Seam(kept_blocks=3, r_in=32, r_out=64, embedding=128, context=16)
TRAINED = TrainedFor(steps=8, sampler="dpmpp_2m", scheduler="karras", cfg=4.0, clock=2, prompts=100)
DESCRIPTION = Description("resnet", ResNetConfig(width=32), SEAM, TRAINED, 0.5)


def trained_adaptor(description: Description = DESCRIPTION) -> LearnedAdaptor:
    """With random weights everywhere, also in the layers that begin as zero."""
    adaptor = untrained(description)
    toys.randomize(adaptor.network, seed=0)
    return adaptor


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def rewrite(source: Path, target: Path, entry: str, value: dict | str | None) -> Path:
    """The file with one entry of its metadata replaced, left out (None), or changed in some values (a dict)."""
    metadata = metadata_of(source)
    if isinstance(value, dict):
        value = json.dumps({**json.loads(metadata[entry]), **value})
    if value is None:
        del metadata[entry]
    else:
        metadata[entry] = value
    save_file(load_file(source), target, metadata)
    return target
