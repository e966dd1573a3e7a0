"""What a run remembers of its past full passes, one stream (conditioning) at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Signature:
    """What must be the same for features to be reusable: the latent's shape, and its dtype and device."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, x: Tensor, streams: int) -> Signature:
        """The signature of one of `streams` equal slices of the UNet input `x` (streams * B, C, H, W)."""
        return cls((x.shape[0] // streams, *x.shape[1:]), x.dtype, x.device)


@dataclass(frozen=True)
class Remembered:
    """One stream's features from one full pass.

    log_snr: lambda = -log sigma of that evaluation.
    r_out: features that left the low-res part (B, C, h, w).
    skip_shape: shape (C, h, w) of the skip connection that r_out met, to see when something resizes inside the UNet.
    r_in: features that entered the low-res part (B, C, h, w); only kept for adaptors that want them.
    """

    signature: Signature
    log_snr: float
    r_out: Tensor
    skip_shape: tuple[int, ...]
    r_in: Tensor | None = None

    @property
    def kind(self) -> tuple[Signature, torch.Size]:
        """What must be the same for two passes to be compared; another node may resize inside the UNet."""
        return self.signature, self.r_out.shape

    @property
    def size_bytes(self) -> int:
        return sum(features.nbytes for features in (self.r_out, self.r_in) if features is not None)


class Trace:
    """The latest full passes of each stream of a run, newest first, at most `depth` of them."""

    def __init__(self, depth: int = 1) -> None:
        self._depth = depth
        self._streams: dict[Hashable, deque[Remembered]] = {}
        self._new_streams: set[Hashable] = set()
        self._peak_bytes = 0

    def begin_evaluation(self) -> None:
        """What is remembered from now on belongs to another evaluation than what was remembered before."""
        self._new_streams.clear()

    def make_room(self, stream: Hashable, signature: Signature) -> None:
        """Forget what the full pass to come will replace, before the pass itself needs the memory.

        That is what the stream remembers of another signature, for it could never be used again; of this very
        evaluation, which then is a second try; and the oldest pass.
        """
        past = self._streams.get(stream, deque())
        if past and past[0].signature != signature:
            past.clear()
        if past and stream in self._new_streams:
            past.popleft()
        self._new_streams.discard(stream)
        while len(past) >= self._depth:
            past.pop()
        if not past:
            self._streams.pop(stream, None)

    def remember(self, stream: Hashable, features: Remembered) -> None:
        """Add a full pass, for which it makes room; older ones of another size cannot be used with it."""
        self.make_room(stream, features.signature)
        past = self._streams.setdefault(stream, deque())
        if past and past[0].kind != features.kind:
            past.clear()
        past.appendleft(features)
        self._new_streams.add(stream)
        self._peak_bytes = max(self._peak_bytes, self.size_bytes)

    def recall(self, stream: Hashable, signature: Signature) -> list[Remembered]:
        """The past full passes of a stream, newest first; empty if there is none that fits `signature`."""
        past = self._streams.get(stream)
        if past is None or past[0].signature != signature:
            return []
        return list(past)

    def clear(self) -> None:
        self._streams.clear()
        self._new_streams.clear()

    @property
    def size_bytes(self) -> int:
        return sum(features.size_bytes for past in list(self._streams.values()) for features in past)

    @property
    def peak_bytes(self) -> int:
        """The most that was held at any time of the run."""
        return self._peak_bytes
