"""The pocket model's file: fp16 weights of a UNet and a text encoder, and in the metadata what they are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

UNET_PREFIX = "unet."
TEXT_PREFIX = "text."
TOKEN_IDS = "text.token_ids"
TOKEN_ROWS = "text.token_rows"

# What the loader builds for; a file that was trained for anything else would draw noise without an error.
PREDICTION = "v"
BETA_SCHEDULE = "sqrt_linear 0.00085 0.012 1000"


@dataclass(frozen=True)
class PocketFile:
    """What a pocket file holds.

    updates: how long it was trained. context_tokens: how many tokens of a prompt the UNet saw in training.
    icons, colours: the words that it knows ("<icon>", "<icon> on a <colour> background").
    unet, text: weights by the host's own names. token_ids (n,), token_rows (n, width): the rows of the token
    embedding that training used; all others are zero.
    """

    path: Path
    updates: int
    context_tokens: int
    icons: tuple[str, ...]
    colours: tuple[str, ...]
    unet_config: dict[str, Any]
    text_config: dict[str, Any]
    unet: dict[str, Tensor]
    text: dict[str, Tensor]
    token_ids: Tensor
    token_rows: Tensor

    def token_embedding(self, vocabulary: int) -> Tensor:
        """The whole table of the token embedding, (vocabulary, width).

        Raises ValueError if the file names a token beyond the vocabulary.
        """
        if not 0 <= int(self.token_ids.min()) <= int(self.token_ids.max()) < vocabulary:
            raise ValueError(f"{self.path}: {TOKEN_IDS} names tokens outside of the vocabulary of {vocabulary}.")
        table = self.token_rows.new_zeros(vocabulary, self.token_rows.shape[1])
        table[self.token_ids.long()] = self.token_rows
        return table


def read_pocket_file(path: Path) -> PocketFile:
    """Read a pocket file.

    Raises FileNotFoundError if there is none at `path`, ValueError if it is damaged or something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no pocket model at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
    _check_kind(path, metadata)
    try:
        return _parse(path, metadata, tensors)
    except KeyError as error:
        raise ValueError(f"{path} is no pocket model: it has no {error.args[0]!r}.") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: its metadata is not JSON where it should be: {error}") from error


def _check_kind(path: Path, metadata: dict[str, str]) -> None:
    for key, expected in (("prediction", PREDICTION), ("beta_schedule", BETA_SCHEDULE)):
        found = metadata.get(key)
        if found != expected:
            raise ValueError(f"{path} is no pocket model: its {key!r} is {found!r}, not {expected!r}.")


def _parse(path: Path, metadata: dict[str, str], tensors: dict[str, Tensor]) -> PocketFile:
    token_ids, token_rows = tensors.pop(TOKEN_IDS), tensors.pop(TOKEN_ROWS)
    if token_rows.ndim != 2 or token_ids.shape != token_rows.shape[:1] or token_ids.dtype != torch.int32:
        raise ValueError(f"{path}: {TOKEN_IDS} {tuple(token_ids.shape)} and {TOKEN_ROWS} do not belong together.")
    return PocketFile(
        path=path,
        updates=int(metadata["steps"]),
        context_tokens=int(metadata["context_tokens"]),
        icons=tuple(json.loads(metadata["icons"])),
        colours=tuple(json.loads(metadata["colours"])),
        unet_config=json.loads(metadata["unet_config"]),
        text_config=json.loads(metadata["text_config"]),
        unet=_below(UNET_PREFIX, tensors),
        text=_below(TEXT_PREFIX, tensors),
        token_ids=token_ids,
        token_rows=token_rows,
    )


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
