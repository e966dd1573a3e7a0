"""Training pairs: what an adaptor sees at one adaptor evaluation of a run, and what the teacher makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pair:
    """One sample at one adaptor evaluation; S counts its streams, cond first, then uncond where there is guidance.

    x (S, C, H, W), timesteps (S,), context (S, tokens, width), y (S, width) or None: the UNet's arguments.
    sigma (1,): of the evaluation.
    r_outs (past, S, C, h, w), r_ins (past, S, C', h, w) or None: of past full passes, newest first.
    gaps (past,): how much lambda grew since those.
    r_out (S, C, h, w), output (S, C, H, W): what the low-res part, and the UNet, gave in a full pass. r_out is None
    where only the output is looked at: it takes half of the memory.
    identity_errors (3,): what the identity's mean squared errors are here, as `losses.LOSSES` orders them; the
    scale that errors are measured on. Zeros until they are known.
    """

    x: Tensor
    timesteps: Tensor
    sigma: Tensor
    context: Tensor | None
    y: Tensor | None
    r_outs: Tensor
    r_ins: Tensor | None
    gaps: Tensor
    r_out: Tensor | None
    output: Tensor
    identity_errors: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The parts that are there, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Pair:
        return cls(**{field.name: tensors.get(field.name) for field in fields(cls)})  # pyright: ignore[reportArgumentType]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors().values())


def without_r_out(pair: Pair) -> Pair:
    """The same for losses that look at outputs only."""
    return replace(pair, r_out=None)


@dataclass(frozen=True)
class Batch:
    """Pairs side by side, as one call of the UNet has them: all cond, then all uncond (S * B, …), in float32.

    size: B. streams: S. r_outs, r_ins: one tensor (S * B, …) for each past pass. gaps (S * B, past).
    identity_errors (3, B).
    """

    size: int
    streams: int
    x: Tensor
    timesteps: Tensor
    sigma: Tensor
    context: Tensor | None
    y: Tensor | None
    r_outs: tuple[Tensor, ...]
    r_ins: tuple[Tensor, ...]
    gaps: Tensor
    r_out: Tensor | None
    output: Tensor
    identity_errors: Tensor

    @property
    def log_snr(self) -> Tensor:
        """lambda of each sample (S * B,)."""
        return -self.sigma.log()

    @classmethod
    def of(cls, pairs: Sequence[Pair], device: torch.device) -> Batch:
        """Raises ValueError if some of the pairs have guidance and others not."""
        streams = {len(pair.x) for pair in pairs}
        if len(streams) > 1:
            raise ValueError("Guidance is switched on or off during the run, which cannot be trained on.")
        (count,) = streams

        def side_by_side(parts: list[Any], axis: int = 0) -> Any:
            """(…, S, …) of each pair at `axis` as (…, S * B, …)."""
            if parts[0] is None:
                return None
            return torch.stack(parts, dim=axis + 1).flatten(axis, axis + 1).to(device, torch.float32)

        def past(parts: list[Any]) -> tuple[Tensor, ...]:
            return () if parts[0] is None else tuple(side_by_side(parts, axis=1))

        return cls(
            size=len(pairs),
            streams=count,
            x=side_by_side([pair.x for pair in pairs]),
            timesteps=side_by_side([pair.timesteps for pair in pairs]),
            sigma=side_by_side([pair.sigma.expand(count) for pair in pairs]),
            context=side_by_side(_of_one_length([pair.context for pair in pairs])),
            y=side_by_side([pair.y for pair in pairs]),
            r_outs=past([pair.r_outs for pair in pairs]),
            r_ins=past([pair.r_ins for pair in pairs]),
            gaps=side_by_side([pair.gaps.expand(count, -1) for pair in pairs]),
            r_out=side_by_side([pair.r_out for pair in pairs]),
            output=side_by_side([pair.output for pair in pairs]),
            identity_errors=torch.stack([pair.identity_errors for pair in pairs], dim=1).to(device),
        )


def _of_one_length(contexts: list[Tensor | None]) -> list[Tensor | None]:
    """Prompts (S, tokens, width) repeated to a common length, which attention does not notice; the host does so too."""
    if contexts[0] is None:
        return contexts
    length = math.lcm(*(context.shape[1] for context in contexts if context is not None))
    return [None if context is None else context.repeat(1, length // context.shape[1], 1) for context in contexts]
