"""What the network of a learned adaptor looks at (paper, section 3.2 and the ablation of inputs)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..clockwork_core.adaptor import Past, Present
from ..clockwork_core.cut import Seam

MOST_PAST_PASSES = 4


@dataclass(frozen=True)
class NetworkConfig:
    """The inputs of a network; the paper's adaptors see r_in, one past r_out and the embedding.

    past: how many past full passes it sees the r_out of; with 0 it has nothing to begin from but r_in.
    r_in: whether it sees the present r_in. past_r_in: whether it sees how r_in changed since those passes.
    prompt: whether the pooled prompt vector is added. gaps: whether it is told how far, in lambda, those passes lie
    back, for adaptors that serve several step counts.
    """

    past: int = 1
    r_in: bool = True
    past_r_in: bool = False
    prompt: bool = False
    gaps: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.past <= MOST_PAST_PASSES:
            raise ValueError(f"past is {self.past}, but must lie between 0 and {MOST_PAST_PASSES}.")
        if self.past == 0 and (self.past_r_in or self.gaps or not self.r_in):
            raise ValueError("past is 0, but then the network must see r_in, and can see nothing of past passes.")

    def channels(self, seam: Seam) -> int:
        """How many channels of features the network gets."""
        return seam.r_in * (self.r_in + self.past * self.past_r_in) + seam.r_out * self.past


@dataclass(frozen=True)
class Features:
    """What an adaptor may look at, for any batch B, whichever evaluations its samples belong to.

    r_in: (B, C', h, w). r_outs, r_ins: of past full passes, newest first, (B, C, h, w) and (B, C', h, w); r_ins is
    empty unless the network looks at them. emb: (B, embedding). prompt: (B, context) or None.
    gaps: (B, past), how much lambda grew since each of those passes. log_snr: (B,), lambda of each sample, in float32.
    """

    r_in: Tensor
    r_outs: tuple[Tensor, ...]
    r_ins: tuple[Tensor, ...]
    emb: Tensor
    prompt: Tensor | None
    gaps: Tensor
    log_snr: Tensor

    @classmethod
    def of(cls, past: Sequence[Past], present: Present, depth: int) -> Features:
        """The features of one evaluation; where fewer than `depth` passes are past, the oldest counts again."""
        assert present.r_in is not None, "the engine gives r_in to adaptors before the upsample"
        passes = [*past[:depth], *[past[-1]] * (depth - len(past))]
        rows = present.r_in.shape[0] // len(passes[0].log_snr)
        gaps = torch.tensor([[present.log_snr - then for then in each.log_snr] for each in passes])  # (past, streams)
        return cls(
            present.r_in,
            tuple(each.r_out for each in passes),
            tuple(each.r_in for each in passes if each.r_in is not None),
            present.emb,
            pooled(present.context),
            gaps.T.repeat_interleave(rows, dim=0).to(present.r_in),
            torch.full((present.r_in.shape[0],), present.log_snr, device=present.r_in.device),
        )

    def for_network(self, config: NetworkConfig, r_in_scale: Tensor, r_out_scale: Tensor) -> Tensor:
        """One tensor (B, `config.channels`, h, w); of past passes but the newest, what has changed since."""
        parts = [self.r_in * r_in_scale] if config.r_in else []
        if config.past_r_in:
            parts += [(self.r_in - r_in) * r_in_scale for r_in in self.r_ins[: config.past]]
        for index, r_out in enumerate(self.r_outs[: config.past]):
            parts.append((r_out if index == 0 else self.r_outs[0] - r_out) * r_out_scale)
        return torch.cat(parts, dim=1)


def pooled(context: Tensor | None) -> Tensor | None:
    """One vector for a prompt (B, width): the mean of its tokens (B, tokens, width)."""
    return None if context is None else context.mean(dim=1)
