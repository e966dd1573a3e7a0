"""Write a checkpoint with the true geometry of SD 1.5 or SDXL and random weights.

    python tools/make_checkpoint.py {sd15,sdxl} --out FILE [--seed 0]

It draws noise, but costs exactly what the real one does and loads with the host's own nodes: for timings and for
tests of the whole way, where nothing can be downloaded. SD 1.5 takes 2.1 GB, SDXL 6.9 GB.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from in_process import prepare_host
from safetensors import SafetensorError, safe_open
from torch import Tensor

# Raise it when the same seed gives other weights than before: files of an older recipe are then made anew.
RECIPE_VERSION = "1"
RECIPE_KEY = "clockwork_recipe"

Inventory = Mapping[str, Tensor]

_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "use_spatial_transformer": True,
    "use_temporal_attention": False,
    "legacy": False,
}
_SD15_UNET = {
    **_UNET,
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "context_dim": 768,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
}
_SDXL_UNET = {
    **_UNET,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_middle": 10,
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "context_dim": 2048,
    "use_linear_in_transformer": True,
    "num_classes": "sequential",
    "adm_in_channels": 2816,
}
_VAE = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "dropout": 0.0,
}

# ComfyUI is imported inside the functions that need it: only main() knows where it lies.


def _sd15_parts() -> tuple[Any, torch.nn.Module]:
    from comfy.sd1_clip import SD1ClipModel
    from comfy.supported_models import SD15

    return SD15(_SD15_UNET), SD1ClipModel(device="meta", dtype=torch.float16)


def _sdxl_parts() -> tuple[Any, torch.nn.Module]:
    from comfy.sdxl_clip import SDXLClipModel
    from comfy.supported_models import SDXL

    return SDXL(_SDXL_UNET), SDXLClipModel(device="meta", dtype=torch.float16)


GEOMETRIES: dict[str, Callable[[], tuple[Any, torch.nn.Module]]] = {"sd15": _sd15_parts, "sdxl": _sdxl_parts}


def inventory(geometry: str) -> Inventory:
    """Every tensor of the checkpoint, by the name it has in published ones.

    Weights are on the meta device and have no values yet; the few constants (position ids) have theirs.
    Raises ValueError for an unknown geometry.
    """
    if geometry not in GEOMETRIES:
        raise ValueError(f"The geometry is {geometry!r}, but must be one of {', '.join(GEOMETRIES)}.")
    from comfy.ldm.models.autoencoder import AutoencoderKL

    config, text_encoder = GEOMETRIES[geometry]()
    config.set_inference_dtype(torch.float16, None)
    model = config.get_model({}, device="meta")
    with torch.device("meta"):
        vae = AutoencoderKL(ddconfig=_VAE, embed_dim=4)
    # The host's own way to save a checkpoint knows the published names.
    return model.state_dict_for_saving(text_encoder.state_dict(), vae.state_dict())


# The last layer of each residual branch: kept small, or activations would grow from block to block.
_BRANCH_ENDS = ("out_layers.3.weight", "proj_out.weight", "to_out.0.weight", "ff.net.2.weight", "conv2.weight")
_BRANCH_GAIN = 0.1
_EMBEDDINGS = ("token_embedding.weight", "position_embedding.weight", "positional_embedding")
_EMBEDDING_STD = 0.02


def random_weight(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """A float32 tensor whose layer keeps the scale of its input: norms are one, biases zero, the rest fan-in noise."""
    if len(shape) < 2:
        return torch.full(shape, 0.0 if name.endswith("bias") else 1.0)
    if name.endswith(_EMBEDDINGS):
        return torch.randn(shape, generator=generator) * _EMBEDDING_STD
    gain = _BRANCH_GAIN if name.endswith(_BRANCH_ENDS) else 1.0
    return torch.randn(shape, generator=generator) * (gain / math.sqrt(math.prod(shape[1:])))


def stored_dtype(tensor: Tensor) -> torch.dtype:
    """Half precision for weights; integers stay what they are."""
    return torch.float16 if tensor.is_floating_point() else tensor.dtype


_SAFETENSORS_DTYPES = {torch.float16: "F16", torch.int64: "I64"}


def write_streaming(
    file: BinaryIO, contents: Inventory, metadata: dict[str, str], values: Callable[[str, Tensor], Tensor]
) -> None:
    """Write a safetensors file one tensor at a time (`save_file` would hold all 6.9 GB of SDXL in memory).

    values(name, tensor): the values of one entry of `contents`, asked for in the order of the file.
    """
    # Wide types first, so that each tensor lies at a multiple of its own item size.
    names = sorted(contents, key=lambda name: (-stored_dtype(contents[name]).itemsize, name))
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in names:
        dtype = stored_dtype(contents[name])
        start, end = end, end + contents[name].numel() * dtype.itemsize
        shape = list(contents[name].shape)
        header[name] = {"dtype": _SAFETENSORS_DTYPES[dtype], "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little") + encoded)
    for name in names:
        tensor = values(name, contents[name])
        file.write(tensor.to(stored_dtype(contents[name])).contiguous().numpy().tobytes())


def make_checkpoint(geometry: str, out: Path, seed: int = 0, report: Callable[[str], None] = print) -> bool:
    """Write the checkpoint to `out`, whole or not at all; False if this very checkpoint was there already.

    Raises ValueError for an unknown geometry, FileExistsError if `out` is a file that this tool did not make.
    """
    recipe = {RECIPE_KEY: RECIPE_VERSION, "geometry": geometry, "seed": str(seed)}
    if out.exists() and _recipe_of(out) == recipe:
        report(f"{out} is there already.")
        return False
    contents = inventory(geometry)
    generator = torch.Generator().manual_seed(seed)
    progress = _Progress(sum(tensor.numel() for tensor in contents.values()), report)

    def values(name: str, tensor: Tensor) -> Tensor:
        filled = random_weight(name, tensor.shape, generator) if tensor.is_meta else tensor
        progress.advance(tensor.numel())
        return filled

    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f"{out.name}.part")
    try:
        with unfinished.open("wb") as file:
            write_streaming(file, contents, recipe, values)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    report(f"Wrote {out}: {out.stat().st_size / 1e9:.2f} GB.")
    return True


def _recipe_of(path: Path) -> dict[str, str]:
    """The recipe that a checkpoint of ours was made by; it is a user's own file if there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            recipe = file.metadata() or {}
    except SafetensorError:
        recipe = {}
    if RECIPE_KEY not in recipe:
        raise FileExistsError(f"{path} exists and was not made by this tool: choose another name, or remove it.")
    return recipe


class _Progress:
    """Says every tenth how far it is."""

    def __init__(self, total: int, report: Callable[[str], None]) -> None:
        self._total = total
        self._report = report
        self._done = 0
        self._start = time.monotonic()

    def advance(self, amount: int) -> None:
        tenths_before = 10 * self._done // self._total
        self._done += amount
        tenths = 10 * self._done // self._total
        if tenths > tenths_before:
            self._report(f"{10 * tenths:3d} % of {self._total / 1e9:.2f} G values, {self._seconds:.0f} s")

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write a checkpoint of true geometry with random weights.")
    parser.add_argument("geometry", choices=list(GEOMETRIES))
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    prepare_host(cpu=True)
    try:
        make_checkpoint(options.geometry, options.out, options.seed)
    except FileExistsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
