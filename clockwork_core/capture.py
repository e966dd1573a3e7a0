"""Catches the features on both sides of the low-res part while the host's own forward runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .cut import Place


@dataclass(frozen=True)
class Captured:
    """What a full pass leaves for later.

    r_out: one copy (B, C, h, w) for each stream in the batch. skip_shape: (C, h, w) of the skip that the kept
    blocks met first. r_in: as r_out, of what entered the low-res part; None unless it was wanted.
    """

    r_out: tuple[Tensor, ...]
    skip_shape: tuple[int, ...]
    r_in: tuple[Tensor, ...] | None = None

    def copied(self) -> Captured:
        """The same in memory of its own."""
        r_in = None if self.r_in is None else tuple(part.clone() for part in self.r_in)
        return Captured(tuple(part.clone() for part in self.r_out), self.skip_shape, r_in)


class Capture:
    """The patches of one full pass, and what they saw.

    first_kept: the output block that r_out is on its way to. streams: equal slices of the batch.
    r_in_block: the input block whose result, with ControlNet's part, is r_in; None if r_in is not wanted.
    """

    def __init__(self, first_kept: int, streams: int, place: Place, r_in_block: int | None) -> None:
        self._first_kept = first_kept
        self._streams = streams
        self._place = place
        self._r_in_block = r_in_block
        self._r_in: tuple[Tensor, ...] | None = None
        self._r_out: tuple[Tensor, ...] | None = None
        self._skip_shape: tuple[int, ...] = ()

    def options(self, transformer_options: dict[str, Any]) -> dict[str, Any]:
        """The options with our patches before all others: we see what the UNet made, they what they always saw."""
        patches = dict(transformer_options.get("patches", {}))
        patches["output_block_patch"] = [self._output_block, *patches.get("output_block_patch", [])]
        if self._r_in_block is not None:
            patches["input_block_patch"] = [self._input_block, *patches.get("input_block_patch", [])]
        return {**transformer_options, "patches": patches}

    def read_upsample(self, h: Tensor) -> None:
        """For the tap on the upsample that ends the low-res part; h: (streams * B, C, h, w)."""
        if self._place is Place.BEFORE_UPSAMPLE:
            self._r_out = self._copies(h)

    def captured(self) -> Captured | None:
        """All that was wanted; None if a part never came by, as in a model without the tap."""
        if self._r_out is None or (self._r_in_block is not None and self._r_in is None):
            return None
        return Captured(self._r_out, self._skip_shape, self._r_in)

    def _output_block(self, h: Tensor, skip: Tensor, transformer_options: dict) -> tuple[Tensor, Tensor]:
        if transformer_options["block"] == ("output", self._first_kept):
            self._skip_shape = tuple(skip.shape[1:])
            if self._place is Place.AFTER_UPSAMPLE:
                self._r_out = self._copies(h)
        return h, skip

    def _input_block(self, h: Tensor, transformer_options: dict) -> Tensor:
        if transformer_options["block"] == ("input", self._r_in_block):
            self._r_in = self._copies(h)
        return h

    def _copies(self, h: Tensor) -> tuple[Tensor, ...]:
        # Copies, because later patches may write into h (FreeU does), and one for each stream, because slices of
        # one tensor would keep all of it alive.
        return tuple(part.clone() for part in h.chunk(self._streams))
