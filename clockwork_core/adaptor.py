"""What the engine asks of an adaptor: the thing that stands in for the low-res part (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from . import host
from .cut import Place, Seam


@dataclass(frozen=True)
class Past:
    """One earlier full pass of each stream (conditioning) in the batch.

    log_snr: lambda = -log sigma of that pass, one number for each stream, in batch order.
    r_out: what left the low-res part then, (streams * B, C, h, w); a copy, which the adaptor may change.
    r_in: what entered it then, (streams * B, C', h, w); None unless the adaptor remembers r_in.
    """

    log_snr: tuple[float, ...]
    r_out: Tensor
    r_in: Tensor | None = None


@dataclass(frozen=True)
class Present:
    """What is known of the evaluation under way without running the low-res part.

    r_in: the downsampled features (B, C', h, w); None with a place after the upsample.
    emb: the UNet's own embedding of the timestep and labels (B, width). context: the prompt's tokens
    (B, tokens, width), as the cross-attention gets them. log_snr: lambda of now.
    """

    r_in: Tensor | None
    emb: Tensor
    context: Tensor | None
    log_snr: float


@dataclass(frozen=True)
class RunConditions:
    """What a sampling run is like, for adaptors that were trained for one kind of run.

    sampler: the host's name for it; None if it is not one of the host's. cfg: None for a guider without one.
    schedule: as `Schedule.describe` puts it.
    """

    sampler: str | None
    steps: int
    cfg: float | None
    schedule: str


@runtime_checkable
class Adaptor(Protocol):
    """phi of equation 3: r_out[t] from what is cheap to know.

    name: for reports and files.
    place: where it wants r_out taken and put back.
    depth: how many past full passes it looks at; it may be given fewer, but at least one.
    remembers_r_in: whether it also looks at the r_in of those passes; only with a place before the upsample.
    """

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> Place: ...

    @property
    def depth(self) -> int: ...

    @property
    def remembers_r_in(self) -> bool: ...

    def predict(self, past: Sequence[Past], present: Present) -> Tensor:
        """r_out (B, C, h, w) of the present evaluation. past: newest first."""
        ...

    def require_fit(self, seam: Seam) -> None:
        """Raise ValueError, naming both values, unless the adaptor fits a UNet that is cut at `seam`.

        Only asked of adaptors with a place before the upsample.
        """
        ...

    def warnings(self, conditions: RunConditions) -> list[str]:
        """A sentence for each way in which a run differs from what the adaptor was trained for."""
        ...

    def models(self) -> list[host.ModelPatcher]:
        """Its networks, for the host to load and to count together with the UNet."""
        ...

    def flops(self, r_out: tuple[int, ...]) -> int:
        """Convolutions and linear layers of one `predict` that gives an r_out of this shape (B, C, h, w)."""
        ...
