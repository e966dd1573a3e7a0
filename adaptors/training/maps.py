"""The linear map at one lambda of a run: what it is fitted on, how strongly it is held, and how good it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .least_squares import NormalEquations, Solution

# How strongly the map may be drawn to the identity; infinity is the identity itself.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, math.inf)
MOST_CAUTIOUS_FIT = 1.0
SMALLEST_ERROR = 1e-30


@dataclass(frozen=True)
class Quality:
    """How good a map is on pictures that it was not fitted on: mean squared errors as shares of the identity's.

    r_out: of r_out under guidance. output: of the guided output. strength: as in STRENGTHS.
    """

    sigma: float
    strength: float
    r_out: float
    output: float

    def line(self) -> str:
        """For people to read."""
        fitted = "the identity was best" if self.strength == math.inf else f"ridge {self.strength:g}"
        return f"sigma {self.sigma:.3g}: guided output {self.output:.3f}, guided r_out {self.r_out:.3f} ({fitted})"


class Map:
    """learned: of the pictures that it is fitted on. held_out: of the others, which join in once all is chosen."""

    def __init__(self, sigma: float, inputs: int, outputs: int) -> None:
        self.sigma = sigma
        self.learned = NormalEquations(inputs, outputs)
        self.held_out = NormalEquations(inputs, outputs)
        self._errors = dict.fromkeys(STRENGTHS, torch.zeros(2, dtype=torch.float64))

    def candidates(self) -> dict[float, Solution]:
        """A solution for each strength, which knows nothing of the pictures held out."""
        return {strength: self.learned.solve(strength) for strength in STRENGTHS}

    def add_error(self, strength: float, output: Tensor, r_out: Tensor) -> None:
        """Count the errors of a candidate on pictures held out, which mean: sums of squares."""
        errors = torch.stack([output.double().square().sum(), r_out.double().square().sum()]).cpu()
        self._errors[strength] = self._errors[strength] + errors

    @property
    def strength(self) -> float:
        """The best on the pictures held out; as long as there are none, a cautious one."""
        if self.held_out.weight == 0:
            return MOST_CAUTIOUS_FIT
        return min(STRENGTHS, key=lambda strength: float(self._errors[strength][0]))

    def solution(self) -> Solution:
        """From all pictures."""
        return (self.learned + self.held_out).solve(self.strength)

    def quality(self) -> Quality:
        strength = self.strength
        output, r_out = (self._errors[strength] / self._errors[math.inf].clamp(min=SMALLEST_ERROR)).tolist()
        return Quality(self.sigma, strength, r_out, output)
