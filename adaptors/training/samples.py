"""What a linear map is fitted on: each place of each picture, as guidance makes it of cond and uncond.

Guidance amplifies what is particular to a prompt, and a map that is fitted to it alone serves other prompts less well:
cond and uncond by themselves count a little, too. Each picture counts alike, whatever the size of its change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..affine import AffineConfig
from ..inputs import Features
from .losses import guided
from .pairs import Batch

INPUTS = AffineConfig.of(solutions=1)
# How much cond and uncond by themselves count beside what guidance makes of them.
PLAIN_WEIGHT = 0.1
# Of a mean square, in scaled features: less is rounding.
SMALLEST_CHANGE = 1e-12


@dataclass(frozen=True)
class Scales:
    """What features are multiplied by to be of order one, as `AdaptorNetwork` keeps it."""

    r_in: float
    r_out: float

    @classmethod
    def of(cls, features: Features) -> Scales:
        r_in, r_out = float(features.r_in.std()), float(features.r_outs[0].std())
        return cls(1.0 / r_in if r_in > 0 else 1.0, 1.0 / r_out if r_out > 0 else 1.0)


class Samples(NamedTuple):
    """What is fitted to what: features (samples, channels), changes of r_out (samples, C), weights (samples,)."""

    features: Tensor
    changes: Tensor
    weights: Tensor


def samples_of(batch: Batch, features: Features, scales: Scales, cfg: float | None) -> Samples:
    """Each place of each picture, scaled: of what guidance makes of cond and uncond, and of these by themselves.

    cfg: of that guidance; None for these by themselves alone.
    """
    r_in_scale, r_out_scale = (torch.tensor(scale, device=batch.x.device) for scale in (scales.r_in, scales.r_out))
    inputs = features.for_network(INPUTS, r_in_scale, r_out_scale)
    assert batch.r_out is not None, "a fit keeps it"
    changes = (batch.r_out - batch.r_outs[0]) * r_out_scale
    if cfg is None or batch.streams == 1:
        return _weighed(inputs, changes, changes)
    seen = guided(changes, batch.streams, cfg)
    together = _weighed(guided(inputs, batch.streams, cfg), seen, seen)
    plain = _weighed(inputs, changes, seen.repeat(batch.streams, 1, 1, 1))
    plain = plain._replace(weights=PLAIN_WEIGHT * plain.weights)
    return Samples._make(map(torch.cat, zip(together, plain, strict=True)))


def _weighed(inputs: Tensor, changes: Tensor, seen: Tensor) -> Samples:
    """Samples of each place, each picture weighed by the size of the change that is seen in it (B, C, h, w).

    Where nothing changed there is nothing to learn.
    """
    sizes = seen.square().flatten(1).mean(1)
    weights = torch.where(sizes > SMALLEST_CHANGE, 1.0 / sizes, 0.0)
    places = weights[:, None, None].expand(-1, *inputs.shape[2:])
    features, changes = (each.movedim(1, -1).flatten(0, 2) for each in (inputs, changes))
    return Samples(features, changes, places.flatten())
