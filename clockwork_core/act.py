"""One call of the UNet within an evaluation: choose the pass, run it, remember its features, write it down."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import host
from .adaptor import Adaptor, Past, Present
from .capture import Captured
from .cost import CallShape
from .cut import Cut, Geometry
from .passes import PassParts, SeamMismatchError, UNetCall, full_pass, high_res_pass
from .report import Evaluation
from .run import Run
from .schedule import Kind
from .steps import log_snr
from .trace import Remembered, Signature

NOTHING_TO_REUSE = "nothing to reuse for a conditioning that is new or changed its size, dtype or device"
RESIZED_INSIDE = "another node changed the resolution inside the UNet"


@dataclass(frozen=True)
class UNetAct:
    """All that one call of the UNet needs to know.

    forward: the host's own, for full passes. parts: what the passes run, compiled or not.
    streams: a key for each conditioning in the batch.
    """

    run: Run
    evaluation: Evaluation
    cut: Cut
    geometry: Geometry
    adaptor: Adaptor
    unet: host.UNetModel
    forward: Callable[..., Tensor]
    parts: PassParts
    call: UNetCall
    streams: list[Hashable]

    def output(self) -> Tensor:
        """What the schedule asks for, where it is possible; a full pass, never an error, where it is not."""
        if self.evaluation.planned is Kind.FULL:
            return self._full()
        remembered = self._recall()
        if not remembered:
            return self._full(NOTHING_TO_REUSE)
        try:
            return self._high_res(remembered)
        except SeamMismatchError:
            return self._full(RESIZED_INSIDE)

    def _full(self, reason: str | None = None) -> Tensor:
        for stream in self.streams:
            self.run.trace.make_room(stream, self._signature)
        first_kept = self.geometry.blocks - self.cut.kept_blocks
        r_in_block = self.cut.kept_blocks if self.adaptor.remembers_r_in else None
        call = self.call.with_whole_control()
        output, captured = full_pass(
            self.forward, call, first_kept, len(self.streams), self.cut.place, r_in_block, self.parts
        )
        if captured is not None:
            self._remember(captured)
        self._record(Kind.FULL, reason)
        return output

    def _remember(self, captured: Captured) -> None:
        all_r_in = captured.r_in or [None] * len(self.streams)
        for stream, r_out, r_in in zip(self.streams, captured.r_out, all_r_in, strict=True):
            features = Remembered(self._signature, self._log_snr, r_out, captured.skip_shape, r_in)
            self.run.trace.remember(stream, features)

    def _high_res(self, remembered: list[list[Remembered]]) -> Tensor:
        def stand_in(r_in: Tensor | None, emb: Tensor) -> Tensor:
            # Only here, so that the copy of the past lives no longer than it must. Streams may remember different
            # numbers of passes; all have the first ones.
            past = [_past_of(passes) for passes in zip(*remembered, strict=False)]
            if r_in is not None and r_in.shape[2:] != past[0].r_out.shape[2:]:
                raise SeamMismatchError(f"r_in is {tuple(r_in.shape)}, but r_out was {tuple(past[0].r_out.shape)}")
            return self.adaptor.predict(past, Present(r_in, emb, self.call.context, self._log_snr))

        output = high_res_pass(
            self.unet,
            self.geometry,
            self.cut,
            self.call.with_own_control(),
            stand_in,
            remembered[0][0].skip_shape,
            self.parts,
        )
        self._record(Kind.ADAPTOR)
        return output

    def _recall(self) -> list[list[Remembered]]:
        """The past of each stream, newest first; empty unless all have one, and of one shape."""
        remembered = [self.run.trace.recall(stream, self._signature) for stream in self.streams]
        shapes = {(passes[0].r_out.shape, passes[0].skip_shape) if passes else None for passes in remembered}
        return remembered if len(shapes) == 1 and None not in shapes else []

    @property
    def _signature(self) -> Signature:
        return Signature.of(self.call.x, len(self.streams))

    @property
    def _log_snr(self) -> float:
        return log_snr(self.evaluation.sigma)

    def _record(self, kind: Kind, reason: str | None = None) -> None:
        self.run.record(kind, CallShape.of(self.call), reason)


def _past_of(passes: tuple[Remembered, ...]) -> Past:
    """One full pass of each stream, as a batch. Concatenating copies, so patches may write into it."""
    all_r_in = [features.r_in for features in passes if features.r_in is not None]
    return Past(
        log_snr=tuple(features.log_snr for features in passes),
        r_out=torch.cat([features.r_out for features in passes]),
        r_in=torch.cat(all_r_in) if all_r_in else None,
    )
