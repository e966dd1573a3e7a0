"""Turn a training run's checkpoint into the file that the pack ships."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...demo_model.file import BETA_SCHEDULE, PREDICTION, TOKEN_IDS, TOKEN_ROWS
from .data import COLOURS, FOLD, PICTURE
from .geometry import CONTEXT_TOKENS, GEOMETRIES, TEXT_CONFIG
from .train import CACHE, load_checkpoint

TOKEN_EMBEDDING = "text.embeddings.token_embedding.weight"


def export(state: dict[str, Any], out: Path) -> None:
    """Write the averaged weights of a trainer's `state` to `out` in half precision, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.part")
    save_file(_tensors(state), unfinished, _metadata(state))
    unfinished.replace(out)


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    tensors = {name: weight.half().contiguous() for name, weight in state["average"].items()}
    tensors[TOKEN_ROWS] = tensors.pop(TOKEN_EMBEDDING)
    tensors[TOKEN_IDS] = state["token_ids"].to(torch.int32)
    return tensors


def _metadata(state: dict[str, Any]) -> dict[str, str]:
    side = PICTURE // FOLD
    return {
        "steps": str(state["prior_updates"] + state["update"]),
        "prediction": PREDICTION,
        "beta_schedule": BETA_SCHEDULE,
        "latent": f"pixel_unshuffle(2 * rgb - 1, {FOLD}) of {PICTURE}x{PICTURE} RGB: {3 * FOLD**2}x{side}x{side}",
        "context_tokens": str(CONTEXT_TOKENS),
        "unet_config": json.dumps(GEOMETRIES[state["settings"]["geometry"]]),
        "text_config": json.dumps(TEXT_CONFIG),
        "icons": json.dumps(state["icons"]),
        "colours": json.dumps(list(COLOURS)),
    }


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="./run pocket export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CACHE / "pocket.pt")
    parser.add_argument("--out", type=Path, help="default: beside the checkpoint")
    options = parser.parse_args(arguments)
    out = options.out or options.checkpoint.with_suffix(".safetensors")
    try:
        export(load_checkpoint(options.checkpoint), out)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Wrote {out}.")
    return 0
