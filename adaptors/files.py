"""Adaptor files: safetensors with metadata. Reading one never executes code, writing one never leaves half a file."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .description import Description
from .learned import LearnedAdaptor
from .metadata import from_metadata, to_metadata

SUFFIX = ".safetensors"
# safetensors' own names of the weights' types.
DTYPES = ("F32", "F16", "BF16")
# How torch.save begins its files: a zip archive, or, long ago, a bare pickle.
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def save_adaptor(adaptor: LearnedAdaptor, path: Path) -> None:
    """Write an adaptor file; `path` holds either the whole of it or what it held before.

    Raises OSError with a sentence if it cannot be written, for example on a full disk.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in adaptor.network.state_dict().items()}
    half = path.with_name(f".{path.name}.{uuid.uuid4().hex}.half")
    try:
        save_file(weights, half, metadata=to_metadata(adaptor.description))
        with half.open("rb+") as file:
            os.fsync(file.fileno())
        half.replace(path)
    except (OSError, SafetensorError) as error:
        raise OSError(f"The adaptor could not be saved as {path}: {error}") from error
    finally:
        half.unlink(missing_ok=True)


def load_adaptor(path: Path) -> LearnedAdaptor:
    """Read an adaptor file.

    Raises FileNotFoundError if there is none, ValueError with a sentence if it is damaged, of a newer version, or
    something else.
    """
    try:
        _require_safetensors(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            description = from_metadata(file.metadata() or {})
            weights = _weights(file, description)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no adaptor file {path}.") from None
    except SafetensorError as error:
        raise ValueError(f"The adaptor file {path.name} is damaged or incomplete: {error}.") from error
    except ValueError as error:
        raise ValueError(f"The adaptor file {path.name} cannot be used: {error}") from error
    network = description.network(device="meta")
    network.load_state_dict(weights, assign=True)
    return LearnedAdaptor(description, network.requires_grad_(False))


def _require_safetensors(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(9)
    # A header of 640 or 896 bytes begins with those bytes too; but then comes its JSON.
    if start.startswith(PICKLES) and start[8:] != b"{":
        raise ValueError(
            "it is a pickle (as .ckpt and .pt files are), which could run code; only safetensors are read."
        )
    if len(start) < 8:
        raise ValueError(f"it has only {len(start)} bytes.")


def _weights(file: safe_open, description: Description) -> dict[str, Tensor]:
    """The tensors, all of them finite and of the shapes that the description asks for, before any is read."""
    expected = {name: list(tensor.shape) for name, tensor in description.network(device="meta").state_dict().items()}
    _require_names(set(file.keys()), set(expected))
    for name, shape in expected.items():
        part = file.get_slice(name)
        if part.get_shape() != shape:
            raise ValueError(f"its tensor {name} has the shape {part.get_shape()}, but must have {shape}.")
        if part.get_dtype() not in DTYPES:
            raise ValueError(f"its tensor {name} holds {part.get_dtype()}, but must hold {', '.join(DTYPES)}.")
    # Weights that are made in the executor's inference mode could never be trained on.
    with torch.inference_mode(False):
        weights = {name: file.get_tensor(name).clone() for name in expected}
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"its tensor {name} holds numbers that are not finite.")
    return weights


def _require_names(found: set[str], expected: set[str]) -> None:
    for difference, words in ((expected - found, "lacks"), (found - expected, "has, but should not have,")):
        if difference:
            raise ValueError(f"it {words} the tensor {min(difference)[:80]} ({len(difference)} in all).")
