"""Ridge regression from sums, so that no more than a few pictures need be in memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Solution(NamedTuple):
    """y = weight @ x + bias. weight: (outputs, inputs). bias: (outputs,)."""

    weight: Tensor
    bias: Tensor


class NormalEquations:
    """The sums of a weighted least-squares problem over all samples added so far, in float64.

    gram: (inputs + 1, inputs + 1), of the inputs and a constant one. cross: (inputs + 1, outputs).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        self.gram = torch.zeros(inputs + 1, inputs + 1, dtype=torch.float64)
        self.cross = torch.zeros(inputs + 1, outputs, dtype=torch.float64)

    @staticmethod
    def size_bytes(inputs: int, outputs: int) -> int:
        """What one of them takes."""
        return 8 * (inputs + 1) * (inputs + 1 + outputs)

    @property
    def weight(self) -> Tensor:
        """The sum of the samples' weights, a scalar."""
        return self.gram[-1, -1]

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Add samples: x (samples, inputs), y (samples, outputs), how much each counts (samples,), on any device."""
        # Apple's GPUs know no float64.
        exact = torch.float32 if x.device.type == "mps" else torch.float64
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1).to(exact)
        weighted = x.T * weights.to(exact)
        self.gram += (weighted @ x).cpu()
        self.cross += (weighted @ y.to(exact)).cpu()

    def __add__(self, other: NormalEquations) -> NormalEquations:
        total = NormalEquations(len(self.gram) - 1, self.cross.shape[1])
        total.gram, total.cross = self.gram + other.gram, self.cross + other.cross
        return total

    def solve(self, strength: float) -> Solution:
        """The map of least mean squared error + strength * |weights|^2, for inputs brought to unit size; float32.

        strength: above 0; how strongly the map is drawn to zero; infinity for zero itself. At unit size, each input
        is held alike, whatever its scale.
        Raises ValueError if the samples were not finite.
        """
        if not (self.gram.isfinite().all() and self.cross.isfinite().all()):
            raise ValueError("The features of the model are not finite numbers.")
        weight = torch.where(self.weight > 0, self.weight, 1.0)
        size = (self.gram.diagonal() / weight).sqrt()
        size = torch.where(size > 0, size, 1.0)
        gram = self.gram / torch.outer(size, size) / weight
        cross = self.cross / size[:, None] / weight
        # Divided by 1 + strength, so that the strength may be infinite.
        share = 1.0 / (1.0 + strength)
        identity = torch.eye(len(gram), dtype=gram.dtype)
        solved = torch.linalg.solve(share * gram + (1.0 - share) * identity, share * cross) / size[:, None]
        return Solution(solved[:-1].T.float().contiguous(), solved[-1].float())
