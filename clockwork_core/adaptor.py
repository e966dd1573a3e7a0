"""What the engine asks of an adaptor: the thing that stands in for the low-res part (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from .cut import Place


@dataclass(frozen=True)
class Past:
    """One earlier full pass of each stream (conditioning) in the batch.

    log_snr: lambda = -log sigma of that pass, one number for each stream, in batch order.
    r_out: what left the low-res part then, (streams * B, C, h, w); a copy, which the adaptor may change.
    """

    log_snr: tuple[float, ...]
    r_out: Tensor


@runtime_checkable
class Adaptor(Protocol):
    """phi of equation 3: r_out[t] from what is cheap to know.

    name: for reports and files.
    place: where it wants r_out taken and put back.
    depth: how many past full passes it looks at; it may be given fewer, but at least one.
    """

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> Place: ...

    @property
    def depth(self) -> int: ...

    def predict(self, past: Sequence[Past], r_in: Tensor | None, emb: Tensor, log_snr: float) -> Tensor:
        """r_out (B, C, h, w) of the present evaluation.

        past: newest first. r_in: the downsampled features (B, C, h, w), only with a place before the upsample.
        emb: the UNet's own embedding of the timestep and labels (B, width). log_snr: lambda of now.
        """
        ...
